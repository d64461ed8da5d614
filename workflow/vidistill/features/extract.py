"""Stage `extract`: I3D, C3D or CLIP features of a shard's videos, from frames or optical flow."""

import functools
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vidistill.base import code, device, shards, store
from vidistill.base.stage import UserError, arguments, run
from vidistill.features import clip, networks, options, tracked, windows
from vidistill.features.networks import Extractor
from vidistill.settings.extract import AnySettings, CLIPSettings
from vidistill.video import frames

log = logging.getLogger(__name__)

# At the same time: one is computed while the next is read. Most videos are too short to read ahead within them.
VIDEOS_ON_A_GPU = 2


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--input", type=Path, required=True, help="a shard's frames or flow, as written by stage decode or flow"
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--weights", nargs="*", help="all files in the settings; if given, no others are read")
    args = parser.parse_args(argv)
    settings = options.read(args.settings)
    tracked.check_listed(settings, args.weights)
    where = device.choose(settings.device, settings.threads)
    extractor = networks.build(settings, where)
    inputs, origin = identities(args.input)
    provenance = describe(settings, extractor, origin)
    shards.fill(
        args.output,
        args.work,
        inputs,
        functools.partial(extract, path=args.input, extractor=extractor, settings=settings),
        fingerprint={video_id: store.digest(provenance, identity) for video_id, identity in inputs.items()},
        attributes={"provenance": provenance, "files": files(extractor)},
        threads=VIDEOS_ON_A_GPU if where.type == "cuda" else 1,
    )
    frames.report(args.output)


def describe(settings: AnySettings, extractor: Extractor, origin: dict[str, str]) -> str:
    """The provenance of the features as JSON: everything they depend on besides the video.

    Args:
        origin: how the frames or the flow were made.
    """
    found = settings.model_dump()
    more = clip.PACKAGES if isinstance(settings, CLIPSettings) else ()
    return json.dumps(
        {
            "extractor": settings.extractor,
            "input": settings.input,
            "endpoint": "embedding" if isinstance(settings, CLIPSettings) else settings.endpoint,
            "pretrained": "weights" in extractor.files,
            **{f"{name}_sha256": _digest(extractor.files.get(name)) for name in tracked.FILES if name in found},
            **extractor.about,
            "settings": {name: value for name, value in found.items() if name not in (*tracked.FILES, *tracked.WHERE)},
            "code": code.digest("vidistill.features.extract"),
            "versions": store.versions("h5py", "numpy", "opencv-contrib-python-headless", "torch", *more),
            "made_from": origin,
        },
        sort_keys=True,
    )


def files(extractor: Extractor) -> str:
    """Paths of the extractor's files as JSON, to find them again; not part of the provenance."""
    return json.dumps(extractor.files, sort_keys=True)


def _digest(path: str | None) -> str | None:
    return store.file_digest(path) if path else None


def extract(video_id: str, group: h5py.Group, *, path: Path, extractor: Extractor, settings: AnySettings) -> None:
    """Write one video's features in the layout of docs/architecture.md; for a bad video, only status and reason.

    Raises:
        UserError: as `write_features`.
    """
    with h5py.File(path, "r") as file, ThreadPoolExecutor(settings.threads) as readers:
        video = file[store.group_name(video_id)]
        group.attrs.update(video.attrs)

        def images(start: int, stop: int) -> np.ndarray:
            return frames.read(video, start, stop, readers) if settings.input == "frames" else video["flow"][start:stop]

        if video.attrs["status"] != "bad":
            write_features(group, video, images, extractor, settings)


def write_features(
    group: h5py.Group,
    video: h5py.Group,
    images: Callable[[int, int], np.ndarray],
    extractor: Extractor,
    settings: AnySettings,
) -> None:
    """Write `features` and `times` of one video.

    Args:
        video: its `times` and attributes are read.
        images: frames or flow from `start` to `stop` (exclusive); starts never decrease.

    Raises:
        UserError: a feature does not fit into the file's dtype.
    """
    times, fps = video["times"][:], float(video.attrs["fps"])
    pieces = extractor.pieces(len(times))
    features = np.concatenate(list(_vectors(images, len(times), pieces, extractor)))
    with np.errstate(over="ignore"):  # overflows are found below
        features = features.astype(settings.dtype)
    if not np.isfinite(features).all():
        raise UserError(
            f"{video.file.filename}: features of video {video.attrs['video_id']!r} are not finite in {settings.dtype}; "
            "set dtype: float32, or check the weights."
        )
    spans = windows.covered(pieces, extractor.grid, len(times))
    group["features"] = features
    group["times"] = windows.seconds(spans, times, fps, float(video.attrs.get("duration", np.nan)))


def _vectors(
    images: Callable[[int, int], np.ndarray], count: int, pieces: list[windows.Piece], extractor: Extractor
) -> Iterator[np.ndarray]:
    """(n, D) float32 per piece of `count` images. The next part is read while the network computes."""

    def clips(part: list[windows.Piece]) -> np.ndarray:
        start, stop, index = windows.frames_of(part, count)
        return extractor.prepare(images(start, stop))[index]

    batches = [(batch, windows.parts(batch, extractor.part)) for batch in windows.batches(pieces, extractor.batch)]
    made = _ahead([part for _, parts in batches for part in parts], clips)
    for batch, parts in batches:
        vectors = extractor(itertools.islice(made, len(parts)), batch[0].stop - batch[0].start)
        for piece, of_piece in zip(batch, vectors, strict=True):
            yield of_piece[piece.first : piece.last]


def _ahead(items: list[Any], make: Callable[[Any], np.ndarray]) -> Iterator[np.ndarray]:
    """make(item) of each; the next item is already being made."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, items[0])
        for following in [*items[1:], None]:
            made = coming.result()
            if following is not None:
                coming = pool.submit(make, following)
            yield made


def identities(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Video id -> text that changes with its frames or flow; and the provenance of the file.

    Raises:
        UserError: it is not a file of frames or flow.
    """
    # The attributes hold a digest of the frames. Flow follows from the frames and its settings.
    found = {video_id: json.dumps(_plain(group.attrs), sort_keys=True) for video_id, group in frames.videos(path)}
    return found, frames.origin(path)


def _plain(attributes: h5py.AttributeManager) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}


if __name__ == "__main__":
    run(main)
