"""Locating actions in a video, by a model trained on what the tiny demo's workflow made."""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from test_picture import boxes

import small_videos
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.commands import ground_cli, locate_cli, pack, packed, segments_picture
from vidistill.commands.locate import Locator, locate
from vidistill.commands.one_video import Video
from vidistill.mmsd import localise, train

VIDEO = "demo-0006"  # of the test split
LABELS = ("fall", "rise")
SEGMENTS = {"thresholds": [0.02, 0.1, 0.2], "class_threshold": 0.3}


@pytest.fixture(scope="module")
def model(tiny_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and its predictions; labels are as good as any."""
    folder = tmp_path_factory.mktemp("locate")
    videos = pd.read_parquet(tiny_results / "demo/queries.parquet").drop_duplicates("video_id")
    rows = [
        (small_videos.query_id(v, label), v, split, duration, None, label)
        for n, (v, split, duration) in enumerate(videos[["video_id", "split", "duration"]].itertuples(index=False))
        for label in (LABELS if n % 3 == 2 else LABELS[n % 3 : n % 3 + 1])
    ]
    small_videos.write_queries(folder / "queries.parquet", rows)
    files = {key: folder / name for key, name in small_videos.OUTPUTS.items()}
    inputs = ["--queries", folder / "queries.parquet", "--features"]
    for stream in ("rgb", "flow"):
        inputs += [f"{stream}={file}" for file in sorted((tiny_results / f"features/demo/{stream}").glob("*.h5"))]
    outputs = [x for option, file in {**files, "work": folder / "work"}.items() for x in (f"--{option}", file)]
    section = small_videos.section(dataset="demo-actions", seed=3)
    train.main([*map(str, ["--settings", json.dumps(section), *inputs, *outputs])])
    stage = {"device": "cpu", "threads": 1, **SEGMENTS}
    found = ["--predictions", folder / "predictions.parquet", "--detections", folder / "detections.json"]
    options = ["--settings", json.dumps(stage), "--model", files["model"], *inputs, *found]
    localise.main([*map(str, options)])
    return files["model"]


@pytest.fixture(scope="module")
def locator(model: Path) -> Locator:
    return Locator(model, device="cpu", threads=1)


@pytest.fixture(scope="module")
def video(tiny_results: Path) -> Path:
    return next((tiny_results / "demo/videos").glob(f"{VIDEO}.*"))


@pytest.fixture(scope="module")
def watched(locator: Locator, video: Path) -> Video:
    return locator.watch(video)


def features(results: Path) -> list[str]:
    """The shards that have the video, as arguments."""
    files = []
    for stream in ("rgb", "flow"):
        for path in sorted((results / f"features/demo/{stream}").glob("*.h5")):
            with h5py.File(path) as file:
                if store.group_name(VIDEO) in file:
                    files.append(f"{stream}={path}")
    return files


def test_segments_are_the_predictions_of_the_workflow(locator: Locator, watched: Video, model: Path) -> None:
    table = pd.read_parquet(model.with_name("predictions.parquet"))
    expected = table.query("video_id == @VIDEO and stream == 'all' and epoch == epoch.max()").dropna(subset="start")
    answer = locator.ask(watched)
    assert {x.label for x in answer.classes} == set(expected["label"])
    for found in answer.classes:
        rows = expected[expected["label"] == found.label].sort_values("rank")
        np.testing.assert_allclose(found.moments, rows[["start", "end"]], atol=1e-6)
        np.testing.assert_allclose(found.scores, rows["score"], rtol=1e-4)
        assert found.video_score == pytest.approx(rows["video_score"].iloc[0])
    np.testing.assert_array_equal(answer.times, watched.times["rgb"])
    assert set(answer.attention) == {"rgb", "flow", "fused"}


def test_the_threshold_of_classes_is_that_of_the_predictions_or_ones_own(
    model: Path, watched: Video, tmp_path: Path
) -> None:
    def classes(of: Path, threshold: float | None) -> int:
        return len(Locator(of, class_threshold=threshold, device="cpu", threads=1).ask(watched).classes)

    assert [classes(model, threshold) for threshold in (0.0, 1.0)] == [len(LABELS), 1]
    assert Locator(model).segments.class_threshold == 0.3
    alone = shutil.copy(model, tmp_path)
    assert (Locator(alone).segments.class_threshold, len(Locator(alone).segments.thresholds)) == (0.2, 20)
    shutil.copy(model.with_name("predictions.parquet"), tmp_path)
    assert Locator(alone).segments.class_threshold == 0.3
    with pytest.raises(UserError, match="class threshold is 2; use a number from 0 to 1"):
        Locator(model, class_threshold=2)


def command(*arguments: object) -> None:
    locate_cli.main([*map(str, arguments)])


def test_the_command_prints_and_writes_what_was_found(
    model: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, picture = tmp_path / "a.json", tmp_path / "a.png"
    options = ("--top", 1, "--json", file, "--picture", picture, "--class-threshold", 0, "--device", "cpu")
    command(video, "--model", model, *options, "--segment", "fall", 0.5, 1, "--segment", "fall", 2, 3, "--threads", 1)
    said = capsys.readouterr()
    assert "\r" not in said.err
    written = json.loads(file.read_text())
    assert written["model"]["sha256"] == store.file_digest(model)
    assert (written["settings"]["class_threshold"], written["settings"]["thresholds"]) == (0, SEGMENTS["thresholds"])
    assert {x["label"] for x in written["classes"]} == set(LABELS)
    assert len(said.out.splitlines()) == 2 * len(LABELS)
    for about in written["classes"]:
        assert f"{about['label']}   class score {about['score']:.3f}" in said.out
        best = about["segments"][0]
        assert f"{best['start']:.1f} s - {best['end']:.1f} s" in said.out
        assert len(about["activation"]) == len(written["snippets"]) == len(written["attention"]["fused"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    answer = locate(video, model=model, class_threshold=0, device="cpu", threads=1)
    assert [x.label for x in answer.classes] == [x["label"] for x in written["classes"]]


def test_features_give_the_segments_of_their_video(
    model: Path, tiny_results: Path, locator: Locator, watched: Video, tmp_path: Path
) -> None:
    command("--model", model, "--features", *features(tiny_results), "--video-id", VIDEO, "--json", tmp_path / "a.json")
    written = json.loads((tmp_path / "a.json").read_text())
    expected = locate_cli.as_json(locator.ask(watched))
    assert written["classes"] == expected["classes"]
    assert written["snippets"] == expected["snippets"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--segment", "fal", "0", "1"], "the model has no class 'fal'; did you mean 'fall'? it has fall, rise"),
        (["--segment", "fall", "3", "1"], "--segment fall 3 1 does not start before its end"),
        (["--segment", "fall", "x", "1"], "--segment fall x 1 does not start before its end"),
        (["--features", "rgb=a.h5", "--video-id", "v"], "a video and --features are given"),
        (["--top", "0"], "--top and --threads must be at least 1"),
        (["--json", "absent/a.json"], "the folder absent does not exist"),
    ],
)
def test_mistakes_are_said_before_the_video_is_decoded(
    model: Path, video: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match=re.escape(message)):
        command(video, "--model", model, *arguments)


def test_each_command_names_the_other_for_its_models(tiny_results: Path, model: Path, video: Path) -> None:
    with pytest.raises(SystemExit, match="not one of actions; ask it with `vidistill ground`"):
        command(video, "--model", tiny_results / "student_demo.json")
    with pytest.raises(SystemExit, match="reads no sentence; ask it with `vidistill locate`"):
        ground_cli.main([str(video), "the ball falls", "--model", str(model)])


def test_streams_that_do_not_fit_together_are_said(locator: Locator, watched: Video) -> None:
    cut = {**watched.features, "flow": watched.features["flow"][:-2]}
    with pytest.raises(UserError, match="rows of features, which differ by more than one"):
        locator.ask(dataclasses.replace(watched, features=cut))


def rows(**changes: Any) -> list[segments_picture.Row]:
    windows, scores = np.array([(1.0, 3.0), (0.0, 4.5)]), np.array([0.5, -0.25])
    both = segments_picture.Row("CricketBowling", windows, scores, np.linspace(0, 0.3, 10), 0.6, [(0.5, 2), (4, 5)])
    return [dataclasses.replace(both, **changes), segments_picture.Row("a $class_{x} that was missed", truth=[(0, 1)])]


def test_a_picture_has_a_row_for_each_class_with_found_and_true_segments() -> None:
    times = np.stack([np.arange(10.0), np.arange(10.0) + 1], axis=1)
    images = [(i + 0.5, np.full((90, 160, 3), 20 * i, np.uint8)) for i in range(8)]
    figure = segments_picture.timeline("v.mp4", 10.0, times, rows(), images, "model: mmsd")
    bars = [bar for axes in figure.axes for container in axes.containers for bar in container]
    spans = sorted((bar.get_x(), bar.get_x() + bar.get_width(), bool(bar.get_hatch())) for bar in bars)
    assert spans == [(0, 1, True), (0, 4.5, False), (0.5, 2, True), (1, 3, False), (4, 5, True)]
    found = boxes(figure)
    shown = {text.get_text() for text in found}
    assert {"CricketBowling, class score 0.60", "a $class_{x} that was missed: not found", "found", "true"} <= shown
    FigureCanvasAgg(figure).draw()
    width, height = figure.canvas.get_width_height()
    for text, (left, bottom, right, top) in found.items():
        assert min(left, bottom) >= 0, text
        assert right <= width, text
        assert top <= height, text


def test_a_packed_model_finds_segments_as_its_predictions_do(model: Path, tmp_path: Path) -> None:
    about = packed.About({}, store.read_model_metadata(model), store.file_digest(model))
    shutil.copy(model, tmp_path / packed.MODEL)
    own = Locator(tmp_path / packed.MODEL, device="cpu", threads=1).trained.segments
    store.write_json(tmp_path / packed.SETTINGS, pack.settings(model, about))
    found = Locator(tmp_path / packed.MODEL, device="cpu", threads=1).trained.segments
    assert own.class_threshold != found.class_threshold == SEGMENTS["class_threshold"]
    assert list(found.thresholds) == SEGMENTS["thresholds"]
