"""Confidence intervals by resampling queries or videos: percentile bootstrap."""

from collections.abc import Iterator

import numpy as np

CELLS = 4_000_000  # resampled queries in memory at a time, 32 MB in each of two arrays


def draws(count: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each of `count` items is drawn: (R, count) for R resamples at a time, `samples` in all.

    Args:
        seed: equal seeds give equal resamples.
    """
    rng = np.random.default_rng(seed)
    chunk = max(1, CELLS // count)
    for first in range(0, samples, chunk):
        rows = min(chunk, samples - first)
        drawn = rng.integers(count, size=(rows, count)) + np.arange(rows)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)


def limits(values: np.ndarray, confidence: float) -> np.ndarray:
    """(M, 2) lower and upper limit of each column of (samples, M)."""
    tail = 50.0 * (1.0 - confidence)
    return np.percentile(values, [tail, 100.0 - tail], axis=0).T


def intervals(values: np.ndarray, samples: int, confidence: float, seed: int) -> np.ndarray | None:
    """Percentile intervals of the mean of each column.

    All columns share the resampled queries, so differences between models, passed as columns, are paired.
    The intervals cover the choice of queries, not that of training seeds.

    Args:
        values: (N, M); with several seeds, each query's mean over them.
        samples: resamples.
        confidence: for example 0.95.
        seed: equal seeds give equal intervals.

    Returns:
        (M, 2) lower and upper limit; None for fewer than two queries.
    """
    count = len(values)
    if count < 2:
        return None
    return limits(np.concatenate([times @ values / count for times in draws(count, samples, seed)]), confidence)


def excludes_zero(interval: np.ndarray) -> bool:
    """Whether a difference is clear: its interval lies on one side of 0."""
    return bool(interval[0] > 0 or interval[1] < 0)
