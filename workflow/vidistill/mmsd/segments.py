"""Segments in a class's scores over time: runs above thresholds, scored by contrast, without overlaps."""

from typing import NamedTuple

import numpy as np

from vidistill.settings.localise import SegmentSettings
from vidistill.training.native import Features


class Segment(NamedTuple):
    """Snippets [start, end)."""

    start: int
    end: int
    score: float


def find(z: np.ndarray, settings: SegmentSettings) -> list[Segment]:
    """The segments of a class with activation z (T,), best first; of equal ones the earlier, then the shorter first."""
    s = settings
    runs = {run for threshold in s.thresholds for run in runs_above(z, threshold) if run[1] - run[0] >= s.min_snippets}
    longer = 1 if s.boundary == "released" else 0
    found = [Segment(start, end + longer, contrast(z, start, end, s)) for start, end in runs]
    return suppress(sorted(found, key=lambda x: (-x.score, x.start, x.end)), s.overlap)


def seconds(segment: Segment, features: Features) -> tuple[float, float]:
    """From the start of the segment's first snippet to the end of its last one, within the video."""
    last = min(segment.end, len(features.times)) - 1
    return float(features.times[segment.start, 0]), float(np.fmin(features.times[last, 1], features.duration))


def runs_above(z: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Maximal runs [start, end) of z (T,) above a threshold."""
    change = np.diff(np.concatenate([[0], z > threshold, [0]]).astype(np.int8))
    return list(zip(np.flatnonzero(change == 1).tolist(), np.flatnonzero(change == -1).tolist(), strict=True))


def contrast(z: np.ndarray, start: int, end: int, settings: SegmentSettings) -> float:
    """Mean of z inside a run [start, end) less its mean in the margins on either side, or 0 without margins.

    `released` counts one snippet after the run as inside, as the segment does, and leaves out the video's last one.
    """
    margin, size = (end - start) * settings.margin, len(z)
    if settings.boundary == "released":
        after, last = end + 1, min(size - 1, int(end + margin + 1))
    else:
        after, last = end, min(size, int(end + margin))
    outside = np.concatenate([z[max(0, int(start - margin)) : start], z[after:last]])
    return float(z[start:after].mean() - (outside.mean() if len(outside) else 0.0))


def suppress(segments: list[Segment], overlap: float) -> list[Segment]:
    """Those of the segments, best first, of which no better one covers more than the share `overlap`.

    Lengths count both ends, as in the released code.
    """
    starts, ends = (np.array([getattr(x, name) for x in segments], dtype=int) for name in ("start", "end"))
    kept, left = [], np.arange(len(segments))
    while len(left):
        best, left = left[0], left[1:]
        kept.append(segments[best])
        common = np.minimum(ends[best], ends[left]) - np.maximum(starts[best], starts[left]) + 1
        left = left[common.clip(min=0) / (ends[left] - starts[left] + 1) <= overlap]
    return kept
