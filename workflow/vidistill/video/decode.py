"""Stage `decode`: the frames of a shard's videos, at a constant rate and size.

Output frame k is the frame that a player shows at k/fps seconds, whatever the spacing of the video's own frames.
Pixels are assumed square, as in the published features.
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
    """Video id (the file's stem, in NFC) -> file.

    Raises:
        UserError: two files have the same stem.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if (video_id := nfc(path.stem)) in found:
            raise UserError(f"{found[video_id]} and {path} have the same video id {video_id!r}; rename or remove one.")
        found[video_id] = path
    return found


def identity(path: Path) -> str:
    """A digest of the file's content, which survives copying, unlike the modification time."""
    try:
        return store.file_digest(path) if path.is_file() else "absent"
    except OSError as error:
        return f"unreadable: {error.strerror}"


def decode(video_id: str, group: h5py.Group, *, sources: Mapping[str, Path], settings: DecodeSettings) -> None:
    """Decode one video into its group, in the layout of docs/architecture.md; a bad video gets status and reason."""
    cv2.setNumThreads(1)  # workers process videos in parallel
    try:
        with opened(sources[video_id], settings.max_pixels) as source:
            _decode(group, source, settings)
    except BadVideoError as bad:
        group.clear()
        group.attrs.pop("frames_digest", None)
        group.attrs.update({"status": "bad", "reason": str(bad)})


@dataclass
class _Video:
    """Sizes and seconds of the frames written so far."""

    source_size: tuple[int, int] = (0, 0)  # width, height
    size: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    cut: str = ""


def _decode(group: h5py.Group, source: Source, settings: DecodeSettings) -> None:
    fps, video = output_rate(source, settings), _Video()
    if source.timeline.pictures > source.timeline.instants == 1:
        raise BadVideoError(f"zero duration: its {source.timeline.pictures} frames all have the same time")
    if not frames.write(group, _encoded(source, fps, settings, video), float(fps)):
        raise BadVideoError(source.shortcoming() or "no frames")
    reason = video.cut or source.shortcoming()
    group.attrs.update(
        {
            "status": "partial" if reason else "ok",
            "reason": reason,
            "fps": float(fps),
            "width": video.size[0],
            "height": video.size[1],
            "duration": video.seconds,
            "source_width": video.source_size[0],
            "source_height": video.source_size[1],
            "source_fps": float(source.rate or 0),
            "source_codec": source.codec,
            "source_frames": source.account.frames,
        }
    )


def _encoded(
    source: Source, fps: Fraction, settings: DecodeSettings, video: _Video
) -> Iterator[tuple[np.ndarray, int]]:
    """(encoded image, number of times it is shown); the first frame determines size and orientation."""
    matrix = None
    for frame, count in resample(_until(Fraction(settings.max_seconds), source.shown(), video), fps):
        if video.size == (0, 0):
            video.source_size, matrix = (frame.width, frame.height), display_matrix(frame)
            width, height = target_size(frame.width, frame.height, settings)
        if max(frame.width * frame.height, width * height) > settings.max_pixels:
            raise BadVideoError(f"frames of {frame.width}x{frame.height} as {width}x{height} exceed decode.max_pixels")
        if count or video.size == (0, 0):
            try:
                image = upright(_rgb(frame, width, height), matrix)
                encoded = frames.encode(image, settings.encoding, settings.jpeg_quality)
            except (*DAMAGE, cv2.error) as error:
                raise BadVideoError(f"frames of pixel format {frame.format.name} cannot be converted") from error
            video.size = image.shape[1], image.shape[0]
            yield encoded, count


def _until(stop: Fraction, shown: Iterable[Span], video: _Video) -> Iterator[Span]:
    for start, end, frame in shown:
        if start >= stop:
            video.cut = f"longer than decode.max_seconds, cut at {float(stop):g} s"
            return
        video.seconds = float(min(end, stop))
        yield start, min(end, stop), frame


def _rgb(frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
    # FFmpeg's bilinear filter widens for shrinking, like PIL's; OpenCV's would alias.
    return frame.reformat(width, height, "rgb24", interpolation="BILINEAR", threads=1).to_ndarray()


def output_rate(source: Source, settings: DecodeSettings) -> Fraction:
    """Output frames per second; decimals such as 29.97 become the exact fractions.

    Raises:
        BadVideoError: the file's own rate is wanted, and the file states none.
    """
    if settings.fps is not None:
        return Fraction(settings.fps).limit_denominator(1001)
    if source.rate is None:
        raise BadVideoError("the file states no frame rate; set decode.fps")
    return source.rate


def target_size(width: int, height: int, settings: DecodeSettings) -> tuple[int, int]:
    """Width and height after resizing; the long side is rounded down, as in DeepMind's sample."""
    short = min(width, height)
    if settings.short_side is None or (settings.resize == "at_least" and short >= settings.short_side):
        return width, height
    return width * settings.short_side // short, height * settings.short_side // short


if __name__ == "__main__":
    run(main)
