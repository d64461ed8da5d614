"""Video-free baselines: one constant interval, or the whole video.

Moments are normalised, [start, end] / duration in [0, 1], since a constant interval is a constant share of a video.
"""

from collections.abc import Sequence

import numpy as np

from vidistill.evaluation.metrics import best_iou, per_query

WHOLE = np.array([0.0, 1.0])
CHUNK = 4_000_000  # IoU values in memory at a time


def normalise(moments: np.ndarray, durations: np.ndarray) -> np.ndarray:
    """(N, G, 2) seconds and (N,) seconds to (N, G, 2) in [0, 1]."""
    return moments / durations[:, None, None]


def fit_constant(moments: np.ndarray, thresholds: Sequence[float], steps: int) -> np.ndarray:
    """The interval with the highest R@m on `moments` for each threshold, and last the one with the highest mIoU.

    The search is exhaustive over [i, j] / steps, 0 <= i < j <= steps; ties go to the earliest start, then the earliest
    end. 50 steps on Charades-STA and 20 on ActivityNet Captions give the field's numbers.

    Args:
        moments: (T, G, 2) normalised moments of the training queries, T > 0.

    Returns:
        (len(thresholds) + 1, 2).
    """
    i, j = np.triu_indices(steps + 1, k=1)
    candidates = np.stack([i, j], axis=1) / steps
    fitness = np.empty((len(candidates), len(thresholds) + 1))
    size = max(1, CHUNK // len(moments))
    for first in range(0, len(candidates), size):
        part = slice(first, first + size)
        shared = np.broadcast_to(candidates[part], (len(moments), *candidates[part].shape))
        overlap = best_iou(shared, moments)  # (T, candidates)
        fitness[part] = np.stack([*((overlap >= m).mean(axis=0) for m in thresholds), overlap.mean(axis=0)], axis=1)
    return candidates[fitness.argmax(axis=0)]


def constant_per_query(moments: np.ndarray, constants: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """(N, M) percent of `per_query` without R5@m; each metric uses its own interval from `fit_constant`.

    Args:
        moments: (N, G, 2) normalised.
        constants: (M, 2).
    """
    windows = np.broadcast_to(constants, (len(moments), *constants.shape))
    overlap = best_iou(windows, moments)  # (N, M)
    hits = overlap[:, :-1] >= np.asarray(thresholds)
    return 100.0 * np.concatenate([hits, overlap[:, -1:]], axis=1)


def whole_video_per_query(moments: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """(N, M) percent of `per_query` without R5@m for [0, duration]."""
    windows = np.broadcast_to(WHOLE, (len(moments), 1, 2))
    return per_query(best_iou(windows, moments), thresholds, best_of=False)
