"""Resample frames with times to a constant rate.

All times are exact fractions of a second. With floating point, a frame due at k/fps could slip to k+1.
"""

import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeVar

T = TypeVar("T")

# Some containers round to milliseconds: a frame due within one counts as shown.
TOLERANCE = Fraction(1, 1000)
# Frames held back for earlier times. Encoders reorder across fewer, and each waiting frame costs memory.
WINDOW = 8


def spans(frames: Iterable[tuple[Fraction, T]], end: Fraction) -> Iterator[tuple[Fraction, Fraction, T]]:
    """When each frame is shown: until the next one; the first from 0, the last until `end`.

    Args:
        frames: (time, frame) in the decoder's order, seconds.
        end: of the video, seconds.

    Yields:
        (start, end, frame); each start is the previous end. Of frames with equal times, only the last has a length.
    """
    shown: tuple[Fraction, T] | None = None
    for time, frame in _with_sorted_times(frames):
        start = Fraction(0)
        if shown is not None:
            start = max(time, shown[0])  # late by more than WINDOW frames: too late to be shown
            yield shown[0], start, shown[1]
        shown = start, frame
    if shown is not None:
        yield shown[0], max(shown[0], end), shown[1]


def _with_sorted_times(frames: Iterable[tuple[Fraction, T]]) -> Iterator[tuple[Fraction, T]]:
    """The frames in the same order, with times sorted within WINDOW frames.

    Decoders emit frames in presentation order even if a container's timestamps are shuffled (AVI with B-frames).
    Sorting the frames, too, would play such a video in the wrong order.
    """
    times: list[Fraction] = []
    waiting: deque[T] = deque()
    for time, frame in frames:
        heapq.heappush(times, time)
        waiting.append(frame)
        if len(waiting) > WINDOW:
            yield heapq.heappop(times), waiting.popleft()
    while waiting:
        yield heapq.heappop(times), waiting.popleft()


def resample(shown: Iterable[tuple[Fraction, Fraction, T]], fps: Fraction) -> Iterator[tuple[T, int]]:
    """The frames shown at times k/fps, k = 0, 1, ..., until the last frame ends; at least one.

    Args:
        shown: (start, end, frame), from `spans`.
        fps: output frames per second.

    Yields:
        (frame, number of output times at which it is shown, possibly 0).
    """
    made = 0
    frame: T | None = None
    for _, end, frame in shown:
        count = max(0, math.ceil((end - TOLERANCE) * fps) - made)
        made += count
        yield frame, count
    if frame is not None and made == 0:
        yield frame, 1
