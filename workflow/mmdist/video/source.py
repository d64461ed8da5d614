"""One video file, decoded frame by frame, with an account of what is wrong with it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition

# What PyAV raises over damaged files; IndexError when a stream appears behind the header.
DAMAGE = (av.FFmpegError, OSError, ValueError, IndexError)
# Seconds by which a video may fall short of the duration that its stream, or the container as a whole, declares.
ROUNDING, SOUND = 0.1, 1.0
TOO_LONG = 1.5  # times the declared duration
MAX_RATE = 1000  # frames a second; a "rate" above is the container's clock


class BadVideoError(Exception):
    """Nothing of the video can be used; the text says why."""


@dataclass
class Account:
    """What was met while decoding."""

    decoded: int = 0
    damaged: int = 0  # decoded, but with errors that the decoder concealed
    lost: int = 0  # packets that could not be decoded
    jumps: list[Fraction] = field(default_factory=list)  # of the timestamps, in seconds
    stopped: str = ""  # why reading ended before the file did


class Source:
    """An open video file.

    Attributes:
        codec: FFmpeg's name of it.
        rate: frames a second as the file has it, None where it does not say.
        declared: seconds of video that the file says it has, None where it does not say.
        account: filled while `frames` runs.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, whole: bool) -> None:
        self._container, self._stream, self._whole = container, stream, whole
        self.codec = stream.codec_context.name
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        self.rate = next((rate for rate in rates if rate and 0 < rate <= MAX_RATE), None)
        self.declared, self._slack = _declared(container, stream)
        self.account = Account()

    def frames(self) -> Iterator[tuple[Fraction | None, Fraction, av.VideoFrame]]:
        """(timestamp or None, duration, frame) in the decoder's order, seconds; what cannot be decoded is left out."""
        base = self._stream.time_base or Fraction(1, 1000)
        usual = 1 / self.rate if self.rate else Fraction(0)
        for frame in self._decoded():
            # Without a timestamp of its own a frame shows when it was decoded, as files of old codecs have it.
            ticks = frame.pts if frame.pts is not None else frame.dts
            duration = frame.duration * base if frame.duration > 0 else usual
            self.account.decoded += 1
            self.account.damaged += frame.is_corrupt
            yield None if ticks is None else ticks * base, duration, frame

    def _decoded(self) -> Iterator[av.VideoFrame]:
        try:
            for packet in self._container.demux(self._stream):
                try:
                    images = packet.decode()
                except DAMAGE:
                    self.account.lost += 1
                    continue
                yield from images
        except DAMAGE as error:
            self.account.stopped = f"reading failed ({type(error).__name__})"

    def shortcoming(self, seconds: float) -> str:
        """What is missing from or wrong with the video, empty when nothing is.

        Args:
            seconds: for which the decoded frames are shown.
        """
        found = [self.account.stopped]
        if jumps := len(self.account.jumps):
            found.append(f"the timestamps jump {'once' if jumps == 1 else f'{jumps} times'}")
        elif self.declared is not None and seconds < self.declared - self._slack:
            found.append(f"decoded {seconds:.2f} s of {self.declared:.2f} s")
        elif self.declared is not None and seconds > TOO_LONG * self.declared + self._slack:
            found.append(f"the timestamps run to {seconds:.2f} s of {self.declared:.2f} s")
        elif not self._whole:
            found.append("the file's end is missing")
        if self.account.lost:
            found.append(f"{self.account.lost} packets could not be decoded")
        if self.account.damaged:
            found.append(f"{self.account.damaged} of {self.account.decoded} frames are damaged")
        return ", ".join(filter(None, found))


@contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Source]:
    """The file's best video stream.

    Raises:
        BadVideoError: if there is none, or its frames exceed `max_pixels`.
    """
    if not path.is_file():  # a pipe or device would block for ever
        raise BadVideoError("dangling link" if path.is_symlink() else "no such file")
    try:
        # Absolute, so that a ":" is no protocol; only files, so that a text with links does not reach the network.
        container = av.open(str(path.absolute()), options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except DAMAGE as error:
        raise BadVideoError(f"unreadable ({getattr(error, 'strerror', None) or type(error).__name__})") from error
    with container:
        stream = _best(container)
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > max_pixels:
            raise BadVideoError(f"frames of {width}x{height} exceed decode.max_pixels")
        stream.codec_context.thread_count = 1  # results must not depend on the cores; workers go over videos
        yield Source(container, stream, _is_whole(path, container))


def _best(container: av.container.InputContainer) -> av.VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise BadVideoError("no video stream")
    if not (streams := [s for s in streams if s.codec_context is not None]):
        raise BadVideoError("no decoder for its codec")
    best = container.streams.best("video")
    return best if best in streams else streams[0]


def _declared(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[float | None, float]:
    """Seconds of video that the file says it has, and by how much that may exceed what is there."""
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base), ROUNDING
    if tag := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):  # Matroska
        return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]), ROUNDING
    if container.duration is not None:  # the sound's, where there is any
        return container.duration / av.time_base, SOUND if container.streams.audio else ROUNDING
    return None, 0.0


def _is_whole(path: Path, container: av.container.InputContainer) -> bool:
    """GIF declares neither length nor count, only an end mark; padding may follow it."""
    if container.format.name != "gif":
        return True
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 1024))
        return file.read().rstrip(b"\0").endswith(b";")


def display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """How a player turns and mirrors the frame: FFmpeg's matrix (3, 3) in fixed point, None for not at all."""
    data: Any = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]
    return None if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3).astype(np.int64)


def upright(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Turn and mirror an image (H, W, 3) as a display matrix says, to the nearest right angle."""
    if matrix is None:
        return image
    (a, b), (c, d) = matrix[:2, :2]  # (x, y) goes to (a x + c y, b x + d y): FFmpeg's libavutil/display.h
    if abs(a) + abs(d) < abs(b) + abs(c):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
