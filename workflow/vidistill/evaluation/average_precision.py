"""Average precision of segments with scores, as ActivityNet's toolkit and OpenTAD compute it.

Which predictions match depends on their own video alone. So they are matched once, and mean average precision on
resampled videos needs no more than weights of the videos.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vidistill.evaluation.metrics import iou

CELLS = 4_000_000  # IoU values in memory at a time
WINDOWS = 10  # of a query that count


@dataclass(frozen=True)
class Ranked:
    """The predictions of one class by falling score, and its ground truth."""

    videos: np.ndarray  # (P,) indices
    hits: np.ndarray  # (P, T) bool, whether a prediction matches a segment at each threshold
    positives: np.ndarray  # (V,) segments of each video


def rank(
    truth: pd.DataFrame, found: pd.DataFrame, videos: Sequence[str], tious: Sequence[float], *, earliest: bool = False
) -> dict[str, Ranked]:
    """Match predictions with the ground truth, class by class.

    By falling score, each prediction takes the segment of its video and class with the highest IoU among those that no
    prediction before it took, if that IoU is at least the threshold; otherwise it is false. Predictions with equal
    scores are ordered by video id, start and end.

    Args:
        truth: columns video_id, label, start, end.
        found: columns video_id, label, start, end, score.
        videos: V ids, sorted; rows of other videos are left out.
        tious: T thresholds above 0.
        earliest: take the earliest of segments with equal IoU, as W-TALC's code; otherwise the latest, as OpenTAD.

    Returns:
        Label -> its predictions, for the labels of the ground truth in alphabetical order.
    """
    truth, found = (part[part["video_id"].isin(videos)] for part in (truth, found))
    truth = truth.sort_values(["start", "end"], ascending=earliest)
    labels = sorted(truth["label"].unique())
    found = found[found["label"].isin(labels)]
    codes = [
        (pd.Index(labels).get_indexer(part["label"]), pd.Index(videos).get_indexer(part["video_id"]))
        for part in (truth, found)
    ]
    (true_label, true_video), (label, video) = codes
    segments = found[["start", "end"]].to_numpy(np.float64)
    score = found["score"].to_numpy(np.float64)
    order = np.lexsort([segments[:, 1], segments[:, 0], video, -score, label])
    label, video, segments = label[order], video[order], segments[order]
    hits = match(
        truth[["start", "end"]].to_numpy(np.float64),
        true_label * len(videos) + true_video,
        segments,
        label * len(videos) + video,
        tious,
    )
    positives = np.zeros((len(labels), len(videos)))
    np.add.at(positives, (true_label, true_video), 1)
    ends = np.searchsorted(label, np.arange(len(labels) + 1))
    return {
        name: Ranked(video[ends[c] : ends[c + 1]], hits[ends[c] : ends[c + 1]], positives[c])
        for c, name in enumerate(labels)
    }


def match(
    truth: np.ndarray, true_groups: np.ndarray, found: np.ndarray, groups: np.ndarray, tious: Sequence[float]
) -> np.ndarray:
    """Whether each of P predictions matches a segment of its group at T thresholds: (P, T) bool.

    The first predictions of all groups are matched at once, then the second ones, and so on.

    Args:
        truth: (G, 2) segments; of several with equal IoU the first is taken.
        true_groups: (G,) their groups (video and class), as numbers.
        found: (P, 2) predictions, within a group the best first.
        groups: (P,) their groups.
    """
    hits = np.zeros((len(found), len(tious)), dtype=bool)
    order = np.argsort(true_groups, kind="stable")
    known, first, counts = np.unique(true_groups[order], return_index=True, return_counts=True)
    if not len(known):
        return hits
    # (K, most, 2): a group with fewer segments is padded by empty ones, which match nothing.
    segments = np.zeros((len(known), counts.max(), 2))
    segments[np.repeat(np.arange(len(known)), counts), np.arange(len(truth)) - np.repeat(first, counts)] = truth[order]
    free = np.ones((len(known), counts.max(), len(tious)), dtype=bool)
    of_known = np.flatnonzero(np.isin(groups, known))
    of_known = of_known[np.argsort(groups[of_known], kind="stable")]
    slots = np.searchsorted(known, groups[of_known])
    turns = np.arange(len(slots)) - np.searchsorted(slots, slots)  # a prediction's number in its group
    by_turn = np.argsort(turns, kind="stable")
    size = max(1, CELLS // free[0].size)
    for turn in np.split(by_turn, np.bincount(turns, minlength=1).cumsum()[:-1]):
        for rows in (turn[at : at + size] for at in range(0, len(turn), size)):
            slot = slots[rows]
            overlap = iou(found[of_known[rows], None], segments[slot])  # (n, most)
            open_to = np.where(free[slot], overlap[..., None], -1.0)  # (n, most, T)
            best = open_to.argmax(axis=1)
            hit = np.take_along_axis(open_to, best[:, None], axis=1)[:, 0] >= np.asarray(tious)
            hits[of_known[rows]] = hit
            n, t = np.nonzero(hit)
            free[slot[n], best[n, t], t] = False
    return hits


def average_precision(ranked: Ranked, weights: np.ndarray) -> np.ndarray:
    """(R, T) average precision of a class: the area under precision, made non-increasing, over recall.

    Args:
        weights: (R, V) how often each video counts; all 1 for the data as they are. The copies of a prediction follow
            each other, so that the precision at the last of them counts.

    NaN where no video with a segment counts.
    """
    total = weights @ ranked.positives
    areas = np.zeros((len(weights), ranked.hits.shape[1]))
    videos, own = np.unique(ranked.videos, return_inverse=True)
    for t in range(areas.shape[1]):
        # Precision between two hits is never above that at the first, so only hits are looked at.
        at = np.flatnonzero(ranked.hits[:, t])
        if not len(at):
            continue
        until = np.searchsorted(at, np.arange(len(own)))  # the first hit from each prediction on
        seen = np.zeros((len(videos), len(at) + 1))
        np.add.at(seen, (own, until), 1)
        seen = weights[:, videos] @ seen[:, :-1].cumsum(axis=1)  # (R, n) predictions up to each hit
        gained = weights[:, ranked.videos[at]]
        precision = np.divide(gained.cumsum(axis=1), seen, out=np.zeros_like(seen), where=seen > 0)
        highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        areas[:, t] = (highest * gained).sum(axis=1)
    return np.divide(areas, total[:, None], out=np.full_like(areas, np.nan), where=total[:, None] > 0)


def of_windows(windows: np.ndarray, moments: Sequence[np.ndarray], tious: Sequence[float]) -> np.ndarray:
    """(N, T + 1) percent: a query's average precision over its windows at T thresholds, and last their mean.

    As QVHighlights' evaluators have it (moment_detr and lighthouse, `compute_mr_ap`): each query is ranked on its own,
    by its first ten windows.

    Args:
        windows: (N, K, 2) seconds, the best first.
        moments: N times (G, 2) seconds, the true ones.
        tious: T thresholds above 0.
    """
    windows = windows[:, :WINDOWS]
    count, most = windows.shape[:2]
    sizes = np.array([len(own) for own in moments])
    # Reversed, so that the later one of two moments with equal IoU is taken, as there.
    truth, groups = np.concatenate(moments)[::-1], np.repeat(np.arange(count), sizes)[::-1]
    hits = match(truth, groups, windows.reshape(-1, 2), np.repeat(np.arange(count), most), tious)
    hits = hits.reshape(count, most, -1)
    precision = hits.cumsum(axis=1) / np.arange(1, most + 1)[:, None]
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    areas = 100.0 * (highest * hits).sum(axis=1) / sizes[:, None]
    return np.concatenate([areas, areas.mean(axis=1, keepdims=True)], axis=1)


def mean_average_precision(ranked: Mapping[str, Ranked], weights: np.ndarray) -> np.ndarray:
    """(R, T) percent: the mean over the classes of the ground truth, one without predictions counting 0.

    Args:
        weights: as for `average_precision`. Classes whose videos do not count are none of the mean.
    """
    total, classes = 0.0, 0.0
    for of_class in ranked.values():
        areas = average_precision(of_class, weights)
        total = total + np.nan_to_num(areas)
        classes = classes + ~np.isnan(areas)
    return 100.0 * np.divide(total, classes, out=np.zeros_like(total), where=classes > 0)
