"""Searching a folder of videos, with the tiny demo's student."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from vidistill.base.stage import UserError
from vidistill.commands import search_cli, trained
from vidistill.commands.ground import Grounder
from vidistill.commands.search import Library
from vidistill.commands.trained import MMDistModel, Trained
from vidistill.mmdist import predict, search
from vidistill.mmdist.batch import with_words
from vidistill.training import samples

SENTENCES = ["the green box goes up", "the red ball slides right"]
COUNT = 3  # videos that play


@pytest.fixture(scope="module")
def model(tiny_results: Path) -> Path:
    return tiny_results / "student_demo.json"


@pytest.fixture
def folder(tiny_results: Path, tmp_path: Path) -> Path:
    """Videos, one of them in a folder of its own, and what is none."""
    found = tmp_path / "clips"
    (found / "a day").mkdir(parents=True)
    videos = sorted((tiny_results / "demo" / "videos").iterdir())[:COUNT]
    for video, place in zip(videos, ("a day/first", "second", "third"), strict=True):
        shutil.copy(video, found / f"{place}{video.suffix}")
    (found / "broken.mp4").write_bytes(b"no video" * 100)
    (found / "empty.mov").touch()
    (found / "notes.txt").write_text("no video")
    return found


@pytest.fixture
def library(folder: Path, model: Path) -> Library:
    found = Library(folder, model, device="cpu", threads=1)
    found.read()
    return found


def made(library: Library, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the videos whose features a new look makes."""
    watch, names = library.grounder.watch, []

    def noted(video, **options):
        names.append(Path(video).name)
        return watch(video, **options)

    monkeypatch.setattr(library.grounder, "watch", noted)
    library.read()
    return names


def test_videos_are_ranked_and_answered_as_one_alone(library: Library, model: Path) -> None:
    assert len(library.paths) == COUNT + 2
    assert sorted(path.name for path in library.failed) == ["broken.mp4", "empty.mov"]
    grounder = Grounder(model, device="cpu", threads=1)
    for sentence, found in zip(SENTENCES, library.search(SENTENCES), strict=True):
        assert len(found) == COUNT
        assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
        (alone,) = grounder.ask(grounder.watch(found[0].path), [sentence])
        assert found[0].moments == alone.moments
        share = grounder.trained.settings.loss.top_share
        best = np.sort(alone.activation_map)[::-1][: max(int(len(alone.activation_map) * share), 1)]
        assert found[0].similarity == pytest.approx(best.mean(), abs=1e-3)  # the index has half precision
    assert len(library.search(SENTENCES[:1], top=1)[0]) == 1


def test_features_are_made_once_and_again_for_what_changed(folder, model, library, monkeypatch) -> None:
    first = library.search(SENTENCES)
    again = Library(folder, model, device="cpu", threads=1)
    assert made(again, monkeypatch) == []
    assert again.search(SENTENCES) == first
    os.utime(folder / library.paths[0].relative_to(folder))  # touched, and the same
    assert made(Library(folder, model, device="cpu", threads=1), monkeypatch) == []
    second, third = (next(folder.glob(f"{name}.*")) for name in ("second", "third"))
    shutil.copy(third, second)
    shutil.copy(third, folder / f"fourth{third.suffix}")
    changed = Library(folder, model, device="cpu", threads=1)
    assert made(changed, monkeypatch) == [f"fourth{third.suffix}", second.name]
    found = {one.path.stem: one for one in changed.search(SENTENCES[:1])[0]}
    assert len(found) == COUNT + 1
    assert found["second"].similarity == found["third"].similarity
    third.unlink()
    fewer = Library(folder, model, device="cpu", threads=1)
    assert made(fewer, monkeypatch) == []
    assert len(fewer.search(SENTENCES[:1])[0]) == COUNT


def test_a_video_that_is_gone_is_listed(folder, model, library) -> None:
    video = next(folder.glob("second.*"))
    video.unlink()
    video.symlink_to("nowhere.mp4")
    again = Library(folder, model, device="cpu", threads=1)
    again.read()
    assert "is a link to a file that does not exist" in again.failed[video]
    assert len(again.search(SENTENCES[:1])[0]) == COUNT - 1


def test_what_is_kept_may_be_damaged_or_elsewhere(folder, model, library, tmp_path, monkeypatch) -> None:
    first = library.search(SENTENCES)
    kept = sorted((folder / ".vidistill").rglob("*"))
    for file in kept:
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-100])
    again = Library(folder, model, device="cpu", threads=1)
    assert len(made(again, monkeypatch)) == COUNT + 1  # broken.mp4 is tried again, too
    assert again.search(SENTENCES) == first
    shutil.rmtree(folder / ".vidistill")
    os.chmod(folder, 0o555)
    try:
        elsewhere = Library(folder, model, keep=tmp_path / "kept", device="cpu", threads=1)
        elsewhere.read()
    finally:
        os.chmod(folder, 0o755)
    assert elsewhere.search(SENTENCES) == first
    assert not (folder / ".vidistill").exists()


def test_the_command(folder, model, tmp_path, capsys, monkeypatch) -> None:
    output = tmp_path / "found.json"
    words = [str(folder), *SENTENCES, "--model", str(model), "--device", "cpu", "--threads", "1"]
    search_cli.main([*words, "--top", "2", "--json", str(output)])
    said = capsys.readouterr()
    assert "2 files of 5 cannot be searched" in said.err
    assert len(said.out.splitlines()) == 2 * 3
    written = json.loads(output.read_text())
    assert [answer["sentence"] for answer in written["answers"]] == SENTENCES
    assert [len(answer["videos"]) for answer in written["answers"]] == [2, 2]
    assert len(written["failed"]) == 2
    with open(tmp_path / "asked", "w+") as asked:
        asked.write(f"{SENTENCES[0]}\n\nzeppelin\n{SENTENCES[1]}\n")
        asked.seek(0)
        monkeypatch.setattr("sys.stdin", asked)
        search_cli.main([str(folder), "--model", str(model), "--device", "cpu", "--top", "2"])
    answered = capsys.readouterr()
    assert answered.out == said.out
    assert "zeppelin" in answered.err


def test_what_cannot_be_searched_is_said(tmp_path: Path, model: Path) -> None:
    with pytest.raises(UserError, match="nowhere does not exist"):
        Library(tmp_path / "nowhere", model)
    with pytest.raises(UserError, match="has no video"):
        Library(tmp_path, model)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(UserError, match=r"none of 1 video can be used; the first: .*empty\.mp4 is empty"):
        Library(tmp_path, model).read()


def test_similarities_are_means_over_maps_of_their_best_snippets(tiny_results: Path) -> None:
    model = trained.load(tiny_results / "demo" / "teacher" / "seed-0" / "model.safetensors")
    torch.manual_seed(0)
    videos = [torch.randn(3, 32, width) for width in model.network.feature_dims]
    found = search.similarities(
        model.network, model.vocabulary, search.snippets(model.network, videos), SENTENCES, 0.25
    )
    assert found.shape == (2, 3)
    for row, sentence in enumerate(SENTENCES):
        for v in range(3):
            maps = semantic_maps(model, [x[v : v + 1] for x in videos], sentence)
            assert float(found[row, v]) == pytest.approx(float(maps.sort(-1).values[:, -8:].mean()), abs=1e-3)


def semantic_maps(model: Trained, features: list[torch.Tensor], sentence: str) -> torch.Tensor:
    """The map of each stream (maps, L), as a prediction makes them."""
    assert isinstance(model, MMDistModel)
    queries = with_words(samples.of_sentences(features, [sentence]), model.vocabulary)
    asked = predict.predict(model.network, queries, model.settings, torch.device("cpu"))
    return torch.cat(next(asked).maps)
