"""Memory does not grow with a video's length, from file to features; each stage runs as a process of its own."""

import sys
from pathlib import Path

import h5py
import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import stages

pytestmark = pytest.mark.long


@pytest.fixture
def chain(config, monkeypatch):
    """Draw a video and take it from file to features; stage -> cost."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "workflow"))

    def run(folder: Path, seconds: float, fps: float, side: int) -> dict[str, stages.Cost]:
        folder.mkdir()
        stages.draw(folder / "v.mp4", seconds, side * 5 // 4, side, rate=10)
        decode = {**config["decode"], "fps": fps, "short_side": side}
        network = {**config["i3d"], **stages.QUICK["i3d"], "extractor": "i3d", "device": "cpu", "threads": 1}
        motion = {**config["flow"], **stages.QUICK["flow"], "device": "cpu"}
        videos, frames, flow = folder / "v.mp4", folder / "frames.h5", folder / "flow.h5"
        costs = {
            "decode": stages.run("vidistill.video.decode", decode, frames, "--videos", str(videos)),
            "flow": stages.run("vidistill.video.flow", motion, flow, "--frames", str(frames)),
        }
        for kind, file in (("frames", frames), ("flow", flow)):
            output = folder / f"features-{kind}.h5"
            costs[kind] = stages.run(
                "vidistill.features.extract", {**network, "input": kind}, output, "--input", str(file)
            )
            with h5py.File(output) as made:
                (group,) = made.values()
                assert group.attrs["status"] == "ok"
                assert len(group["features"]) == -(-round(seconds * fps) // 2)  # the stride of the first layer
        return costs

    return run


def test_ten_minutes_need_the_memory_of_one(tmp_path, chain):
    one, ten = chain(tmp_path / "one", 60, 10, 96), chain(tmp_path / "ten", 600, 10, 96)
    assert {stage: cost.memory for stage, cost in ten.items() if cost.memory > 1.15 * one[stage].memory} == {}


def test_an_hour_at_a_low_rate_and_size(tmp_path, chain):
    costs = chain(tmp_path / "hour", 3600, 2, 48)
    assert max(cost.memory for cost in costs.values()) < 3000
