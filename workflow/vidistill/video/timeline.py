"""The time line of a video: when each picture is shown on a player's clock, from packets, without decoding.

Every time and duration of a video comes from this module. 0 s is where a player's clock begins: at the first picture,
or at the sound if it begins earlier.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, zip_longest
from statistics import median_low
from typing import NamedTuple

import av

MAX_RATE = 1000  # frames per second; a "rate" above is the container's clock
# Seconds. A file's clock was reset or damaged where decoding times fall back by more than BACK or leap by more than
# LEAP and two frames. A leap is a pause of the picture if it lasts at most PAUSE, or LIVE_PAUSE without a header
# (FFmpeg's limit), or up to STATED_PAUSE if the video then ends where the header says.
BACK, LEAP, PAUSE, LIVE_PAUSE, STATED_PAUSE = 0.1, 0.3, 60.0, 10.0, 3600.0
# Containers whose duration FFmpeg computes from the time stamps, so that it confirms nothing.
LIVE = frozenset({"mpegts", "mpeg", "ogg"})
# Streams without a container, whose duration FFmpeg guesses from their size.
BARE = frozenset(
    {"mpegvideo", "m4v", "h261", "h263", "h264", "hevc", "mjpeg", "obu", "av1", "vc1", "dirac", "cavsvideo"}
)
REORDERED = 10.0  # seconds between showing and decoding a picture; more is a damaged time stamp
NEIGHBOURS = 32  # packets among which encoders reorder
ENCODER_DELAY = Fraction(1, 20)  # seconds by which sound may begin early because of its codec
ROUNDING, SOUND = 0.1, 0.5  # seconds by which a video may be shorter than its stream, or its container, states


class Packet(NamedTuple):
    """A packet's times and duration, in ticks of its stream."""

    shown: int | None
    decoded: int | None
    duration: int  # 0: not stated


class Piece(NamedTuple):
    """A packet whose picture is shown."""

    number: int
    time: int
    duration: int


class Part(NamedTuple):
    """Packets with a continuous clock; both spans are (begin, end) in ticks."""

    pieces: list[Piece]
    decoded: tuple[int, int]
    shown: tuple[int, int]


@dataclass(frozen=True)
class Timeline:
    """When the pictures of a video are shown, in seconds on a player's clock.

    Attributes:
        times: of each packet; None if it shows nothing.
        end: when the last picture ends: the duration of the video.
        jumps: how often the clock was reset or damaged; pictures after a jump follow those before it.
        missing: stated minus actual seconds of video; 0 within rounding or if the file states nothing.
    """

    times: tuple[Fraction | None, ...]
    end: Fraction
    jumps: int
    missing: float

    @property
    def pictures(self) -> int:
        """Number of packets that show something."""
        return sum(time is not None for time in self.times)

    @property
    def instants(self) -> int:
        """Number of different times at which packets show something."""
        return len({time for time in self.times if time is not None})

    def gaps(self, seen: set[int]) -> Iterator[tuple[float, float]]:
        """(from, until) in seconds where no packet gave a picture, if longer than rounding.

        Args:
            seen: packets that gave a picture. Single others are normal: a second field, or a reference frame.
        """
        order = sorted((time, index) for index, time in enumerate(self.times) if time is not None)
        begin, count = None, 0
        for time, index in [*order, (self.end, -1)]:
            if index >= 0 and index not in seen:
                begin, count = (time if begin is None else begin), count + 1
                continue
            if begin is not None and count > 1 and time - begin > ROUNDING:
                yield float(begin), float(time)
            begin, count = None, 0


def rate(stream: av.VideoStream) -> Fraction | None:
    """Frames per second stated by the file, or None."""
    rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return next((found for found in rates if found and 0 < found <= MAX_RATE), None)


def build(
    packets: Sequence[Packet | None], container: av.container.InputContainer, stream: av.VideoStream, last: float
) -> Timeline | None:
    """The time line of a stream; None if no packet shows anything.

    Args:
        packets: of the stream, in file order; None for packets that show nothing.
        last: seconds on the file's clock when the last packet of any stream ends.
    """
    base = stream.time_base or Fraction(1, 1000)
    second = 1 / base
    durations = [packet.duration for packet in packets if packet and packet.duration]
    usual = median_low(durations) if durations else round(second / (rate(stream) or MAX_RATE))
    leap = max(round(LEAP * second), 2 * usual)
    parts = _parts(packets, second, usual, leap)
    if not parts:
        return None
    live = container.format.name in LIVE
    stated, own = _stated_end(container, stream)
    pause, confirmed = (LIVE_PAUSE, 0.0) if live else (PAUSE, (stated or 0.0) + ROUNDING)
    offsets, jumps = _joined(parts, second, leap, pause, confirmed)
    times: list[int | None] = [None] * len(packets)
    for part, offset in zip(parts, offsets, strict=True):
        for piece in part.pieces:
            times[piece.number] = piece.time + offset
    end = max(part.shown[1] + offset for part, offset in zip(parts, offsets, strict=True))
    first = min(time for time in times if time is not None) * base
    begin = min([first, *_other_starts(container, stream)])
    if first - begin <= min(usual * base, ENCODER_DELAY) or (first - begin > pause and end * base > confirmed):
        begin = first
    missing, slack = 0.0, ROUNDING if own or not container.streams.audio else SOUND
    if stated is not None and not jumps:
        missing = stated - (float(end * base) if own else max(last, float(end * base)))
    if abs(missing) <= slack:
        missing = 0.0
    return Timeline(
        tuple(None if time is None else time * base - begin for time in times), end * base - begin, jumps, missing
    )


def _parts(packets: Sequence[Packet | None], second: Fraction, usual: int, leap: int) -> list[Part]:
    by_decoding = any(packet and packet.decoded is not None for packet in packets)
    # Without decoding times, presentation times are used, which fall back by some frames between packets.
    back = (BACK if by_decoding else 5 * BACK) * second
    parts: list[tuple[list[Piece], list[int]]] = []
    following = 0  # when a packet without any time is shown
    for index, packet in enumerate(packets):
        if packet is None:
            continue
        now = packet.decoded if by_decoding else packet.shown
        time = next((t for t in (packet.shown, packet.decoded) if t is not None), following)
        if packet.decoded is not None and not _plausible(time, index, packets, REORDERED * second):
            time = packet.decoded
        if not parts or (now is not None and parts[-1][1] and not -back <= now - parts[-1][1][-1] <= leap):
            parts.append(([], []))
        pieces, clock = parts[-1]
        pieces.append(Piece(index, time, packet.duration or usual))
        clock += [] if now is None else [now]
        following = time + pieces[-1].duration
    for (before, clock), (behind, later) in pairwise(parts):
        if clock and later and later[0] - clock[-1] > leap:  # pictures after a leap may be decoded before it
            middle = (clock[-1] + later[0]) / 2
            early, late = ([p for p in before + behind if (p.time < middle) == side] for side in (True, False))
            if early and late:
                before[:], behind[:] = early, late
    found = []
    for number, (pieces, clock) in enumerate(parts, 1):
        times = [piece.time for piece in pieces]
        last = pieces[-1].duration
        if last > leap and number < len(parts):  # the duration covers the leap after it
            last = usual
        clock = clock or times
        found.append(Part(pieces, (clock[0], clock[-1] + last), (min(times), max(times) + last)))
    return found


def _plausible(time: int, index: int, packets: Sequence[Packet | None], limit: float | Fraction) -> bool:
    """Whether a picture is shown about when it, or one of its neighbours, is decoded."""
    own = packets[index]
    if own and own.decoded is not None and abs(time - own.decoded) <= limit:
        return True
    near = packets[max(0, index - NEIGHBOURS) : index + NEIGHBOURS]  # after a pause it may be decoded before the pause
    return any(p is not None and p.decoded is not None and abs(time - p.decoded) <= limit for p in near)


def _joined(parts: Sequence[Part], second: Fraction, leap: int, pause: float, stated: float) -> tuple[list[int], int]:
    """(offset for the times of each part, number of parts that do not continue the clock).

    Args:
        pause: the longest plausible pause without a header, seconds.
        stated: when the video ends on the file's clock, according to its header, seconds.
    """
    offsets, offset, jumps = [0], 0, 0
    clock, end = parts[0].decoded[1], parts[0].shown[1]
    for part, behind in zip_longest(parts[1:], parts[2:]):
        gap, length = part.decoded[0] + offset - clock, part.decoded[1] - part.decoded[0]
        closed = end - part.shown[0]
        goes_on = -BACK * second <= gap <= leap
        if behind and not goes_on and abs(behind.decoded[0] + offset - clock - length) <= leap:
            own, jumps = closed, jumps + 1  # an excursion: after it, the clock is where it would have been without it
        elif -BACK * second <= gap <= (STATED_PAUSE if part.shown[1] + offset <= stated * second else pause) * second:
            own = offset
        else:
            own = offset = closed
            jumps += 1
        offsets.append(own)
        clock, end = part.decoded[1] + own, max(end, part.shown[1] + own)
    return offsets, jumps


def _stated_end(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[float | None, bool]:
    """The stated end of the video in seconds on the file's clock, and whether it is stated for this stream."""
    if container.format.name in BARE:
        return None, False
    if stream.duration is not None and stream.time_base:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base), True
    if tag := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):  # Matroska
        return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]), True
    if container.duration is not None:  # headers count from 0; FFmpeg counts from the first time stamp
        start = container.start_time or 0 if container.format.name in LIVE else 0
        return (start + container.duration) / av.time_base, False
    return None, False


def _other_starts(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[Fraction]:
    """The begins of the other audio and video streams, in seconds on the file's clock."""
    for other in container.streams:
        is_other = other.type in ("audio", "video") and other.index != stream.index
        if is_other and other.start_time is not None and other.time_base is not None:
            yield other.start_time * other.time_base
