"""Stage `flow`: TV-L1 optical flow between a shard's frames, quantised as the published flow networks expect it."""

import functools
import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import h5py
import numpy as np

from vidistill.base import code, shards, store
from vidistill.base.settings import parse
from vidistill.base.stage import arguments, run
from vidistill.settings.flow import FlowSettings
from vidistill.video import frames
from vidistill.video.tvl1 import backends
from vidistill.video.tvl1.backends import BACKENDS
from vidistill.video.tvl1.parameters import quantise

PIXELS = 2**26  # at once: half a gigabyte of flow
# PyTorch computes one video while others are read and written, which takes longer.
VIDEOS_ON_A_GPU = 3
CHUNK_BYTES = 2**18  # of one HDF5 chunk: what one read must unpack
# Flow is smooth and mostly near zero: on real clips gzip at level 1 divides its size by 6 to 22 (lzf: 4 to 16) and
# costs 1 ms a frame, where TV-L1 by Numba costs 50.
COMPRESSION = {"compression": "gzip", "compression_opts": 1}


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--frames", type=Path, required=True, help="a shard's frames, as stage decode writes them")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args(argv)
    settings = parse(FlowSettings, args.settings)
    backend, kind = backends.choose(settings.backend, settings.device)
    on_gpu = kind == "cuda"
    inputs = {v: json.dumps(_plain(group.attrs), sort_keys=True) for v, group in frames.videos(args.frames)}
    attributes = describe(settings, backend, frames.origin(args.frames))
    shards.fill(
        args.output,
        args.work,
        inputs,
        functools.partial(
            write_flow,
            path=args.frames,
            settings=settings,
            backend=backend,
            device=backends.take(backend, kind),
            # For shards with few videos: also over pairs. With a GPU, threads decode frames.
            threads=args.workers if on_gpu else max(1, args.workers // max(1, len(inputs))),
        ),
        fingerprint={v: store.digest(attributes["settings"], attributes["code"], i) for v, i in inputs.items()},
        attributes=attributes,
        workers=1 if on_gpu else args.workers,  # one process per GPU
        threads=VIDEOS_ON_A_GPU if on_gpu and backend == "torch" else 1,
    )
    frames.report(args.output)


def describe(settings: FlowSettings, backend: str, origin: dict[str, str]) -> dict[str, str]:
    """How flow is computed, for a file's attributes; `origin` describes the frames."""
    made = settings.model_dump(exclude={"device"})
    versions = {"opencv": cv2.__version__}
    if backend in ("numba", "torch"):
        versions[backend] = importlib.metadata.version(backend)
    return {
        "settings": json.dumps({**made, "backend": backend}, sort_keys=True),
        "code": code.digest("vidistill.video.flow"),
        "versions": json.dumps(versions),
        "made_from": json.dumps(origin, sort_keys=True),
    }


def write_flow(
    video_id: str, group: h5py.Group, *, path: Path, settings: FlowSettings, backend: str, device: str, threads: int
) -> None:
    """Write a video's quantised flow (layout in docs/architecture.md); for a bad video, only its status and reason."""
    with h5py.File(path, "r") as file:
        video = file[store.group_name(video_id)]
        group.attrs.update(video.attrs)
        if video.attrs["status"] == "bad":
            return
        group.attrs.update({"backend": backend, "bound": settings.bound})
        count, height, width = len(video["frames"]), int(video.attrs["height"]), int(video.attrs["width"])
        group["times"] = video["times"][:]
        flow = group.create_dataset(
            "flow",
            (count, height, width, 2),
            np.uint8,
            chunks=(min(count, max(1, CHUNK_BYTES // (2 * height * width))), height, width, 2),
            **COMPRESSION,
        )
        start = 0
        for rows in blocks(video, settings, backend, device, threads):
            flow[start : start + len(rows)] = rows
            start += len(rows)


def blocks(video: h5py.Group, settings: FlowSettings, backend: str, device: str, threads: int) -> Iterator[np.ndarray]:
    """Yield a video's quantised flow in blocks (n, H, W, 2), T rows in all: the last row is repeated."""
    count, height, width = len(video["frames"]), int(video.attrs["height"]), int(video.attrs["width"])
    pairs = max(1, min(BACKENDS[backend].pairs, PIXELS // (height * width)))
    estimate = BACKENDS[backend].estimator(settings, threads, device)
    last = quantise(np.zeros((height, width, 2), np.float32), settings.bound)  # of a single frame
    with ThreadPoolExecutor(threads) as readers:
        for start in range(0, count - 1, pairs):
            grey = _grey(frames.read(video, start, start + pairs + 1, readers))
            rows = quantise(estimate(grey), settings.bound)
            yield rows
            last = rows[-1]
    yield last[None]


def _grey(images: np.ndarray) -> np.ndarray:
    """(n, H, W, 3) RGB -> (n, H, W), both uint8."""
    return np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images])


def _plain(attributes: h5py.AttributeManager) -> dict[str, str | int | float]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}


if __name__ == "__main__":
    run(main)
