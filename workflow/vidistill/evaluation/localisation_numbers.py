"""The numbers of a result about segments: over seeds, against other models and baselines, by class and stream."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidistill.evaluation import average_precision, bootstrap, detected, power, summary, told, wtalc
from vidistill.evaluation.detected import Detected
from vidistill.evaluation.predictions import Scored
from vidistill.evaluation.truth import Measured, Truth, measure, precision
from vidistill.settings.localisation import MEAN, LocalisationSettings

log = logging.getLogger(__name__)
Seeds = Mapping[int, Detected]


def scored_videos(models: Sequence[Seeds], excluded: Sequence[str] = ()) -> list[str]:
    """The videos that all of these models predict, sorted, without the excluded ones."""
    predicted = (next(iter(seeds.values())).videos if seeds else frozenset() for seeds in models)
    return sorted(frozenset.intersection(*predicted) - set(excluded))


def last(seeds: Seeds) -> list[pd.DataFrame]:
    """Each seed's segments after the last epoch."""
    return [one.by_epoch[-1] for one in seeds.values()]


def over_seeds(s: LocalisationSettings, measured: Measured, seeds: Seeds, names: Sequence[str]) -> dict[str, Any]:
    """`summary.over_seeds`, with intervals over videos."""
    found = summary.over_seeds(measured.values, names, list(seeds))
    limits = None if measured.resampled is None else bootstrap.limits(measured.resampled, s.confidence)
    for m, metric in enumerate(found.values()):
        metric["interval"] = None if limits is None else [summary.number(limit) for limit in limits[m]]
    return found


def fit(s: LocalisationSettings, truth: Truth, train_splits: Sequence[str]) -> dict[str, Any] | None:
    """The sizes of the baselines without video; None if no training video of known duration has segments."""
    segments = truth.everywhere[truth.everywhere["split"].isin(train_splits)]
    segments = segments[truth.data.durations(pd.Index(segments["query_id"])) > 0]
    if segments.empty:
        log.warning("the training split has no segments, so the sizes of baselines without video cannot be fitted")
        return None
    durations = truth.durations(segments)
    start, end = told.fit_interval(segments, durations, s.tious, s.interval_steps)
    return {"interval": [start, end], "grid": told.fit_grid(segments, durations, s.tious)}


def without_video(truth: Truth, videos: Sequence[str], sizes: dict[str, Any] | None) -> dict[str, pd.DataFrame]:
    """The segments of the baselines without video. `grid_of_all` has all classes, the others are told the true ones."""
    segments = truth.of(videos)
    labels, durations = segments[["video_id", "label"]].drop_duplicates(), truth.durations(segments)
    found = {"whole_video": told.intervals(labels, durations)}
    if sizes:
        all_labels = labels[["video_id"]].drop_duplicates().merge(labels[["label"]].drop_duplicates(), how="cross")
        found["interval"] = told.intervals(labels, durations, *sizes["interval"])
        found["grid"] = told.grid(labels, durations, sizes["grid"])
        found["grid_of_all"] = told.grid(all_labels, durations, sizes["grid"])
    return found


def against_baselines(
    s: LocalisationSettings, ours: Measured, baselines: Mapping[str, Measured], segments: int, videos: int
) -> dict[str, Any]:
    """Compare the model with the best baseline without video, chosen per metric."""
    each = list(baselines.values())
    best = np.concatenate([one.values for one in each]).argmax(axis=0)
    picked = [each[b].values[:, m] for m, b in enumerate(best)]
    resampled = [one.resampled for one in each if one.resampled is not None]
    of_best = [resampled[b][:, m] for m, b in enumerate(best)] if resampled else None
    theirs = Measured(np.stack(picked, axis=1), None if of_best is None else np.stack(of_best, axis=1))
    compared = compare(s, ours, theirs, ours.values - theirs.values, videos)
    for m, metric in enumerate(compared.values()):
        metric["baseline"] = list(baselines)[best[m]]
    return {"segments": segments, "metrics": compared}


def against_model(
    s: LocalisationSettings, truth: Truth, ours: Seeds, measured: Measured, theirs: Seeds, other: str
) -> dict[str, Any]:
    """Compare the model with another, on the videos that both predict; empty if these have no segments.

    Args:
        measured: the model on its own videos.
    """
    videos = scored_videos([ours, theirs], s.exclude_videos)
    segments = len(truth.of(videos))
    if not segments:
        log.warning("%s and %s predict no video with segments in common; they are not compared", s.model, other)
        return {"segments": 0, "metrics": {}, "alone": {}}
    same = videos == scored_videos([ours], s.exclude_videos)
    mine = measured if same else truth.measure(last(ours), videos)
    others = truth.measure(last(theirs), videos)
    alone = over_seeds(s, others, theirs, s.names)
    common = [seed for seed in ours if seed in theirs]
    rows = [[list(seeds).index(seed) for seed in common] for seeds in (ours, theirs)]
    by_seed = mine.values[rows[0]] - others.values[rows[1]]
    return {"segments": segments, "metrics": compare(s, mine, others, by_seed, len(videos)), "alone": alone}


def compare(
    s: LocalisationSettings, ours: Measured, theirs: Measured, by_seed: np.ndarray, videos: int
) -> dict[str, Any]:
    """Two methods on the same videos: the difference, its interval, whether that excludes 0, and how many videos and
    seeds the difference needs to be clear.

    Args:
        by_seed: (S, M) differences of the seeds that both have.
        videos: their number.
    """
    limits = resampled = None
    if ours.resampled is not None and theirs.resampled is not None:
        resampled = ours.resampled - theirs.resampled
        limits = bootstrap.limits(resampled, s.confidence)
    needed = power.of_resamples((ours.mean - theirs.mean).tolist(), resampled, videos, s.confidence)
    seeds = power.of_columns(by_seed, s.confidence)
    return {
        name: {
            "ours": summary.number(ours.mean[m]),
            "theirs": summary.number(theirs.mean[m]),
            "difference": summary.number(ours.mean[m] - theirs.mean[m]),
            "interval": None if limits is None else [summary.number(limit) for limit in limits[m]],
            "resolved": limits is not None and bootstrap.excludes_zero(limits[m]),
            "needs": {"videos": needed[m], "seeds": seeds[m]},
        }
        for m, name in enumerate(s.names)
    }


def by_class(s: LocalisationSettings, truth: Truth, ours: Seeds, videos: Sequence[str]) -> dict[str, Any]:
    """The average precision of each class, mean over seeds, and the number of its segments and videos."""
    ranked = [truth.rank(table, videos) for table in last(ours)]
    one = np.ones((1, len(videos)))
    found = {}
    for label, of_first in ranked[0].items():
        areas = 100.0 * np.mean([average_precision.average_precision(r[label], one)[0] for r in ranked], axis=0)
        values = [*areas, areas.mean()]
        found[label] = {
            "segments": int(of_first.positives.sum()),
            "videos": int((of_first.positives > 0).sum()),
            **{name.removeprefix("m"): summary.number(v) for name, v in zip(s.names, values, strict=True)},
        }
    return found


def by_stream(s: LocalisationSettings, truth: Truth, ours: Seeds, videos: Sequence[str]) -> dict[str, Any]:
    """The metrics of each stream alone; empty for a model of one stream."""
    found = {}
    for stream in sorted({stream for one in ours.values() for stream in one.streams}):
        tables = [one.streams.get(stream, one.by_epoch[-1][:0]) for one in ours.values()]  # a seed may find nothing
        values = [precision(truth.rank(table, videos)) for table in tables]
        found[stream] = summary.over_seeds(np.concatenate(values), s.names, list(ours))
    return found


def by_wtalc(s: LocalisationSettings, truth: Truth, ours: Seeds, sizes: dict[str, Any] | None) -> dict[str, Any]:
    """Metrics and baselines by the protocol of W-TALC, with the videos that the other protocol excludes."""
    rate = s.wtalc_rate
    assert rate is not None
    videos = scored_videos([ours])
    ambiguous = wtalc.read_ambiguous(Path(s.ambiguous)) if s.ambiguous else None

    def measured(table: pd.DataFrame) -> np.ndarray:
        found = wtalc.mean_average_precision(truth.segments, table, ambiguous, videos, tious=s.tious, rate=rate)
        return np.array([[*found, found.mean()]])

    baselines = without_video(truth, videos, sizes)
    return {
        "videos": len(videos),
        "segments": len(truth.of(videos)),
        "metrics": summary.over_seeds(np.concatenate(list(map(measured, last(ours)))), s.names, list(ours)),
        "video_free": {name: summary.means(measured(table), s.names) for name, table in baselines.items()},
    }


def classification(s: LocalisationSettings, truth: Truth, ours: Seeds, videos: Sequence[str]) -> dict[str, Any] | None:
    """Mean average precision of classes in whole videos; None if no label of these videos is known."""
    labels = truth.labels[truth.labels["video_id"].isin(videos)]
    if labels.empty:
        return None
    measured = measure(s, [detected.rank_videos(labels, one.video_scores, videos) for one in ours.values()])
    return over_seeds(s, measured, ours, [MEAN])[MEAN]  # the only column and their mean are equal


def select(
    s: LocalisationSettings,
    truth: Truth,
    ours: Seeds,
    histories: Mapping[int, pd.DataFrame],
    videos: Sequence[str],
) -> dict[str, Any]:
    """`summary.selection` among the predicted epochs."""
    scored = {}
    for seed, one in ours.items():
        values = [precision(truth.rank(table, videos)) for table in one.by_epoch]
        scored[seed] = Scored(pd.Index(videos), one.epochs, np.concatenate(values), {})
    watched = {seed: h[h["epoch"].isin(ours[seed].epochs)] for seed, h in histories.items()}
    return summary.selection(scored, watched, s.names, MEAN)
