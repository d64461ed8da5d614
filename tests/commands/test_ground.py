"""Asking a video: by the tiny demo's models, trained through the workflow itself."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.commands import ground_cli, one_video
from vidistill.commands.ground import Grounder, ground

VIDEO = "demo-0006"  # of the test split
SENTENCES = ["the green box goes up", "the red ball slides right and the zeppelin turns around"]
TINY_THREADS = 1  # those of i3d.threads


@pytest.fixture(scope="module")
def results(tiny_results: Path) -> Path:
    return tiny_results


@pytest.fixture(scope="module")
def video(results: Path) -> Path:
    return next((results / "demo" / "videos").glob(f"{VIDEO}.*"))


@pytest.fixture(scope="module")
def student(results: Path) -> Grounder:
    return Grounder(results / "student_demo.json", device="cpu", threads=TINY_THREADS)


@pytest.fixture(scope="module")
def watched(student: Grounder, video: Path) -> one_video.Video:
    return student.watch(video)


def model_of(results: Path, name: str) -> Path:
    return results / "demo" / name / "seed-0" / "model.safetensors"


def features_of(results: Path, stream: str) -> Path:
    """The shard that has the video."""
    for path in sorted((results / "features" / "demo" / stream).glob("*.h5")):
        with h5py.File(path) as file:
            if store.group_name(VIDEO) in file:
                return path
    raise AssertionError


def changed(model: Path, output: Path, **texts: Any) -> Path:
    """A model with other texts in its metadata; functions are given the old value."""
    metadata = store.read_model_metadata(model)
    for name, change in texts.items():
        value = json.loads(metadata[name])
        metadata[name] = json.dumps(change(value))
    save_file(load_file(model), output, {store.MODEL_KEY: json.dumps(metadata)})
    return output


@pytest.mark.parametrize("name", ["student", "teacher"])
def test_features_and_predictions_are_those_of_training(results: Path, video: Path, name: str) -> None:
    grounder = Grounder(model_of(results, name), device="cpu", threads=TINY_THREADS)
    watched = grounder.watch(video)
    assert list(watched.features) == {"student": ["rgb"], "teacher": ["rgb", "flow"]}[name]
    for stream, values in watched.features.items():
        with h5py.File(features_of(results, stream)) as file:
            group = file[store.group_name(VIDEO)]
            assert group["features"].dtype == values.dtype
            np.testing.assert_array_equal(group["features"][:], values)
            assert group.attrs["duration"] == watched.duration

    queries = pd.read_parquet(results / "demo" / "queries.parquet").query("video_id == @VIDEO")
    predictions = pd.read_parquet(model_of(results, name).with_name("predictions.parquet"))
    last = predictions[predictions["epoch"] == predictions["epoch"].max()].set_index("query_id")
    assert len(queries) > 1
    answers = grounder.ask(watched, queries["sentence"].tolist())
    for query, answer in zip(queries.itertuples(), answers, strict=True):
        expected = last.loc[query.query_id].sort_values("score", ascending=False)
        seconds = expected[["start", "end"]].to_numpy() / query.duration
        found = np.array([(m.start, m.end) for m in answer.moments]) / answer.duration
        np.testing.assert_allclose(found, seconds, atol=1e-6)
        np.testing.assert_allclose([m.score for m in answer.moments], expected["score"], rtol=1e-5)
        np.testing.assert_allclose(
            [m.reconstruction_error for m in answer.moments], expected["reconstruction_error"], rtol=1e-5
        )
        assert [m.proposal_index for m in answer.moments] == expected["proposal_index"].tolist()


def test_the_map_of_a_teacher_is_the_one_that_it_exports(results: Path, video: Path) -> None:
    grounder = Grounder(model_of(results, "teacher"), device="cpu", threads=TINY_THREADS)
    other = "demo-0000"  # exported are the training videos' maps too
    queries = pd.read_parquet(results / "demo" / "queries.parquet").query("video_id == @other")
    maps = pd.read_parquet(model_of(results, "teacher").with_name("activation_maps.parquet"))
    fused = maps.query("stream == 'fused' and kind == 'semantic'").set_index("query_id")["values"]
    watched = grounder.watch(next(video.parent.glob(f"{other}.*")))
    for query, answer in zip(queries.itertuples(), grounder.ask(watched, queries["sentence"].tolist()), strict=True):
        assert answer.activation_map is not None
        np.testing.assert_allclose(answer.activation_map, fused[query.query_id], atol=1e-6)


def test_a_model_needs_nothing_but_its_file(
    results: Path,
    video: Path,
    watched: one_video.Video,
    student: Grounder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for file in (model_of(results, "student"), video):
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    answers = ground(video.name, SENTENCES, model="model.safetensors", device="cpu", threads=TINY_THREADS)
    for answer, expected in zip(answers, student.ask(watched, SENTENCES), strict=True):
        assert answer.moments == expected.moments
        assert answer.unknown_words == expected.unknown_words
    assert not list(tmp_path.glob("vidistill-*"))


def test_an_answer_does_not_depend_on_the_other_sentences(student: Grounder, watched: one_video.Video) -> None:
    both = student.ask(watched, SENTENCES)
    for sentence, answer in zip(SENTENCES, both, strict=True):
        (alone,) = student.ask(watched, [sentence])
        assert alone.sentence == answer.sentence == sentence
        found, expected = ([(m.start, m.end, m.score) for m in a.moments] for a in (alone, answer))
        np.testing.assert_allclose(found, expected, 1e-4)
    assert both[0].unknown_words == ()
    assert both[1].unknown_words == ("zeppelin",)
    scores = [m.score for m in both[0].moments]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= m.start <= m.end <= watched.duration for answer in both for m in answer.moments)


def command(*arguments: str | Path) -> None:
    ground_cli.main([str(argument) for argument in arguments])


def test_the_command_prints_and_writes_what_was_found(
    results: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    decode = one_video.decode
    monkeypatch.setattr(one_video, "decode", lambda *args, **kwargs: decoded.append(1) or decode(*args, **kwargs))
    model, file, picture = results / "student_demo.json", tmp_path / "a.json", tmp_path / "a.png"
    options = ("--json", file, "--picture", picture, "--moment", 0.1, 1, "--moment", 1, 2, "--device", "cpu")
    command(video, *SENTENCES, "--model", model, "--top", 1, *options)
    assert len(decoded) == 1, "several sentences cost one extraction"
    said = capsys.readouterr()
    assert "\r" not in said.err, "no progress where there is no terminal"
    written = json.loads(file.read_text())
    assert written["model"]["sha256"] == store.file_digest(model_of(results, "student"))
    assert [answer["sentence"] for answer in written["answers"]] == SENTENCES
    rows = [line for line in said.out.splitlines() if line.startswith("  1")]
    assert len(rows) == len(re.findall("score", said.out)) == len(SENTENCES)
    for row, answer in zip(rows, written["answers"], strict=True):
        best = answer["moments"][0]
        assert f"{best['start']:.1f} s - {best['end']:.1f} s" in row
        assert f"score {best['score']:.3f}" in row
        assert len(answer["moments"]) == 2, "the file has all"
        assert len(answer["activation_map"]) == 16
    assert "not known to the model: zeppelin" in said.out
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("stream", ["rgb=", ""])
def test_features_give_the_answers_of_their_video(
    results: Path, student: Grounder, watched: one_video.Video, tmp_path: Path, stream: str
) -> None:
    options = ("--video-id", VIDEO, "--json", tmp_path / "a.json", "--picture", tmp_path / "a.svg")
    options += ("--features", f"{stream}{features_of(results, 'rgb')}")
    command("--model", results / "student_demo.json", *options, "--", *SENTENCES)
    written = json.loads((tmp_path / "a.json").read_text())
    for answer, expected in zip(written["answers"], student.ask(watched, SENTENCES), strict=True):
        assert [vars(moment) for moment in expected.moments] == answer["moments"]
    assert "<image" not in (tmp_path / "a.svg").read_text(), "there are no frames"


def test_features_made_in_another_way_are_refused(results: Path, student: Grounder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"another way.*input \"flow\", not \"frames\""):
        student.read({"rgb": features_of(results, "flow")}, VIDEO)
    shutil.copy(features_of(results, "rgb"), tmp_path / "rgb.h5")
    with h5py.File(tmp_path / "rgb.h5", "a") as file:
        about = json.loads(file.attrs["provenance"])
        about["versions"]["torch"] = "1.0"  # does not count
        file.attrs["provenance"] = json.dumps(about)
        student.read({"rgb": tmp_path / "rgb.h5"}, VIDEO)
        decoding = json.loads(about["made_from"]["settings"]) | {"fps": 25.0}
        about["made_from"]["settings"] = json.dumps(decoding)
        file.attrs["provenance"] = json.dumps(about)
    with pytest.raises(UserError, match=r"made_from\.settings\.fps 25\.0, not 6\.0"):
        student.read({"rgb": tmp_path / "rgb.h5"}, VIDEO)
    with pytest.raises(UserError, match=r"no features of the video 'absent'.*--video-id"):
        student.read({"rgb": features_of(results, "rgb")}, "absent")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(UserError, match="is not an HDF5 file"):
        student.read({"rgb": tmp_path / "text.h5"}, VIDEO)
    with pytest.raises(UserError, match="the model reads rgb"):
        student.read({"flow": features_of(results, "flow")}, VIDEO)


@pytest.mark.parametrize(
    ("sentences", "said"),
    [
        ([], "no sentence"),
        (["  "], "is empty"),
        (["zeppelins!"], "zeppelins"),
        (["a woman runs and jumps"], "woman, runs, jumps"),
        (["the ball moves", "he is with a zeppelin"], "zeppelin"),  # the second one
        (["in the 3, and up."], "in the 3"),
        (["of the " * 20 + "ball"], "shorten"),  # its only word of content is not read
    ],
)
def test_a_sentence_without_words_of_content_is_refused(student: Grounder, sentences: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        student.check(sentences)
    if sentences and sentences[0].strip():
        assert re.search(r"words: .*ball", str(refused.value)), "what could be asked"


def test_words_like_those_that_are_unknown_are_named(student: Grounder) -> None:
    assert "balls" not in student.trained.vocabulary.ids
    with pytest.raises(UserError, match=r"similar words that it knows: ball[,;]"):
        student.check(["the balls"])


def test_what_is_no_model_is_refused(results: Path, tmp_path: Path) -> None:
    (tmp_path / "some.json").write_text('{"model": 1}')
    (tmp_path / "some.txt").write_text("hello")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.json").touch()
    (tmp_path / "cut.safetensors").write_bytes(model_of(results, "student").read_bytes()[:5000])
    save_file({"w": torch.zeros(1)}, tmp_path / "weights.safetensors")
    for name, said in (
        ("absent.safetensors", "does not exist"),
        ("folder", "is not a packed model"),
        ("empty.json", "is empty"),
        ("some.json", "is not a result"),
        ("some.txt", "is not a model"),
        ("weights.safetensors", "is not a model"),
        ("cut.safetensors", "is damaged"),
    ):
        with pytest.raises(UserError, match=said):
            Grounder(tmp_path / name)
    shutil.copy(results / "student_demo.json", tmp_path)
    with pytest.raises(UserError, match=r"model\.safetensors does not exist"):
        Grounder(tmp_path / "student_demo.json")
    copy = model_of(tmp_path, "student")
    copy.parent.mkdir(parents=True)
    changed(model_of(results, "student"), copy, settings=lambda s: {**s, "seed": 7})
    with pytest.raises(UserError, match="is not the model of"):
        Grounder(tmp_path / "student_demo.json")
    changed(copy, copy, settings=lambda s: {**s, "shoe_size": 42})
    with pytest.raises(UserError, match=r"another version.*shoe_size"):
        Grounder(copy)


def test_what_is_no_video_is_refused_by_what_it_is(student: Grounder, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"no video at all")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to("nowhere.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((64, 64, 3), 90, np.uint8))
    before = sorted(tmp_path.iterdir())
    for name, said in (
        ("absent.mp4", "does not exist"),
        ("text.mp4/clip.mp4", "does not exist"),
        ("text.mp4", "cannot be read as a video"),
        ("empty.mp4", "is empty"),
        ("folder.mp4", "is a folder"),
        ("link.mp4", "is a link to a file that does not exist"),
        ("pipe.mp4", "is a pipe"),
        ("photo.jpg", "has a single frame"),
    ):
        with pytest.raises(UserError, match=f"{name} {said}"):
            student.watch(tmp_path / name, work=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_files_that_cannot_be_written_are_said_before_the_video_is_opened(
    results: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(one_video, "decode", lambda *args, **kwargs: pytest.fail("the video was opened"))
    model = results / "student_demo.json"
    shutil.copy(video, tmp_path / "own.png")
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.iterdir())
    for name, said in (
        ("folder.png", "is a folder"),
        ("absent/a.png", "the folder .*absent does not exist"),
        ("own.png/a.png", "own.png"),
        ("own.png", "would be overwritten"),
        (f"{'a' * 250}.png", "name too long"),
    ):
        for option in ("--json", "--picture"):
            with pytest.raises(SystemExit, match=rf"^error: .*{said}.* correct {option}\.$"):
                command(tmp_path / "own.png", "the ball", "--model", model, option, tmp_path / name)
    with pytest.raises(SystemExit, match=r"cannot be written \(.*; correct --json"):
        command(video, "the ball", "--model", model, "--json", "/proc/a.json")
    with pytest.raises(SystemExit, match="is a pipe or a device"):
        command(video, "the ball", "--model", model, "--json", "/dev/null")
    with pytest.raises(SystemExit, match="would be overwritten"):
        command(video, "the ball", "--model", model, "--json", model)
    assert sorted(tmp_path.iterdir()) == before
    assert capsys.readouterr().out == ""


def test_without_a_gpu_the_option_is_named(results: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"^error: .*no GPU; use --device cpu") as said:
        command(video, "the ball", "--model", results / "student_demo.json", "--device", "cuda")
    assert "configuration" not in str(said.value)
    with pytest.raises(UserError, match=r"device='cpu'"):
        Grounder(results / "student_demo.json", device="cuda")
    with pytest.raises(UserError, match="'gpu'"):
        Grounder(results / "student_demo.json", device="gpu")  # type: ignore[arg-type]


def test_features_that_cannot_be_made_like_the_models_are_refused(
    results: Path, video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = model_of(results, "student")

    def watched(change: Any, **options: Any) -> one_video.Video:
        features = {"features": lambda f: {**f, "rgb": change(f["rgb"])}}
        other = Grounder(changed(model, tmp_path / "other.safetensors", **features), device="cpu", **options)
        return other.watch(video)

    with pytest.raises(UserError, match=r"made elsewhere \(clip.h5\).*--features FILE --video-id ID"):
        watched(lambda rgb: {"extractor": "external", "source": "clip.h5"})
    with pytest.raises(UserError, match=r"does not record how its rgb features were made \('code' is missing\)"):
        watched(lambda rgb: {key: value for key, value in rgb.items() if key != "code"})
    with pytest.raises(UserError, match=r"different code of vidistill\.features\.extract.*--any-code"):
        watched(lambda rgb: {**rgb, "code": "0" * 64})
    with pytest.raises(UserError, match=r"different code of vidistill\.video\.decode"):
        watched(lambda rgb: {**rgb, "made_from": {**rgb["made_from"], "code": "0" * 64}})
    watched(lambda rgb: {**rgb, "code": "0" * 64}, any_code=True)
    caplog.clear()
    elsewhere = {"python": "3.8.1", "vidistill": "0.0.1", "torch": "1.9"}
    watched(lambda rgb: {**rgb, "versions": {**rgb["versions"], **elsewhere}})
    assert "torch 1.9 (here 2." in caplog.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no video is given"),
        (("v.mp4", "a box", "--video-id", "v"), "belong together"),
        (("v.mp4", "a box", "--top", "0"), "at least 1"),
        (("v.mp4", "a box", "a ball", "--moment", "0", "1"), "given for 1 of 2 sentences"),
        (("v.mp4", "a box", "--moment", "2", "1"), "--moment 2 1"),
        (("v.mp4", "a box", "--moment", "2", "inf"), "--moment 2 inf"),
        (("v.mp4", "a box"), r"v\.mp4 does not exist"),
        ((__file__, "a box", "--picture", "p.gif"), r"p\.gif: cannot write \.gif"),
        ((__file__, "a box", "--work", "absent"), "absent does not exist"),
        ((__file__, "a box", "--work", __file__), "is not a folder"),
        ((__file__, "a box", "--weights", "absent.pt"), r"absent\.pt does not exist"),
        ((__file__, "a box", "--json", "a.png", "--picture", "a.png"), "a.png"),
        ((__file__,), "no sentence is given"),
        ((__file__, "a box", "--top", "x"), "--top"),
    ],
)
def test_the_command_says_what_is_wrong_in_a_sentence(results: Path, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(SystemExit, match=f"^error: .*{said}"):
        command("--model", results / "student_demo.json", *arguments)
