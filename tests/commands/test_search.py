"""Searching a folder of videos, with the tiny demo's student."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.commands import search_cli
from vidistill.commands.ground import Grounder
from vidistill.commands.search import Library
from vidistill.mmdist import fit

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
        assert [one.fit for one in found] == sorted((one.fit for one in found), reverse=True)
        (alone,) = grounder.ask(grounder.watch(found[0].path), [sentence])
        assert found[0].moments == alone.moments
        assert found[0].fit == pytest.approx(alone.fit, abs=0.05)  # the index has half precision
        assert found[0].in_video == (found[0].fit >= grounder.trained.bar)
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
    assert found["second"].fit == found["third"].fit
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


def test_a_long_video_is_searched_by_its_windows(folder, model, library) -> None:
    """Its best window decides, and the answer is the one of `ground`."""
    (whole,) = library.search(SENTENCES[:1])
    parts = Library(folder, model, device="cpu", threads=1, window=1.0)
    parts.read()
    assert len(parts._index.owners) > COUNT
    (found,) = parts.search(SENTENCES[:1])
    assert {one.path for one in found} == {one.path for one in whole}
    assert [one.fit for one in found] != [one.fit for one in whole]
    grounder = Grounder(model, device="cpu", threads=1, window=1.0)
    for one in found:
        (alone,) = grounder.ask(grounder.watch(one.path), SENTENCES[:1])
        assert one.moments == alone.moments
        assert one.fit == pytest.approx(alone.fit, abs=0.05)
    again = Library(folder, model, device="cpu", threads=1)
    again.read()  # the index is of other windows, and is made again
    assert again.search(SENTENCES[:1]) == [whole]


def test_a_model_without_training_sentences_ranks_by_similarity(folder, model, tmp_path, caplog) -> None:
    old = without(Grounder(model).trained.path, tmp_path / "old.safetensors", "bank", "bar", "window")
    library = Library(folder, old, device="cpu", threads=1)
    library.read()
    assert "keeps no training sentences" in caplog.text
    assert "does not say how long its training videos were" in caplog.text
    (found,) = library.search(SENTENCES[:1])
    assert {one.in_video for one in found} == {None}
    s = library.model.settings.loss
    (alone,) = Grounder(old, device="cpu", threads=1).ask(library._kept.load(found[0].path), SENTENCES[:1])
    best = np.sort(alone.activation_map)[::-1][: max(int(len(alone.activation_map) * s.top_share), 1)]
    assert found[0].fit == pytest.approx(best.mean() * fit.SHARPER / s.temperature, abs=0.05)


def without(model: Path, output: Path, *texts: str) -> Path:
    """A model file as an older version wrote it."""
    metadata = {name: text for name, text in store.read_model_metadata(model).items() if name not in texts}
    save_file(load_file(model), output, {store.MODEL_KEY: json.dumps(metadata)})
    return output
