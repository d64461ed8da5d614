"""Baselines for segments of actions that see no video: the true labels of each video are told, the times are not.

Every prediction has the score -duration, so that predictions of short videos come first. Sizes are fitted on the
training videos, to the highest mean average precision over all thresholds.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from vidistill.evaluation import average_precision
from vidistill.evaluation.metrics import iou

COLUMNS = ["video_id", "label", "start", "end", "score"]
SHORT = 0.25  # share of the segments that are shorter than the smallest step


def intervals(
    labels: pd.DataFrame, durations: Mapping[str, float], start: float = 0.0, end: float = 1.0
) -> pd.DataFrame:
    """One segment per video and label, the same share of each video; by default the whole video.

    Args:
        labels: columns video_id, label.
        durations: video -> seconds.
    """
    seconds = labels["video_id"].map(durations).to_numpy(np.float64)
    return labels.assign(start=start * seconds, end=end * seconds, score=-seconds)[COLUMNS]


def grid(labels: pd.DataFrame, durations: Mapping[str, float], step: float) -> pd.DataFrame:
    """Segments of `step` seconds one after another over each video, for each of its labels; the last one is cut."""
    seconds = labels["video_id"].map(durations).to_numpy(np.float64)
    counts = np.ceil(seconds / step).astype(int)
    rows = np.repeat(np.arange(len(labels)), counts)
    number = np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)
    seconds = seconds[rows]
    ends = np.minimum((number + 1) * step, seconds)
    return labels.iloc[rows].reset_index(drop=True).assign(start=number * step, end=ends, score=-seconds)[COLUMNS]


def fit_interval(
    truth: pd.DataFrame, durations: Mapping[str, float], tious: Sequence[float], steps: int
) -> tuple[float, float]:
    """The best interval [i, j] / steps, 0 <= i < j <= steps; ties go to the earliest start, then the earliest end.

    Args:
        truth: segments of the training videos: columns video_id, label, start, end.
    """
    i, j = np.triu_indices(steps + 1, k=1)
    candidates = np.stack([i, j], axis=1) / steps
    seconds = truth["video_id"].map(durations).to_numpy(np.float64)
    shares = truth[["start", "end"]].to_numpy(np.float64) / seconds[:, None]
    # One prediction per video and label: it matches if any segment has enough IoU.
    pairs = truth.assign(overlap=list(iou(candidates, shares[:, None])), seconds=seconds)
    total = np.zeros(len(candidates))
    for _, of_class in pairs.groupby("label"):
        by_video = of_class.sort_values(["seconds", "video_id"]).groupby(["seconds", "video_id"])["overlap"]
        best = np.stack([np.max(np.stack(overlaps), axis=0) for _, overlaps in by_video])  # (P, candidates)
        for tiou in tious:
            hits = best >= tiou
            precision = hits.cumsum(axis=0) / np.arange(1, len(best) + 1)[:, None]
            highest = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
            total += (highest * hits).sum(axis=0) / len(of_class)
    start, end = candidates[total.argmax()]
    return float(start), float(end)


def fit_grid(truth: pd.DataFrame, durations: Mapping[str, float], tious: Sequence[float]) -> float:
    """The best step among 2^k and 3 * 2^k seconds; ties go to the smallest.

    Steps from short segments' length (the lowest quarter, but a thousandth of the longest video at least) to the
    longest video's duration are tried.

    Args:
        truth: as for `fit_interval`.
    """
    labels = truth[["video_id", "label"]].drop_duplicates()
    videos = sorted(labels["video_id"].unique())
    longest = max(durations[video_id] for video_id in videos)
    shortest = max(float(np.quantile(truth["end"] - truth["start"], SHORT)), longest / 1000)
    if shortest >= longest:
        return longest
    powers = 2.0 ** np.arange(np.floor(np.log2(shortest)) - 1, np.ceil(np.log2(longest)) + 1)
    steps = np.sort(np.concatenate([powers, 1.5 * powers]))
    steps = steps[(steps >= shortest) & (steps <= longest)]
    one = np.ones((1, len(videos)))
    best = [
        average_precision.mean_average_precision(
            average_precision.rank(truth, grid(labels, durations, step), videos, tious), one
        ).mean()
        for step in steps
    ]
    return float(steps[int(np.argmax(best))])
