"""Decode one video file frame by frame, with an account of its flaws."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.codec.context import Flags
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition

from vidistill.video import timeline
from vidistill.video.timeline import Packet, Timeline, rate
from vidistill.video.timing import spans

# PyAV's exceptions for damaged files; IndexError if a stream appears after the header.
DAMAGE = (av.FFmpegError, OSError, ValueError, IndexError)
TOO_LONG = 1.5  # times the stated duration
UNREAD, HIDDEN = 0.2, 0.1  # shares of a file's bytes and pictures; larger shares are reported
STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


class BadVideoError(Exception):
    """The video cannot be used; the text says why."""


@dataclass
class Account:
    """Counts and flaws of reading and decoding."""

    decoded: set[int] = field(default_factory=set)  # packets that gave a picture
    frames: int = 0
    damaged: int = 0  # frames with errors that the decoder concealed
    lost: int = 0  # packets that could not be decoded
    stopped: str = ""  # why reading ended before the end of the file
    read: int = 0  # bytes of the file up to the end of its last packet
    flaw: str = ""  # of the file as a whole


class Source:
    """An open video file.

    Attributes:
        codec: FFmpeg's name.
        rate: frames per second stated by the file, or None.
        timeline: when pictures are shown.
        account: filled while `shown` runs.
    """

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, line: Timeline, account: Account
    ) -> None:
        self._container, self._stream = container, stream
        self.codec, self.rate, self.timeline, self.account = stream.codec_context.name, rate(stream), line, account

    def shown(self) -> Iterator[tuple[Fraction, Fraction, av.VideoFrame]]:
        """(start, end, frame) as a player shows them, in seconds, from 0 to the end of the video.

        Where a picture cannot be decoded, the one before it is held.
        """
        return spans(self._frames(), self.timeline.end)

    def _frames(self) -> Iterator[tuple[Fraction, av.VideoFrame]]:
        times = self.timeline.times
        for index, frame in self._decoded():
            self.account.decoded.add(index)
            self.account.frames += 1
            self.account.damaged += frame.is_corrupt
            if index < len(times) and (time := times[index]) is not None:
                yield time, frame

    def _decoded(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """(number of its packet, frame) in the decoder's order."""
        self._stream.codec_context.flags |= Flags.copy_opaque
        try:
            for index, packet in enumerate(self._container.demux(self._stream)):
                if packet.size == 0 and packet.pts is not None:
                    self.account.decoded.add(index)  # the picture before it is shown again
                    continue  # a decoder would treat it as the end
                packet.opaque = index
                try:
                    images = packet.decode()
                except DAMAGE:
                    self.account.lost += 1
                    continue
                for image in images:
                    yield (image.opaque if isinstance(image.opaque, int) else index), image
        except DAMAGE as error:
            self.account.stopped = f"reading failed ({type(error).__name__})"

    def shortcoming(self) -> str:
        """What is missing or wrong in the decoded video; empty if nothing is."""
        account, line = self.account, self.timeline
        found = [account.stopped]
        end = float(line.end)
        if line.jumps:
            found.append(f"the timestamps jump {'once' if line.jumps == 1 else f'{line.jumps} times'}")
        elif line.missing > 0:
            found.append(f"decoded {end:.2f} s of {end + line.missing:.2f} s")
        elif end > TOO_LONG * (end + line.missing) + 1:
            found.append(f"the timestamps run to {end:.2f} s of {end + line.missing:.2f} s")
        found.append(account.flaw)
        if (hidden := line.pictures - line.instants) > HIDDEN * line.pictures:
            found.append(f"{hidden} of {line.pictures} pictures have the time of another")
        gaps = [f"{start:.2f}-{stop:.2f} s" for start, stop in line.gaps(account.decoded)]
        if gaps:
            more = f" and {len(gaps) - 3} more" if len(gaps) > 3 else ""
            found.append(f"{', '.join(gaps[:3])}{more} cannot be decoded")
        if account.lost:
            found.append(f"{account.lost} packet{'' if account.lost == 1 else 's'} could not be decoded")
        if account.damaged:
            found.append(f"{account.damaged} of {account.frames} frames are damaged")
        return ", ".join(filter(None, found))


@contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Source]:
    """Open the file's best video stream.

    Raises:
        BadVideoError: it does not exist, shows nothing, or its frames exceed `max_pixels`.
    """
    account = Account()
    with _container(path) as container:  # read to its end, so decoding needs another one
        index, line = _best_stream(container, account)
        account.flaw = _flaw(path, container, account.read)
    with _container(path) as container:
        stream = container.streams[index]
        assert isinstance(stream, av.VideoStream)
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > max_pixels:
            raise BadVideoError(f"frames of {width}x{height} exceed decode.max_pixels")
        stream.codec_context.thread_count = (
            1  # results must not depend on the cores; workers process videos in parallel
        )
        yield Source(container, stream, line, account)


def duration(path: Path) -> Fraction:
    """Seconds of video, from the time line that decoding uses. Nothing is decoded.

    Raises:
        BadVideoError: the file cannot be read, or has no video.
    """
    with _container(path) as container:
        return _best_stream(container, Account())[1].end


@contextmanager
def _container(path: Path) -> Iterator[av.container.InputContainer]:
    if not path.is_file():  # a pipe or device would block forever
        kinds = {"dangling link": path.is_symlink() and not path.exists(), "not a file": path.exists()}
        raise BadVideoError(next((kind for kind, is_it in kinds.items() if is_it), "no such file"))
    try:
        # Absolute, so that ":" is not read as a protocol; files only, so that playlists do not reach the network.
        container = av.open(str(path.absolute()), options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except DAMAGE as error:
        raise BadVideoError(f"unreadable ({getattr(error, 'strerror', None) or type(error).__name__})") from error
    with container:
        yield container


def _best_stream(container: av.container.InputContainer, account: Account) -> tuple[int, Timeline]:
    """The index of the container's best video stream, and its time line. All packets are read, but not decoded."""
    streams = [s for s in container.streams.video if not s.disposition & STILL]
    if not streams:
        raise BadVideoError("no video stream")
    if not (streams := [s for s in streams if s.codec_context is not None]):
        raise BadVideoError("no decoder for its codec")
    packets: dict[int, list[Packet | None]] = {stream.index: [] for stream in streams}
    last = 0.0
    try:
        for packet in container.demux():
            account.read = max(account.read, (packet.pos or 0) + packet.size)
            if packet.pts is not None and packet.time_base:
                last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index in packets:
                shows = not packet.is_discard and (packet.size > 0 or packet.pts is not None)
                found = Packet(packet.pts, packet.dts, packet.duration or 0) if shows else None
                packets[packet.stream_index].append(found)
    except DAMAGE as error:
        account.stopped = f"reading failed ({type(error).__name__})"
    pictures = {stream: sum(packet is not None for packet in packets[stream.index]) for stream in streams}
    stream = container.streams.best("video")
    if not isinstance(stream, av.VideoStream) or pictures.get(stream, 0) < 2:  # it may be a thumbnail
        stream = max(streams, key=lambda s: pictures[s])
    if (line := timeline.build(packets[stream.index], container, stream, last)) is None:
        raise BadVideoError(account.stopped or "no frames")
    return stream.index, line


def _flaw(path: Path, container: av.container.InputContainer, read: int) -> str:
    """Flaws that FFmpeg does not report: the file ends early, or goes on after byte `read`."""
    size, form = path.stat().st_size, container.format.name
    with open(path, "rb") as file:
        if form == "gif":  # it states no length and no count, only an end mark, which padding may follow
            file.seek(max(0, size - 1024))
            return "" if file.read().rstrip(b"\0").endswith(b";") else "the file's end is missing"
        if "mp4" in form and sum(kind == b"moov" for kind in _boxes(file, size)) > 1:
            return "another video follows in the file, which no player shows"
    block = {"flv": 0, "matroska,webm": 1 << 13, "asf": 1 << 16}  # bytes that an index, or padding, may take
    if form in block and size - read > max(UNREAD * size, block[form]):
        return f"{size - read} bytes after its end are not read"
    return ""


def _boxes(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The types of an MP4 file's boxes (ISO/IEC 14496-12, 4.2)."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        yield kind
        if length == 1 and place + 16 <= size:
            (length,) = struct.unpack(">Q", file.read(8))
        if length < 8:  # 0: until the file's end
            return
        place += length


def display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """How a player rotates and mirrors the frame: FFmpeg's matrix (3, 3) in fixed point, or None."""
    data: Any = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]
    return None if data is None else np.frombuffer(bytes(data), np.int32).reshape(3, 3).astype(np.int64)


def upright(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Rotate and mirror an image (H, W, 3) by a display matrix, to the nearest right angle."""
    if matrix is None:
        return image
    (a, b), (c, d) = matrix[:2, :2]  # (x, y) goes to (a x + c y, b x + d y): FFmpeg's libavutil/display.h
    if abs(a) + abs(d) < abs(b) + abs(c):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
