"""Stage `decode`: the videos of a shard as frames at a constant rate and size.

A frame of the output is the one that a player shows at k/fps seconds, whatever the spacing of the video's own frames.
Pixels are taken as square, as the published features have them.
"""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import h5py
import numpy as np

from vidistill.base import code, shards, store
from vidistill.base.settings import parse
from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError, arguments, run
from vidistill.settings.decode import DecodeSettings
from vidistill.video import frames
from vidistill.video.source import DAMAGE, BadVideoError, Source, display_matrix, opened, upright
from vidistill.video.timing import resample

Span = tuple[Fraction, Fraction, av.VideoFrame]  # start, end in seconds


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--videos", type=Path, nargs="*", default=[], help="video files; their stems are the video ids")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args(argv)
    settings = parse(DecodeSettings, args.settings)
    sources = by_id(args.videos)
    text = json.dumps(settings.model_dump(), sort_keys=True)
    digest = code.digest("vidistill.video.decode")
    shards.fill(
        args.output,
        args.work,
        sources,
        functools.partial(decode, sources=sources, settings=settings),
        fingerprint={v: store.digest(text, digest, identity(path)) for v, path in sources.items()},
        attributes={"settings": text, "code": digest, "versions": json.dumps(store.versions("av", "h5py", "numpy"))},
        workers=args.workers,
    )
    frames.report(args.output)


def by_id(paths: list[Path]) -> dict[str, Path]:
    """Video id, which is the file's stem in NFC, to file.

    Raises:
        UserError: if two files have the same stem.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if (video_id := nfc(path.stem)) in found:
            raise UserError(f"video id {video_id!r} is that of {found[video_id]} and of {path}; rename or remove one.")
        found[video_id] = path
    return found


def identity(path: Path) -> str:
    """A digest of the file's content: unlike its time of change, it survives a copy to another disk."""
    try:
        return store.file_digest(path) if path.is_file() else "absent"
    except OSError as error:
        return f"unreadable: {error.strerror}"


def decode(video_id: str, group: h5py.Group, *, sources: Mapping[str, Path], settings: DecodeSettings) -> None:
    """Decode one video into its group, as docs/architecture.md lays it out; a bad one gets a status and a reason."""
    cv2.setNumThreads(1)  # workers go over videos
    try:
        with opened(sources[video_id], settings.max_pixels) as source:
            _decode(group, source, settings)
    except BadVideoError as bad:
        group.clear()
        group.attrs.pop("frames_digest", None)
        group.attrs.update({"status": "bad", "reason": str(bad)})


@dataclass
class _Film:
    """What the frames written so far show."""

    source_size: tuple[int, int] = (0, 0)  # width, height
    size: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    cut: str = ""


def _decode(group: h5py.Group, source: Source, settings: DecodeSettings) -> None:
    fps, film = output_rate(source, settings), _Film()
    if source.timeline.pictures > source.timeline.instants == 1:
        raise BadVideoError(f"zero duration: its {source.timeline.pictures} frames all have the same time")
    if not frames.write(group, _encoded(source, fps, settings, film), float(fps)):
        raise BadVideoError(source.shortcoming() or "no frames")
    reason = film.cut or source.shortcoming()
    group.attrs.update(
        {
            "status": "partial" if reason else "ok",
            "reason": reason,
            "fps": float(fps),
            "width": film.size[0],
            "height": film.size[1],
            "duration": film.seconds,
            "source_width": film.source_size[0],
            "source_height": film.source_size[1],
            "source_fps": float(source.rate or 0),
            "source_codec": source.codec,
            "source_frames": source.account.frames,
        }
    )


def _encoded(source: Source, fps: Fraction, settings: DecodeSettings, film: _Film) -> Iterator[tuple[np.ndarray, int]]:
    """(encoded image, number of times that it is shown); size and orientation are the first frame's."""
    matrix = None
    for frame, count in resample(_until(Fraction(settings.max_seconds), source.shown(), film), fps):
        if film.size == (0, 0):
            film.source_size, matrix = (frame.width, frame.height), display_matrix(frame)
            width, height = target_size(frame.width, frame.height, settings)
        if max(frame.width * frame.height, width * height) > settings.max_pixels:
            raise BadVideoError(f"frames of {frame.width}x{frame.height} as {width}x{height} exceed decode.max_pixels")
        if count or film.size == (0, 0):
            try:
                image = upright(_rgb(frame, width, height), matrix)
                encoded = frames.encode(image, settings.encoding, settings.jpeg_quality)
            except (*DAMAGE, cv2.error) as error:
                raise BadVideoError(f"frames of pixel format {frame.format.name} cannot be converted") from error
            film.size = image.shape[1], image.shape[0]
            yield encoded, count


def _until(stop: Fraction, shown: Iterable[Span], film: _Film) -> Iterator[Span]:
    for start, end, frame in shown:
        if start >= stop:
            film.cut = f"longer than decode.max_seconds, cut at {float(stop):g} s"
            return
        film.seconds = float(min(end, stop))
        yield start, min(end, stop), frame


def _rgb(frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
    # FFmpeg's bilinear filter widens when it shrinks, as PIL's does; OpenCV's would alias.
    return frame.reformat(width, height, "rgb24", interpolation="BILINEAR", threads=1).to_ndarray()


def output_rate(source: Source, settings: DecodeSettings) -> Fraction:
    """Frames a second of the output; 29.97 and the like as the fractions that they stand for.

    Raises:
        BadVideoError: if it should be the file's own rate and there is none.
    """
    if settings.fps is not None:
        return Fraction(settings.fps).limit_denominator(1001)
    if source.rate is None:
        raise BadVideoError("it states no frame rate; set decode.fps")
    return source.rate


def target_size(width: int, height: int, settings: DecodeSettings) -> tuple[int, int]:
    """Width and height after resizing; the long side is rounded down, as in DeepMind's sample."""
    short = min(width, height)
    if settings.short_side is None or (settings.resize == "at_least" and short >= settings.short_side):
        return width, height
    return width * settings.short_side // short, height * settings.short_side // short


if __name__ == "__main__":
    run(main)
