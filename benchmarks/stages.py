"""What an hour of video costs in each stage from file to features: processor time, memory, disk.

Each stage runs as the workflow runs it, on videos of several lengths that are drawn here (or on a file of your own), so
that the peak memory can be seen not to grow with the length. --quick leaves out most of TV-L1's iterations and the
network behind its first layers: for memory, not for time.

    PYTHONPATH=workflow python benchmarks/stages.py --seconds 20
    PYTHONPATH=workflow python benchmarks/stages.py --seconds 60 600 --quick
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import yaml

CONFIG = Path(__file__).resolve().parent.parent / "config" / "config.yaml"
QUICK = {
    "flow": {"scales": 1, "warps": 1, "outer_iterations": 1, "inner_iterations": 1, "median_filtering": 1},
    "i3d": {"endpoint": "MaxPool3d_2a_3x3"},
}


class Cost(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds
    memory: float  # MB at its peak, of the largest process
    disk: float  # MB


def draw(path: Path, seconds: float, width: int, height: int, rate: int = 30) -> None:
    """A video in which a textured square moves over a textured ground."""
    rng = np.random.default_rng(0)
    large = rng.integers(0, 255, (height // 4 + 64, width // 4 + 64, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "30"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for t in range(int(seconds * rate)):
            offset = t % 200
            picture = large[offset : offset + height, offset // 2 : offset // 2 + width].copy()
            left, side = 3 * t % (width - height // 2), height // 2
            picture[:side, left : left + side] = large[-side:, -side:]
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = t, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def run(module: str, settings: dict[str, Any], output: Path, *arguments: str) -> Cost:
    """A stage as a process of its own."""
    command = [sys.executable, "-m", module, "--settings", json.dumps(settings), "--output", str(output)]
    command += ["--work", str(output.with_suffix(".work")), *arguments]
    started = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{module} failed: {' '.join(command)}")
    disk = output.stat().st_size / 2**20
    return Cost(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**10, disk)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[20.0], help="lengths of the drawn videos")
    parser.add_argument("--size", default="340x256", help="of the drawn videos")
    parser.add_argument("--video", type=Path, help="a file of your own in their place")
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--short-side", type=int, default=256)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--quick", action="store_true")
    a = parser.parse_args()
    config = yaml.safe_load(CONFIG.read_text())
    quick = QUICK if a.quick else {}
    decode = {**config["decode"], "fps": a.fps, "short_side": a.short_side}
    flow = {**config["flow"], **quick.get("flow", {}), "device": "auto"}
    network = {**config["i3d"], **quick.get("i3d", {}), "extractor": "i3d", "device": "auto", "threads": a.workers}
    network["precision"] = a.precision
    workers = ("--workers", str(a.workers))
    print(f"{vars(a)}\n{'':24}{'CPU s/h':>10}{'wall s/h':>10}{'MB disk/h':>11}{'peak MB':>9}   (h: an hour of video)")
    for seconds in a.seconds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            video = a.video or folder / "drawn.mp4"
            if not a.video:
                draw(video, seconds, *map(int, a.size.split("x")))
            costs = {
                "decode": run("vidistill.video.decode", decode, folder / "frames.h5", "--videos", str(video), *workers),
                "flow": run(
                    "vidistill.video.flow", flow, folder / "flow.h5", "--frames", str(folder / "frames.h5"), *workers
                ),
            }
            for kind in ("frames", "flow"):
                costs[f"extract, {kind}"] = run(
                    "vidistill.features.extract",
                    {**network, "input": kind},
                    folder / f"features-{kind}.h5",
                    *("--input", str(folder / f"{kind}.h5")),
                )
            with av.open(video) as container:
                seconds = float(container.duration or 0) / 1e6
            for stage, cost in costs.items():
                cpu, wall, disk = (3600 / seconds * x for x in (cost.cpu, cost.wall, cost.disk))
                print(f"{seconds:7.0f} s {stage:14}{cpu:10.0f}{wall:10.0f}{disk:11.0f}{cost.memory:9.0f}", flush=True)


if __name__ == "__main__":
    main()
