"""Windows of long videos: parts as long as the videos that a model was trained on, each overlapping the next by half.

A video that is no longer than a window has one window, itself.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidistill.base.stage import UserError
from vidistill.evaluation.metrics import iou

log = logging.getLogger(__name__)

AT_ONCE = 32  # windows asked together, which bounds the memory
OVERLAP = 0.5  # IoU above which the worse one of two moments is suppressed


class Window(NamedTuple):
    """A part of a video, in seconds."""

    start: float
    end: float


def length(given: float | None, of_model: float | None, model: Path) -> float:
    """The seconds of a window: as given, or else as long as the videos of the model's training.

    A model whose file does not say that asks videos whole, which a warning says.

    Raises:
        UserError: there is no such length.
    """
    if given is not None:
        if not given > 0:
            raise UserError(f"a window of {given:g} s is too short; give more than 0 (inf for no windows).")
        return given
    if of_model is None:
        log.warning(
            "%s does not say how long its training videos were, so long videos are asked whole; train it again, or "
            "give --window SECONDS",
            model,
        )
    return math.inf if of_model is None else of_model


def divide(duration: float, length: float, rows: float = math.inf) -> list[Window]:
    """The windows of a video, in order: of `length` seconds, starting at most half of it apart, the last at the end.

    Args:
        rows: of the video's features; no window is shorter than one.
    """
    length = max(length, duration / rows)
    if duration <= length:
        return [Window(0.0, duration)]
    count = int(np.ceil(2 * (duration - length) / length)) + 1
    starts = np.linspace(0.0, duration - length, count)
    return [Window(float(start), float(start + length)) for start in starts]


def features(whole: Mapping[str, np.ndarray], duration: float, window: Window) -> dict[str, np.ndarray]:
    """A window's rows of a video's features (T, D), stream by stream; equally long windows have equally many."""
    return {stream: _rows(values, duration, window) for stream, values in whole.items()}


def _rows(values: np.ndarray, duration: float, window: Window) -> np.ndarray:
    count = max(1, round(len(values) * (window.end - window.start) / duration))
    first = min(round(len(values) * window.start / duration), len(values) - count)
    return values[first : first + count]


def suppress(moments: np.ndarray, scores: np.ndarray, overlap: float = OVERLAP) -> np.ndarray:
    """Greedy non-maximum suppression: indices of the moments that are kept, best first, ties by index.

    Args:
        moments: (M, 2) starts and ends.
        scores: (M,) higher is better.
        overlap: a moment is left out if its IoU with a better one that is kept is larger.
    """
    left, kept = np.argsort(-scores, kind="stable"), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        left = left[iou(moments[left], moments[best]) <= overlap]
    return np.array(kept, dtype=int)


def join(maps: np.ndarray, windows: Sequence[Window]) -> np.ndarray:
    """One map of a video from those of its windows: (W, L) -> (M,), M snippets as long as a window's, evenly over it.

    Where windows overlap, each counts by how far the place is from its own ends, where a model sees least around it.
    """
    if len(windows) == 1:
        return maps[0]
    size, length, duration = maps.shape[1], windows[0].end - windows[0].start, windows[-1].end
    count = round(size * duration / length)
    places = (np.arange(count) + 0.5) / count * duration
    sums, weights = np.zeros(count), np.zeros(count)
    for values, window in zip(maps, windows, strict=True):
        inside = np.flatnonzero((places >= window.start) & (places < window.end))
        share = (places[inside] - window.start) / length  # of the window
        weight = np.minimum(share, 1 - share)
        sums[inside] += weight * np.interp(share, (np.arange(size) + 0.5) / size, values)
        weights[inside] += weight
    return sums / weights
