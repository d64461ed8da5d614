"""IoU and the field's metrics, R@m, R5@m and mIoU, in percent."""

from collections.abc import Sequence

import numpy as np

BEST_OF = 5  # R5@m: the best of this many predictions


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of intervals [start, end], broadcast over (..., 2).

    An interval whose end is not after its start is empty: its IoU is 0.
    """
    start_a, end_a, start_b, end_b = a[..., 0], a[..., 1], b[..., 0], b[..., 1]
    shared = np.maximum(np.minimum(end_a, end_b) - np.maximum(start_a, start_b), 0.0)
    union = np.maximum(end_a - start_a, 0.0) + np.maximum(end_b - start_b, 0.0) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def best_iou(windows: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """The highest IoU of each window with any moment of its query.

    Where both overlap, the union is the span of both, computed as in CPL's, moment_detr's and lighthouse's evaluators:
    an IoU of exactly 0.5 is then above or below 0.5 where it is there.

    Args:
        windows: (N, K, 2) seconds.
        moments: (N, G, 2) seconds; a query with fewer moments than G repeats one.

    Returns:
        (N, K).
    """
    best = np.zeros(windows.shape[:2])
    for g in range(moments.shape[1]):  # G is 1 in most data sets; a loop keeps memory at (N, K)
        np.maximum(best, _over_span(windows, moments[:, None, g]), out=best)
    return best


def _over_span(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """As `iou`, of which it differs by rounding."""
    shared = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
    span = np.maximum(a[..., 1], b[..., 1]) - np.minimum(a[..., 0], b[..., 0])
    return np.divide(shared, span, out=np.zeros_like(span), where=shared > 0)


def names(thresholds: Sequence[float], tious: Sequence[float] = (), *, best_of: bool = True) -> list[str]:
    """Names of the metrics, in the column order of `per_query`.

    Args:
        tious: thresholds of the mean average precision over windows, whose columns come last; without any there are
            none.
    """
    several = [f"R{BEST_OF}@{m:g}" for m in thresholds] if best_of else []
    over_windows = [*(f"mAP@{m:g}" for m in tious), "mAP"] if tious else []
    return [*(f"R@{m:g}" for m in thresholds), "mIoU", *several, *over_windows]


def per_query(ranked: np.ndarray, thresholds: Sequence[float], *, best_of: bool = True) -> np.ndarray:
    """The contribution of each query to each metric; its mean over queries is the metric.

    Args:
        ranked: (N, K) IoU of a query's predictions, best prediction first.
        thresholds: m; a query counts if its IoU >= m, as in CPL's and QVHighlights' evaluators.
        best_of: include R5@m, which is meaningless for a single prediction.

    Returns:
        (N, M) percent, columns as `names`.
    """
    m = np.asarray(thresholds)
    top = ranked[:, :1]
    columns = [top >= m, top]
    if best_of:
        columns.append(ranked[:, :BEST_OF].max(axis=1, keepdims=True) >= m)
    return 100.0 * np.concatenate(columns, axis=1)
