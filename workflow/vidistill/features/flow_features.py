"""Stage `flow_features`: features of a shard's optical flow, computed from its frames without storing the flow."""

import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from vidistill.base import device, shards, store
from vidistill.base import settings as settings_module
from vidistill.base.stage import arguments, run
from vidistill.features import extract, networks, options, tracked
from vidistill.features.networks import Extractor
from vidistill.settings.extract import AnySettings
from vidistill.video import flow, frames
from vidistill.video.flow import FlowSettings
from vidistill.video.tvl1 import backends


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--frames", type=Path, required=True, help="a shard's frames, as stage decode writes them")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--weights", nargs="*", help="all files in the settings; if given, no others are read")
    parser.add_argument("--workers", type=int, default=1, help="threads that compute flow, or read frames for a GPU")
    args = parser.parse_args(argv)
    sections = json.loads(args.settings)  # the settings of both stages
    settings = options.read(json.dumps(sections["extract"]))
    flow_settings = settings_module.parse(FlowSettings, json.dumps(sections["flow"]))
    tracked.check_listed(settings, args.weights)
    backend, kind = backends.choose(flow_settings.backend, flow_settings.device)
    where = device.choose(settings.device, settings.threads)
    extractor = networks.build(settings, where)
    inputs, origin = extract.identities(args.frames)
    provenance = extract.describe(settings, extractor, flow.describe(flow_settings, backend, origin))
    shards.fill(
        args.output,
        args.work,
        inputs,
        functools.partial(
            write,
            path=args.frames,
            extractor=extractor,
            settings=settings,
            flow_settings=flow_settings,
            backend=backend,
            place=str(where) if where.type == kind else backends.take(backend, kind),
            threads=args.workers,
        ),
        fingerprint={video_id: store.digest(provenance, identity) for video_id, identity in inputs.items()},
        attributes={"provenance": provenance, "files": extract.files(extractor)},
        threads=extract.VIDEOS_ON_A_GPU if where.type == "cuda" else 1,
    )
    frames.report(args.output)


def write(
    video_id: str,
    group: h5py.Group,
    *,
    path: Path,
    extractor: Extractor,
    settings: AnySettings,
    flow_settings: FlowSettings,
    backend: str,
    place: str,
    threads: int,
) -> None:
    """Write one video's features, like stage `flow` followed by `extract`; `place` is the device of the flow."""
    with h5py.File(path, "r") as file:
        video = file[store.group_name(video_id)]
        group.attrs.update(video.attrs)
        if video.attrs["status"] == "bad":
            return
        group.attrs.update({"backend": backend, "bound": flow_settings.bound})
        rows = InOrder(flow.blocks(video, flow_settings, backend, place, threads))
        extract.write_features(group, video, rows, extractor, settings)


class InOrder:
    """Rows of consecutive blocks, by ranges whose starts never decrease; earlier rows are discarded."""

    def __init__(self, blocks: Iterator[np.ndarray]):
        self._blocks, self._rows, self._first = blocks, next(blocks), 0

    def __call__(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop` (exclusive)."""
        while self._first + len(self._rows) < stop:
            passed = min(max(start - self._first, 0), len(self._rows))
            self._rows = np.concatenate([self._rows[passed:], next(self._blocks)])
            self._first += passed
        return self._rows[start - self._first : stop - self._first]


if __name__ == "__main__":
    run(main)
