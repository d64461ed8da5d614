"""When each frame is shown: timestamps mended and put in order, then resampled to a constant rate.

All times are exact fractions of a second: floating point would let a frame that is due at k/fps slip to k+1.
"""

import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeVar

T = TypeVar("T")

# Containers that count in milliseconds round: a frame that is due within one counts as shown.
TOLERANCE = Fraction(1, 1000)
# Frames that wait for an earlier timestamp; encoders reorder over fewer, and each waiting frame costs memory.
WINDOW = 8


def mended(
    frames: Iterable[tuple[Fraction | None, Fraction, T]], max_gap: Fraction, jumps: list[Fraction] | None = None
) -> Iterator[tuple[Fraction, Fraction, T]]:
    """Give every frame a plausible time.

    A frame without a timestamp, or whose timestamp jumps by more than `max_gap` seconds (a damaged one, or a
    discontinuity of a transport stream), follows its predecessor after that one's duration, and so do those behind it.

    Args:
        frames: (timestamp or None, duration, frame) in the decoder's order, in seconds.
        max_gap: seconds.
        jumps: takes the seconds of each jump that was closed.

    Yields:
        (time, duration, frame) in the same order.
    """
    offset = Fraction(0)
    expected: Fraction | None = None  # the time of the next frame, were it to follow without a gap
    previous = Fraction(0)
    stamped = False
    for stamp, duration, frame in frames:
        if expected is None:
            time = stamp or Fraction(0)
        elif stamp is None:
            time = expected
        elif not stamped:
            time, offset = expected, expected - stamp
        elif abs(jump := stamp + offset - previous) > max_gap:
            time, offset = expected, expected - stamp
            if jumps is not None:
                jumps.append(jump)
        else:
            time = stamp + offset
        stamped |= stamp is not None
        previous, expected = time, time + duration
        yield time, duration, frame


def spans(frames: Iterable[tuple[Fraction, Fraction, T]]) -> Iterator[tuple[Fraction, Fraction, T]]:
    """From when until when each frame is shown, in seconds after the first frame's time.

    Args:
        frames: (time, duration, frame) in the decoder's order, in seconds.

    Yields:
        (start, end, frame); a start is the end before it; of several frames with one time only the last has a length.
    """
    shown: tuple[Fraction, Fraction, T] | None = None
    origin = Fraction(0)
    for time, duration, frame in _with_sorted_times(frames):
        if shown is None:
            origin, start = time, Fraction(0)
        else:
            start = max(time - origin, shown[0])  # later than WINDOW frames: too late to be shown
            yield shown[0], start, shown[2]
        shown = start, duration, frame
    if shown is not None:
        yield shown[0], shown[0] + shown[1], shown[2]


def _with_sorted_times(frames: Iterable[tuple[Fraction, Fraction, T]]) -> Iterator[tuple[Fraction, Fraction, T]]:
    """The same frames in the same order, their times sorted within WINDOW frames.

    Decoders emit frames in the order of presentation even where a container's timestamps are shuffled (AVI written with
    B-frames). Sorting the frames as well would play such a video in the wrong order.
    """
    times: list[Fraction] = []
    waiting: deque[tuple[Fraction, T]] = deque()
    for time, duration, frame in frames:
        heapq.heappush(times, time)
        waiting.append((duration, frame))
        if len(waiting) > WINDOW:
            yield heapq.heappop(times), *waiting.popleft()
    while waiting:
        yield heapq.heappop(times), *waiting.popleft()


def resample(shown: Iterable[tuple[Fraction, Fraction, T]], fps: Fraction) -> Iterator[tuple[T, int]]:
    """The frame shown at each of the times k/fps, k = 0, 1, ..., as long as the last one is shown; at least one.

    Args:
        shown: (start, end, frame) as `spans` gives them.
        fps: output frames a second.

    Yields:
        (frame, number of output times at which it is shown), the number 0 included.
    """
    made = 0
    frame: T | None = None
    for _, end, frame in shown:
        count = max(0, math.ceil((end - TOLERANCE) * fps) - made)
        made += count
        yield frame, count
    if frame is not None and made == 0:
        yield frame, 1
