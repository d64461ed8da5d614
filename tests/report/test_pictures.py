"""Frames and flow made anew: equal to those of the stages, and colours that say what they mean."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import data as third_party
from conftest import parse
from vidistill.data.demo import drawing, scenes
from vidistill.report import examples, pictures
from vidistill.video import decode, flow, frames
from vidistill.video.decode import DecodeSettings
from vidistill.video.flow import FlowSettings
from vidistill.video.source import BadVideoError

FLOW = {"backend": "opencv-cpu", "scales": 2, "warps": 1, "outer_iterations": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A short video of the demo in each of its first four formats."""
    folder = tmp_path_factory.mktemp("clips")
    settings = scenes.DemoSettings(seed=3, train_videos=4, test_videos=1, seconds=2.5, noise=2.0)
    found = {}
    for name, clip in zip(scenes.video_files(settings)[:4], scenes.plan(settings), strict=False):
        drawing.encode(clip, folder / name, 2.0)
        found[Path(name).stem] = folder / name
    return found


@pytest.fixture
def settings(config) -> DecodeSettings:
    return parse(DecodeSettings, config["decode"], fps=6, short_side=48)


def stored(path: Path, settings: DecodeSettings, folder: Path) -> h5py.Group:
    """What stage `decode` makes of a video."""
    group = h5py.File(folder / f"{path.name}.h5", "w").create_group("v")
    group.attrs.update({"video_id": "v", "status": "ok", "reason": ""})
    decode.decode("v", group, sources={"v": path}, settings=settings)
    return group


@pytest.mark.parametrize("number", range(4))
def test_frames_are_those_that_decode_stores(clips, settings, tmp_path, number: int):
    path = list(clips.values())[number]
    group = stored(path, settings, tmp_path)
    seconds = examples.middles(float(group.attrs["duration"]), 5)
    found = pictures.read(path, seconds, settings)
    whole = frames.read(group)
    wanted = {found.at(second) for second in seconds}
    assert wanted <= set(found.images) <= wanted | {n + 1 for n in wanted}
    assert found.fps == group.attrs["fps"] == 6
    for n, image in found.images.items():
        assert np.array_equal(image, whole[n])


def test_real_videos_give_the_frames_that_decode_stores(config, tmp_path):
    paths = sorted(path for path in third_party("videos").rglob("*") if path.suffix in (".mp4", ".webm", ".avi"))
    settings = parse(DecodeSettings, config["decode"], fps=5, short_side=64, max_seconds=4)
    compared = 0
    for path in paths[:4]:
        group = stored(path, settings, tmp_path)
        if group.attrs["status"] == "bad":
            continue
        found, whole = pictures.read(path, [0.1, 1.3, 2.2], settings), frames.read(group)
        assert all(np.array_equal(image, whole[n]) for n, image in found.images.items() if n < len(whole))
        compared += len(found.images)
    assert compared


def test_flow_is_that_which_flow_stores(clips, settings, config, tmp_path):
    group = stored(clips["demo-0000"], settings, tmp_path)
    flow_settings = parse(FlowSettings, config["flow"], **FLOW)
    rows = np.concatenate(list(flow.blocks(group, flow_settings, "opencv-cpu", "cpu", 1)))
    images = frames.read(group)
    found = pictures.estimator(flow_settings)(images[3], images[4])
    expected = rows[3] * (2 * flow_settings.bound / 255) - flow_settings.bound
    assert np.abs(found - expected).max() <= flow_settings.bound / 255  # where the file's zero is not quite none
    assert np.abs(found).max() > 0.3


def test_examples_pass_over_what_cannot_be_shown(clips, settings, tmp_path, caplog):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    files = {"a-broken": tmp_path / "broken.mp4", "b": clips["demo-0000"], "d": clips["demo-0001"]}
    durations = dict.fromkeys(["a-broken", "b", "c-absent", "d"], 2.4)
    found = examples.collect(sorted(durations), files, durations, settings, None, videos=2, frames=3)
    assert [example.video_id for example in found] == ["b", "d"]
    assert [len(example.shown) for example in found] == [3, 3]
    assert "no pictures of a-broken: unreadable" in caplog.text
    with pytest.raises(BadVideoError):
        pictures.read(tmp_path / "broken.mp4", [0.0], settings)
    longer = examples.collect(["b"], files, {"b": 100.0}, settings, None, videos=1, frames=40)
    assert len(longer[0].shown) < 3  # what is not there is not made up
    assert examples.draw(longer, 40).axes


def test_a_figure_has_frames_flow_and_their_wheel(clips, settings, config):
    flow_settings = parse(FlowSettings, config["flow"], **FLOW)
    durations = dict.fromkeys(clips, 2.4)
    found = examples.collect(clips, clips, durations, settings, flow_settings, videos=2, frames=3)
    figure = examples.draw(found, 3)
    assert sum(len(axes.images) for axes in figure.axes) == 2 * 3 * 2 + 1
    assert "6 frames per second" in figure.subfigs[0].subfigs[0].get_suptitle()
    assert len(examples.draw([], 3).axes[0].texts) == 1


def test_colours_are_directions_and_speeds():
    flow = np.array([[[0, 0], [5, 0], [-5, 0], [0, 5], [50, 0]]], dtype=float)
    none, right, left, down, fast = pictures.coloured(flow, 10.0)[0]
    assert none.tolist() == [1, 1, 1]
    assert right == pytest.approx([1, 0.5, 0.5])
    assert left == pytest.approx([0.5, 1, 1])
    assert down == pytest.approx([0.75, 1, 0.5])
    assert fast == pytest.approx([1, 0, 0])
    wheel = pictures.wheel(101)
    assert wheel[50, 100] == pytest.approx([1, 0, 0, 1])
    assert wheel[0, 0, 3] == 0


def test_videos_are_spread_over_the_data_set():
    ids = [f"v{i:02d}" for i in range(11)]
    order = examples.spread(reversed(ids), 3)
    assert order[:3] == ["v00", "v05", "v10"]
    assert sorted(order) == ids
    assert examples.spread(["one"], 3) == ["one"]
    assert examples.spread([], 3) == []
    assert examples.spread(ids, 0) == ids


def test_pictures_are_made_small_without_distortion():
    image = np.zeros((100, 400, 3), np.uint8)
    assert pictures.small(image, 200).shape == (50, 200, 3)
    assert pictures.small(image, 400) is image
    assert json.dumps(examples.middles(8.0, 4)) == "[1.0, 3.0, 5.0, 7.0]"


def test_frames_go_through_the_middles_of_moments():
    assert examples.through([], 8.0, 4) == examples.middles(8.0, 4)
    assert examples.through([3.4, 3.6], 8.0, 4) == [1.0, 3.4, 3.6, 7.0]
    assert examples.through([0.5, 0.7, 0.9], 8.0, 2) == [0.5, 0.7]
    assert examples.through([0.5, 0.55], 8.0, 2) == [0.5, 6.0]
