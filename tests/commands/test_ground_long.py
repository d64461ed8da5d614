"""Long videos by windows, several moments and none, with models of the tiny demo."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidistill.base.stage import UserError
from vidistill.commands import ground_cli, windows
from vidistill.commands.ground import Answer, Grounder, Moment
from vidistill.commands.one_video import Video
from vidistill.evaluation.metrics import iou

SENTENCES = ["the green box goes up", "the red ball slides right"]


@pytest.fixture(scope="module", params=["student", "teacher"])
def model(request: pytest.FixtureRequest, tiny_results: Path) -> Path:
    return tiny_results / "demo" / request.param / "seed-0" / "model.safetensors"


@pytest.fixture(scope="module")
def watched(model: Path, tiny_results: Path) -> Video:
    return Grounder(model, device="cpu", threads=1).watch(next((tiny_results / "demo/videos").glob("demo-0006.*")))


def long(video: Video, times: int) -> Video:
    """The video, again and again."""
    features = {stream: np.concatenate([values] * times) for stream, values in video.features.items()}
    return replace(video, duration=video.duration * times, features=features, times={})


def test_a_video_no_longer_than_a_window_is_asked_whole_bit_for_bit(model: Path, watched: Video) -> None:
    grounder = Grounder(model, device="cpu", threads=1)
    about = grounder.trained
    assert about.window is not None
    expected = list(about.ask(about.snippets(watched.features), SENTENCES, grounder.place))
    for window in (about.window, watched.duration, math.inf):
        grounder.window = max(window, watched.duration)
        for found in expected:
            answer = grounder.ask(watched, SENTENCES)[found.row]
            assert found.activation_map is not None
            np.testing.assert_array_equal(answer.activation_map, found.activation_map)
            order = np.argsort(-found.score, kind="stable")
            assert [m.proposal_index for m in answer.moments] == order.tolist()
            for moment, k in zip(answer.moments, order, strict=True):
                bounds = tuple(float(share * watched.duration) for share in found.moments[k])
                assert (moment.start, moment.end, moment.score) == (*bounds, float(found.score[k]))
            assert answer.fit == found.fit


def test_a_long_video_is_asked_by_windows(model: Path, watched: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    grounder = Grounder(model, device="cpu", threads=1, window=watched.duration)
    video = long(watched, 3)
    answers = grounder.ask(video, SENTENCES)
    alone = grounder.ask(watched, SENTENCES)
    size = len(alone[0].activation_map)  # type: ignore[arg-type]
    parts = windows.divide(video.duration, grounder.window)
    assert len(parts) == 5
    for answer, one in zip(answers, alone, strict=True):
        assert len(answer.activation_map) == 3 * size  # type: ignore[arg-type]
        scores = [moment.score for moment in answer.moments]
        assert scores == sorted(scores, reverse=True)
        times = np.array([(moment.start, moment.end) for moment in answer.moments])
        assert times.min() >= 0
        assert times.max() <= video.duration + 1e-6
        overlaps = iou(times[:, None], times[None]) - np.eye(len(times))
        assert overlaps.max() <= windows.OVERLAP
        assert answer.fit is not None
        assert one.fit is not None
        assert answer.fit >= one.fit - 1e-3  # the video itself is one of the windows
        firsts = [(m.start, m.end) for m in one.moments]
        shifted = np.array(firsts)[:, None] + np.array([0.0, 1.0, 2.0])[:, None] * watched.duration
        best = [max(iou(t, shifted.reshape(-1, 2)).max() for t in times) for _ in firsts]
        assert max(best) > 0.99
    monkeypatch.setattr(windows, "AT_ONCE", 2)  # memory is bounded by it; answers do not depend on it
    for answer, expected in zip(grounder.ask(video, SENTENCES), answers, strict=True):
        np.testing.assert_allclose(answer.activation_map, expected.activation_map, atol=1e-5)
        np.testing.assert_allclose([m.score for m in answer.moments], [m.score for m in expected.moments], atol=1e-4)


def answer(fits: list[float], *, bar: float | None, fit: float | None = None) -> Answer:
    """Moments of a second each, which begin half a second after one another."""
    moments = tuple(Moment(k / 2, k / 2 + 1, -k, None, k, value) for k, value in enumerate(fits))
    return Answer("", {}, (), moments, 10.0, None, max(fits) if fit is None else fit, bar)


def test_all_moments_above_the_bar_do_not_overlap() -> None:
    assert [m.proposal_index for m in answer([1, 3, 3, 1, 3, 0, 3], bar=1).above] == [0, 2, 4, 6]
    assert [m.proposal_index for m in answer([0, 3, 3, 1, 3, 0, 3], bar=2).above] == [1, 4, 6]
    assert answer([0, 1], bar=2).above == ()
    assert answer([0, 1], bar=2).in_video is False
    assert [m.proposal_index for m in answer([0, 1], bar=2, fit=2.5).above] == [0]  # in the video, so somewhere
    without = answer([0, 1], bar=None)
    assert (without.in_video, without.above) == (None, ())


def command(*arguments: str | Path) -> None:
    ground_cli.main([*map(str, arguments), "--device", "cpu", "--threads", "1"])


@pytest.fixture(scope="module")
def student(tiny_results: Path) -> Path:
    return tiny_results / "student_demo.json"


@pytest.mark.parametrize("bar", ["-1000", "1000"])
def test_the_command_shows_all_or_says_that_there_is_none(student, tiny_results, tmp_path, capsys, bar) -> None:
    video = next((tiny_results / "demo/videos").glob("demo-0006.*"))
    outputs = [a for s in ("csv", "srt", "html") for a in ("--output", tmp_path / f"a.{s}")]
    options = ("--model", student, "--window", "1", f"--bar={bar}")
    written = ("--json", tmp_path / "a.json", "--picture", tmp_path / "a.png", *outputs)
    command(video, *SENTENCES, *options, "--all", *written)
    said = capsys.readouterr().out
    rows = re.findall(r"^ +\d+ .*?([\d.]+) s - ([\d.]+) s", said, re.MULTILINE)
    found = json.loads((tmp_path / "a.json").read_text())["answers"]
    assert sum(len(one["moments"]) for one in found) == len(rows)
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + len(rows)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    absent = bar == "1000"
    assert said.count("probably not in this video") == (len(SENTENCES) if absent else 0)
    assert {one["in_video"] for one in found} == {not absent}
    assert bool(rows) is not absent
    for one in found:
        times = np.array([(moment["start"], moment["end"]) for moment in one["moments"]]).reshape(-1, 2)
        assert (iou(times[:, None], times[None]) - np.eye(len(times)) <= 0).all()
    command(video, *SENTENCES, *options)
    guess = capsys.readouterr().out
    assert len(re.findall(r"^ +1 ", guess, re.MULTILINE)) == len(SENTENCES), (
        "the best guess is shown if it is asked for"
    )
    assert guess.count("probably not in this video") == (len(SENTENCES) if absent else 0)


def test_what_a_model_cannot_tell_is_said(tiny_results: Path, student: Path, tmp_path: Path) -> None:
    from test_search import without

    video = next((tiny_results / "demo/videos").glob("demo-0006.*"))
    old = without(Grounder(student).trained.path, tmp_path / "old.safetensors", "bar", "bank", "window")
    with pytest.raises(SystemExit, match=r"^error: .*old\.safetensors has no bar"):
        command(video, SENTENCES[0], "--model", old, "--all")
    for window in ("0", "-1", "nan"):
        with pytest.raises(SystemExit, match=r"^error: .*is too short"):
            command(video, SENTENCES[0], "--model", student, f"--window={window}")
    with pytest.raises(UserError, match="finite"):
        Grounder(student, bar=math.nan)
