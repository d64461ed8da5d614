"""Flow against motion that is known, against DeepMind's own sample, and the stage around it."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import cv2
import h5py
import numpy as np
import pytest
from clips import write
from motion import error, moving

from conftest import ROOT, data, parse
from vidistill.base import store
from vidistill.video import flow as stage
from vidistill.video import frames
from vidistill.video.flow import FlowSettings, write_flow
from vidistill.video.tvl1 import by_opencv
from vidistill.video.tvl1.parameters import quantise


@pytest.fixture(scope="session")
def section(config) -> dict[str, Any]:
    """The section as the stage gets it."""
    return {**config["flow"], "device": "cpu"}


@pytest.fixture(scope="session")
def settings(section) -> FlowSettings:
    return parse(FlowSettings, section, backend="opencv-cpu")


@pytest.fixture(scope="session")
def quick(section) -> FlowSettings:
    """Fewer iterations, for what does not depend on them."""
    return parse(FlowSettings, section, warps=1, outer_iterations=2, inner_iterations=10)


# --- TV-L1


@pytest.mark.parametrize(("u", "v"), [(1.0, 0.0), (0.0, -1.5), (2.5, 1.25), (-3.0, 2.0)])
def test_known_motion(settings, u, v):
    flow = by_opencv.cpu_estimator(settings, 1)(moving(3, u, v))
    assert flow.shape == (2, 64, 80, 2)
    assert flow.dtype == np.float32
    assert error(flow, u, v) < 0.1


def test_no_motion(settings):
    assert np.abs(by_opencv.cpu_estimator(settings, 1)(moving(2, 0, 0))).max() < 1e-3


@pytest.mark.parametrize(("changes", "bound"), [({"warps": 1, "outer_iterations": 2, "inner_iterations": 10}, 0.3)])
def test_parameters_reach_opencv(section, settings, changes, bound):
    pair = moving(2, 2.5, 1.25)
    fewer = by_opencv.cpu_estimator(parse(FlowSettings, section, **changes), 1)(pair)
    usual = by_opencv.cpu_estimator(settings, 1)(pair)
    assert error(usual, 2.5, 1.25) < error(fewer, 2.5, 1.25) < bound
    for name, value in {
        "lambda_": 0.02,
        "theta": 0.8,
        "tau": 0.1,
        "scales": 1,
        "epsilon": 0.5,
        "scale_step": 0.5,
    }.items():
        other = by_opencv.cpu_estimator(parse(FlowSettings, section, **changes, **{name: value}), 1)(pair)
        assert np.abs(other - fewer).max() > 1e-3, name
    made = by_opencv._cpu_object(parse(FlowSettings, section, median_filtering=3, inner_iterations=7))
    assert (made.getMedianFiltering(), made.getInnerIterations(), made.getOuterIterations()) == (3, 7, 10)


def test_defaults_are_opencvs_own(settings):
    ours, theirs = by_opencv._cpu_object(settings), cv2.optflow.DualTVL1OpticalFlow_create()
    getters = [name for name in dir(theirs) if name.startswith("get")]
    assert len(getters) > 10
    assert [getattr(ours, name)() for name in getters] == [getattr(theirs, name)() for name in getters]


def test_threads_and_reuse_do_not_change_the_result(quick):
    video = moving(8, 1.5, 0.5, 40, 48)
    estimate = by_opencv.cpu_estimator(quick, 1)
    once = estimate(video)
    assert np.array_equal(estimate(video), once)
    assert np.array_equal(by_opencv.cpu_estimator(quick, 3)(video), once)
    assert np.array_equal(by_opencv.cpu_estimator(quick, 16)(video), once), "more threads than pairs"
    assert np.array_equal(np.concatenate([estimate(video[:4]), estimate(video[3:])]), once), "in blocks"


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (15, 16), (33, 17)])
def test_odd_and_tiny_sizes(quick, size):
    video = np.random.default_rng(0).integers(0, 255, (3, *size), dtype=np.uint8)
    assert np.isfinite(by_opencv.cpu_estimator(quick, 1)(video)).all()


@pytest.mark.long
def test_deepminds_sample(settings):
    """Their flow of their frames: correlation on the pixels that move by more than one."""

    def gif(name: str) -> np.ndarray:
        with av.open(str(data("videos", f"v_CricketShot_g04_c01_{name}.gif"))) as container:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])

    rgb, theirs = gif("rgb"), (gif("flow")[..., :2] / 255.0 - 0.5) * 20
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in rgb]
    estimate = by_opencv.cpu_estimator(settings, 1)
    starts = range(3, 78, 12)
    ours = np.stack([estimate(np.stack(grey[t : t + 2]))[0] for t in starts])

    def correlation(shift: int, channels: slice) -> float:
        other = theirs[[t + shift for t in starts]][..., channels]
        moved = np.linalg.norm(other, axis=-1) > 1
        return np.corrcoef(ours[moved].ravel(), other[moved].ravel())[0, 1]

    assert correlation(0, slice(0, 2)) > 0.93
    assert max(correlation(-1, slice(0, 2)), correlation(1, slice(0, 2))) < 0.85, "row t is from frame t to t + 1"
    assert correlation(0, slice(None, None, -1)) < 0.5, "u comes first"


# --- Quantisation


def test_quantisation():
    flow = np.float32([-1000, -20, -19.999, -10, 0, 0.0784, 0.0785, 10, 19.99, 20, 1000])
    assert quantise(flow, 20).tolist() == [0, 0, 0, 63, 127, 127, 128, 191, 254, 255, 255]
    assert quantise(flow, 20).dtype == np.uint8
    assert quantise(np.float32([-8, 0, 4, 8]), 8).tolist() == [0, 127, 191, 255]


def test_quantisation_loses_less_than_a_level():
    flow = np.linspace(-20, 20, 10001, dtype=np.float32)
    back = quantise(flow, 20) * (40 / 255) - 20
    assert (flow - back).min() + 1e-5 >= 0
    assert (flow - back).max() < 40 / 255 + 1e-5


# --- OpenCV with CUDA


def test_cuda_gets_pairs_in_order_and_its_parameters_by_place(monkeypatch, quick):
    """A class with the interface of OpenCV's, which computes on the CPU."""
    made = []

    class Matrix:
        def upload(self, array):
            self.array = array.copy()

        def download(self):
            return self.array

    class Dual:
        @staticmethod
        def create(*parameters):
            made.append(parameters)
            return Dual()

        def calc(self, first, second, flow):
            assert flow is None
            result = Matrix()
            result.upload(by_opencv.cpu_estimator(quick, 1)(np.stack([first.array, second.array]))[0])
            return result

    taken = []
    monkeypatch.setattr(cv2.cuda, "setDevice", taken.append)
    monkeypatch.setattr(cv2.cuda, "GpuMat", Matrix)
    monkeypatch.setattr(cv2.cuda, "OpticalFlowDual_TVL1", Dual, raising=False)
    video = moving(5, 1.5, 0.5, 32, 40)
    estimate = by_opencv.cuda_estimator(quick, 1, "cuda:1")
    assert np.array_equal(estimate(video), by_opencv.cpu_estimator(quick, 1)(video))
    assert set(taken) == {1}
    # The order of OpenCV's header: tau, lambda, theta, nscales, warps, epsilon, iterations, scaleStep.
    assert made == [(0.25, 0.15, 0.3, 5, 1, 0.01, 20, 0.8)]


# --- The stage


def frames_file(path: Path, **videos: np.ndarray | None) -> Path:
    """A file as the stage decode writes it, of videos (T, H, W); None: a bad video."""
    with h5py.File(path, "w") as file:
        for video_id, video in videos.items():
            group = file.create_group(store.group_name(video_id))
            group.attrs.update({"video_id": video_id, "status": "ok", "reason": ""})
            if video is None:
                group.attrs.update({"status": "bad", "reason": "no video stream"})
                continue
            images = [(frames.encode(np.repeat(g[..., None], 3, axis=2), "png", 100), 1) for g in video]
            frames.write(group, images, 25.0)
            height, width = video.shape[1:]
            group.attrs.update({"fps": 25.0, "height": height, "width": width, "duration": len(video) / 25})
    return path


def run(arguments: dict, settings: dict) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "vidistill.video.flow", "--settings", json.dumps(settings)]
    command += [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_layout(tmp_path, quick):
    video = moving(40, 2.0, -1.0, 32, 40)  # several blocks
    path = frames_file(tmp_path / "frames.h5", v=video)
    with h5py.File(tmp_path / "flow.h5", "w") as out:
        group = out.create_group("v")
        write_flow("v", group, path=path, settings=quick, backend="opencv-cpu", device="cpu", threads=2)
        got = group["flow"][:]
        assert got.shape == (40, 32, 40, 2)
        assert got.dtype == np.uint8
        assert np.array_equal(got[:-1], quantise(by_opencv.cpu_estimator(quick, 1)(video), quick.bound))
        assert np.array_equal(got[-1], got[-2]), "the last row is repeated"
        assert np.median(got[:, 8:-8, 8:-8], axis=(0, 1, 2)) == pytest.approx([127.5 + 2 * 6.375, 127.5 - 6.375], abs=1)
        assert group["times"][:] == pytest.approx(np.arange(40) / 25)
        assert {name: group.attrs[name] for name in ("backend", "bound", "fps", "width", "status")} == {
            "backend": "opencv-cpu",
            "bound": 20.0,
            "fps": 25.0,
            "width": 40,
            "status": "ok",
        }


@pytest.mark.whole_run
def test_the_stage(tmp_path, section):
    one, two = moving(1, 0, 0, 32, 40), moving(2, 1.0, 0.0, 32, 40)
    path = frames_file(tmp_path / "frames.h5", **{"one.a": one, "two": two, "bad": None})
    done = run({"frames": path, "output": tmp_path / "flow.h5", "work": tmp_path / "work", "workers": 2}, section)
    assert done.returncode == 0, done.stderr
    assert "TV-L1 by numba" in done.stderr
    assert "bad is bad: no video stream" in done.stderr
    with h5py.File(tmp_path / "flow.h5") as out:
        assert json.loads(out.attrs["settings"])["tau"] == 0.25
        found = {group.attrs["video_id"]: group for group in out.values()}
        assert sorted(found) == ["bad", "one.a", "two"]
        assert (found["bad"].attrs["status"], list(found["bad"])) == ("bad", [])
        assert found["one.a"]["flow"].shape == (1, 32, 40, 2)
        assert (found["one.a"]["flow"][:] == 127).all(), "one frame: no motion"
        assert found["two"]["flow"].shape == (2, 32, 40, 2)


@pytest.mark.whole_run
@pytest.mark.parametrize("fast", ["numba", "torch"])
def test_the_stage_by_other_backends(tmp_path, section, fast):
    """Their flow is OpenCV's."""
    path = frames_file(tmp_path / "frames.h5", a=moving(3, 1.5, 0.5, 32, 40), b=moving(2, 1.0, 0.0, 24, 40))
    flow = {}
    for backend in (fast, "opencv-cpu"):
        output = tmp_path / f"{backend}.h5"
        done = run(
            {"frames": path, "output": output, "work": tmp_path / "work", "workers": 2}, {**section, "backend": backend}
        )
        assert done.returncode == 0, done.stderr
        with h5py.File(output) as out:
            flow[backend] = np.concatenate([out[v]["flow"][:].reshape(-1, 2) for v in ("a", "b")]).astype(int)
            assert {group.attrs["backend"] for group in out.values()} == {backend}
            assert (fast in json.loads(out.attrs["versions"])) == (backend == fast)
            assert "device" not in json.loads(out.attrs["settings"])
    assert np.abs(flow[fast] - flow["opencv-cpu"]).mean() < 0.1, "levels of 1/6 pixel"


@pytest.mark.whole_run
def test_a_gpu_backend_runs_in_one_process(tmp_path, section, monkeypatch):
    """Several videos at once by threads, here of a CPU that stands for the GPU; their flow is what workers make."""
    videos = {f"v{i}": moving(3, 1.0 + i / 2, 0.5, 32, 40) for i in range(4)}
    path, given = frames_file(tmp_path / "frames.h5", **videos), []
    fill = stage.shards.fill

    def watched(*positional, **named):
        given.append((named["workers"], named["threads"], named["make"].keywords["threads"]))
        fill(*positional, **named)

    monkeypatch.setattr(stage.shards, "fill", lambda o, w, v, make, **rest: watched(o, w, v, make=make, **rest))
    found = {}
    for kind in ("cuda", "cpu"):
        monkeypatch.setattr(stage.backends, "choose", lambda *_, kind=kind: ("torch", kind))
        monkeypatch.setattr(stage.backends, "take", lambda *_: "cpu")
        arguments = {"settings": json.dumps(section), "frames": path, "output": tmp_path / f"{kind}.h5"}
        arguments |= {"work": tmp_path / "work", "workers": 2}
        stage.main([*(str(x) for key, v in arguments.items() for x in (f"--{key}", v))])
        with h5py.File(tmp_path / f"{kind}.h5") as out:
            found[kind] = {v: out[v]["flow"][:] for v in videos}
    assert given == [(1, stage.VIDEOS_ON_A_GPU, 2), (2, 1, 1)]
    assert all(np.array_equal(found["cuda"][v], found["cpu"][v]) for v in videos)


def test_large_frames_come_in_smaller_chunks(tmp_path, quick, monkeypatch):
    """Memory is bounded in pixels too."""
    video = moving(8, 1.0, 0.5, 32, 40)
    path, seen = frames_file(tmp_path / "frames.h5", v=video), []

    def estimator(*_):
        return lambda grey: seen.append(len(grey)) or np.zeros((len(grey) - 1, 32, 40, 2), np.float32)

    monkeypatch.setitem(stage.BACKENDS, "torch", dataclasses.replace(stage.BACKENDS["torch"], estimator=estimator))
    for pixels, expected in ((2**26, [8]), (3 * 32 * 40, [4, 4, 2]), (1, [2] * 7)):
        seen.clear()
        monkeypatch.setattr(stage, "PIXELS", pixels)
        with h5py.File(tmp_path / "flow.h5", "w") as out:
            group = out.create_group("v")
            write_flow("v", group, path=path, settings=quick, backend="torch", device="cpu", threads=1)
        assert seen == expected


def test_frames_that_are_no_file(tmp_path, section):
    (tmp_path / "frames.h5").write_bytes(b"half a file")
    arguments = {"frames": tmp_path / "frames.h5", "output": tmp_path / "flow.h5", "work": tmp_path / "work"}
    done = run(arguments, section)
    assert done.returncode == 1
    assert "frames.h5" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_finished_videos_are_used_again_only_if_nothing_changed(tmp_path, section, monkeypatch):
    """What an interrupted run finished counts as long as frames, settings and backend are the same."""
    seen = []
    monkeypatch.setattr(stage.shards, "fill", lambda *_, fingerprint, **__: seen.append(fingerprint["v"]))
    monkeypatch.setattr(stage.frames, "report", lambda _: None)
    video = moving(2, 1, 0, 16, 20)

    def fingerprint(video: np.ndarray, **changes) -> str:
        path = frames_file(tmp_path / "frames.h5", v=video)
        text = json.dumps({**section, "backend": "numba", **changes})
        stage.main(["--settings", text, "--frames", str(path), "--output", "o", "--work", "w"])
        return seen[-1]

    first = fingerprint(video)
    assert fingerprint(video) == first == fingerprint(video, backend="auto"), "auto is the backend that it takes"
    assert fingerprint(video[::-1]) != first
    assert fingerprint(video, warps=2) != first


def test_flow_of_a_decoded_video(tmp_path, config, quick):
    """From a file to flow: a texture that moves 2 pixels a frame, shown at half the rate, moves 4."""
    from vidistill.video.decode import DecodeSettings, decode

    images = [np.repeat(grey[..., None], 3, axis=2) for grey in moving(21, 2.0, 0.0, 64, 80)]
    clip = write(tmp_path / "v.mkv", images, rate=20, codec="ffv1", pixels="yuv444p")
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        group = file.create_group("v")
        group.attrs["video_id"] = "v"
        decode("v", group, sources={"v": clip}, settings=parse(DecodeSettings, config["decode"], fps=10, short_side=64))
    with h5py.File(tmp_path / "flow.h5", "w") as out:
        group = out.create_group("v")
        write_flow(
            "v", group, path=tmp_path / "frames.h5", settings=quick, backend="opencv-cpu", device="cpu", threads=1
        )
        pixels = group["flow"][:-1] * (40 / 255) - 20
        assert error(pixels + 20 / 255, 4.0, 0.0) < 0.3
