"""The demo's files: they decode to what was planned, show what their sentences say, and are the same each time."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from conftest import ROOT, parse
from vidistill.data.annotations import table
from vidistill.data.demo import actions, demo, drawing
from vidistill.data.demo.scenes import (
    ACTIONS,
    COLOURS,
    FORMATS,
    MOTION,
    SHAPES,
    STANDING,
    DemoSettings,
    Event,
    Video,
    plan,
    video_files,
)


class Made(NamedTuple):
    settings: DemoSettings
    planned: list[Video]
    videos: Path
    annotations: Path
    actions: Path


@pytest.fixture(scope="module")
def made(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One video of each format, with room for both splits."""
    folder = tmp_path_factory.mktemp("demo")
    settings = parse(DemoSettings, config["demo"], train_videos=len(FORMATS) - 3, test_videos=3, seconds=5)
    demo.make(settings, folder / "videos", folder / "annotations.csv")
    actions.main(["--settings", settings.model_dump_json(), "--output", str(folder / "actions.csv")])
    return Made(settings, plan(settings), folder / "videos", folder / "annotations.csv", folder / "actions.csv")


def decoded(path: Path) -> tuple[np.ndarray, list[Fraction]]:
    """Frames (T, H, W, 3) and their presentation times after the first one's."""
    pictures, times = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            pictures.append(frame.to_ndarray(format="rgb24"))
            times.append(frame.pts * frame.time_base)
    return np.stack(pictures), [time - times[0] for time in times]


def mask(pictures: np.ndarray, colour: str) -> np.ndarray:
    """(..., H, W) bool, the pixels that have about a colour of the demo."""
    distance = pictures.astype(np.int32) - drawing.RGB[colour]
    return np.square(distance).sum(-1) < 65**2


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_are_those_that_the_settings_name(made: Made):
    assert sorted(os.listdir(made.videos)) == sorted(video_files(made.settings))


@pytest.mark.parametrize("index", range(len(FORMATS)))
def test_a_file_decodes_to_its_planned_frames(made: Made, index: int):
    video, form = made.planned[index], FORMATS[index]
    pictures, times = decoded(made.videos / video.file)
    assert pictures.shape == (len(video.times), form.height, form.width, 3)
    assert np.array(times, float) == pytest.approx(np.array(video.times, float), abs=0.0006)  # WebM counts milliseconds
    assert 4.4 <= len(times) / form.rate <= 5.6
    with av.open(str(made.videos / video.file)) as container:
        stream = container.streams.video[0]
        assert stream.codec.name == av.codec.Codec(form.codec, "w").canonical_name
        assert form.container in container.format.name.split(",")
        assert float(container.duration / av.time_base) == pytest.approx(float(len(times) / form.rate), abs=0.07)


def test_frame_rates_are_constant_but_for_the_variable_one(made: Made):
    for video in made.planned:
        steps = np.diff(np.array(video.times, float))
        assert (np.ptp(steps) > 0.02) == video.format.variable
        assert steps.mean() == pytest.approx(float(1 / video.format.rate), rel=0.02)


@pytest.mark.parametrize("index", range(len(FORMATS)))
def test_an_object_is_on_screen_in_its_events_and_at_no_other_time(made: Made, index: int):
    video = made.planned[index]
    pictures, _ = decoded(made.videos / video.file)
    times = np.array(video.times, float)
    for colour in COLOURS:
        events = [event for event in video.events if event.colour == colour]
        shown = np.zeros(len(times), bool)
        for event in events:
            shown |= (event.start <= times) & (times < event.end)
        share = mask(pictures, colour).mean((1, 2))
        assert shown.any() == bool(events)
        assert np.all(share[shown] > 0.008), colour
        assert np.all(share[~shown] < 0.002), colour


def scene(action: str, shape: str = "box", seconds: float = 2.0, colour: str = "red") -> tuple[Video, np.ndarray]:
    """A video in which one object does one thing from beginning to end, and its frames as drawn."""
    times = tuple(Fraction(n, 25) for n in range(round(25 * seconds)))
    events = (Event(colour, shape, action, 0.0, seconds),)
    video = Video("demo-0000", "demo-0000.mp4", "train", FORMATS[0], times, events, scene=3)
    return video, np.stack(list(drawing.frames(video, noise=2)))


def displacement(shown: np.ndarray) -> np.ndarray:
    """(T - 1, 2) steps (x, y) of an object's centre; edges that meet count as neighbours."""
    height, width = shown.shape[1:]
    y, x = np.mgrid[:height, :width]
    steps = []
    for grid, size in ((x, width), (y, height)):
        centre = (shown * np.exp(2j * np.pi * grid / size)).sum((1, 2))
        steps.append(np.angle(centre[1:] / centre[:-1]) * size / (2 * np.pi))
    return np.stack(steps, 1)


@pytest.mark.parametrize(
    ("action", "direction"), [("left", (-1, 0)), ("right", (1, 0)), ("up", (0, -1)), ("down", (0, 1))]
)
def test_objects_go_where_the_sentence_says(action: str, direction: tuple[int, int]):
    video, pictures = scene(action)
    steps = displacement(mask(pictures, "red"))
    expected = np.array(direction) * drawing.SLIDE * video.format.height / 25
    assert steps.mean(0) == pytest.approx(expected, abs=0.05)
    assert steps @ direction == pytest.approx(abs(expected).max(), abs=0.7)  # a box's rows appear whole


def test_growing_begins_anew_and_anew():
    area = mask(scene("grows")[1], "red").sum((1, 2))
    assert np.mean(np.diff(area) > 0) > 0.9  # all but the leaps back
    assert area.max() > 4 * area.min()


def test_shaking_goes_to_and_fro():
    steps = displacement(mask(scene("shakes")[1], "red"))
    assert np.abs(steps[:, 0]).max() > 2
    assert abs(steps[:, 0].mean()) < 0.3
    assert np.abs(steps[:, 1]).max() < 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_spinning_shows_on_every_shape_and_standing_is_standing(shape: str):
    """By the share of pixels that were the object's and are no more, or the other way round."""
    changes = {}
    for action in ("spins", "stands"):
        shown = mask(scene(action, shape)[1], "red")
        assert np.abs(displacement(shown)).max() < 1.5
        changes[action] = np.mean((shown[1:] != shown[:-1]).sum((1, 2)) / shown[1:].sum((1, 2)))
    assert changes["stands"] < 0.01
    assert changes["spins"] > 0.06


def test_objects_are_large_and_their_colours_apart():
    for shape in SHAPES:
        for colour in COLOURS:
            picture = scene("stands", shape, 0.04, colour)[1]
            shares = {other: mask(picture, other).mean() for other in COLOURS}
            assert 0.02 < shares.pop(colour) < 0.1
            assert max(shares.values()) < 0.002
    assert set(drawing.RGB) == set(COLOURS)


def test_every_action_is_drawn_differently_from_standing():
    still = scene("stands")[1][10]
    for action in ACTIONS:
        assert np.mean(np.abs(scene(action)[1][10].astype(int) - still).max(-1) > 40) > 0.005, action


def test_backgrounds_differ_between_videos_and_stand_still(made: Made):
    backdrops = [next(drawing.frames(video, 0)).mean((0, 1)) for video in made.planned]
    apart = [np.abs(a - b).max() for i, a in enumerate(backdrops) for b in backdrops[:i]]
    assert np.median(apart) > 8
    video, _ = scene("stands")
    quiet = np.stack(list(drawing.frames(video, noise=0))).astype(int)
    assert np.mean(np.any(quiet != quiet[0], axis=(0, 3))) < 0.05  # but for the small ball that drifts
    noisy = np.stack(list(drawing.frames(video, noise=3))).astype(int)
    assert (noisy - quiet).std() == pytest.approx(3, rel=0.1)


def test_the_table_is_one_that_users_write(made: Made):
    with open(made.annotations, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["video", "sentence", "start", "end", "split", "kind"]
    assert {row["kind"] for row in rows} == {"appearance", "motion"}
    read = table.read(str(made.annotations), "train")
    planned = [(v, e) for v in made.planned for e in v.events if e.sentence]
    assert len(read) == len(planned)
    for row, (video, event) in zip(read, planned, strict=True):
        assert (row.video_id, row.split, row.sentence) == (video.video_id, video.split, event.sentence)
        assert (row.start, row.end) == (event.start, event.end)


def test_labels_say_what_happens_and_which_object_is_there(made: Made):
    read = table.read(str(made.actions), "train", "label")
    assert {(row.video_id, row.split) for row in read} == {(v.video_id, v.split) for v in made.planned}
    of_actions = {wordings[0].removeprefix("the {} "): action for action, wordings in MOTION.items()}
    for video in made.planned:
        rows = [row for row in read if row.video_id == video.video_id]
        did = [(of_actions[row.label], row.start, row.end) for row in rows if row.label in of_actions]
        assert did == [(e.action, e.start, e.end) for e in video.events if e.action != STANDING]
        for colour in COLOURS:
            shown = [(row.start, row.end) for row in rows if row.label == f"{colour} object"]
            events = [event for event in video.events if event.colour == colour]
            assert all(any(start <= e.start and e.end <= end for start, end in shown) for e in events)
            away = [b - a for (_, a), (b, _) in pairwise(shown)]
            assert all(seconds >= actions.AWAY for seconds in away)
            gaps = sum(b.start - a.end for a, b in pairwise(events) if b.start - a.end < actions.AWAY)
            assert sum(b - a for a, b in shown) == pytest.approx(sum(e.end - e.start for e in events) + gaps)
        assert len(rows) == len(did) + sum(row.label.endswith(" object") for row in rows)


def test_every_label_is_frequent_in_both_splits(config: dict[str, Any]):
    planned = plan(parse(DemoSettings, config["demo"]))
    counts = {
        split: Counter(
            label for v in planned if v.split == split for label in {x[0] for x in actions.segments(v.events)}
        )
        for split in ("train", "test")
    }
    assert len(counts["train"]) == len(ACTIONS) + len(COLOURS)
    assert counts["train"].keys() == counts["test"].keys()
    assert min(counts["train"].values()) >= 40
    assert min(counts["test"].values()) >= 10


def test_made_again_it_is_the_same_byte_for_byte(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In processes of its own, over files that an interrupted run left, with other leftovers in memory."""
    monkeypatch.setenv("MALLOC_PERTURB_", "170")  # what glibc fills new memory with: some encoders read it
    videos = tmp_path / "other videos"
    videos.mkdir()
    (videos / made.planned[0].file).write_bytes(b"half")
    demo.make(made.settings, videos, tmp_path / "table.csv", workers=2)
    assert files(videos) == files(made.videos)
    assert (tmp_path / "table.csv").read_bytes() == made.annotations.read_bytes()


def test_no_file_tells_when_or_by_which_version_it_was_made(made: Made):
    for name, content in files(made.videos).items():
        with av.open(str(made.videos / name)) as container:
            assert not any("time" in key or "date" in key for key in container.metadata), name
        assert b"Lavf6" not in content, name
        assert b"Lavc6" not in content, name


def test_a_run_that_breaks_leaves_whole_files_and_no_table(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    draw = drawing.frames

    def breaking(video: Video, noise: float) -> Any:
        for n, picture in enumerate(draw(video, noise)):
            if video.video_id == "demo-0001" and n == 20:
                raise KeyboardInterrupt
            yield picture

    monkeypatch.setattr(drawing, "frames", breaking)
    with pytest.raises(KeyboardInterrupt):
        demo.make(made.settings, tmp_path / "videos", tmp_path / "table.csv")
    assert os.listdir(tmp_path) == ["videos"]
    name = made.planned[0].file
    assert files(tmp_path / "videos") == {name: (made.videos / name).read_bytes()}


def command(tmp_path: Path, settings: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    where = ["--videos", str(tmp_path / "videos"), "--annotations", str(tmp_path / "table.csv"), "--workers", "1"]
    return subprocess.run(
        [sys.executable, "-m", "vidistill.data.demo.demo", "--settings", json.dumps(settings), *where],
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
    )


def test_the_command_line(config: dict[str, Any], tmp_path: Path):
    settings = {**config["demo"], "train_videos": 1, "test_videos": 1, "seconds": 2}
    done = command(tmp_path, settings)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path / "videos")) == ["demo-0000.mp4", "demo-0001.avi"]
    assert (tmp_path / "table.csv").exists()


def test_the_command_line_says_what_is_wrong_in_one_sentence(config: dict[str, Any], tmp_path: Path):
    failed = command(tmp_path, {**config["demo"], "test_videos": 0})
    assert failed.returncode == 1
    assert failed.stderr.strip().splitlines()[-1].startswith("error: test_videos: 0 should be greater")
    assert os.listdir(tmp_path) == []
