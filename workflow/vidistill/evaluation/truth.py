"""The annotated segments of the evaluated split, and mean average precision against them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from vidistill.base.stage import UserError
from vidistill.evaluation import average_precision, bootstrap
from vidistill.evaluation.average_precision import Ranked
from vidistill.evaluation.inputs import DataSet
from vidistill.settings.localisation import LocalisationSettings


class Truth:
    """Segments of all splits, and mean average precision against those of the evaluated one."""

    def __init__(self, settings: LocalisationSettings, data: DataSet):
        self.settings, self.data = settings, data
        moments = [(query_id, *moment) for query_id, found in data.targets.items() for moment in found]
        table = pd.DataFrame(moments, columns=["query_id", "start", "end"]).astype({"start": float, "end": float})
        rows = data.queries[["query_id", "video_id", "split", "label"]]
        self.everywhere = table.merge(rows, on="query_id")
        self.segments = self.everywhere[self.everywhere["split"] == settings.split]
        self.videos = frozenset(rows.loc[rows["split"] == settings.split, "video_id"])
        self.labels = rows[rows["split"] == settings.split].dropna(subset="label")

    def of(self, videos: Sequence[str]) -> pd.DataFrame:
        """The segments in these videos."""
        return self.segments[self.segments["video_id"].isin(videos)]

    def durations(self, segments: pd.DataFrame) -> dict[str, float]:
        """Video -> seconds, of videos with segments.

        Raises:
            UserError: a duration is unknown.
        """
        rows = segments.drop_duplicates("video_id")
        found = dict(zip(rows["video_id"], self.data.durations(pd.Index(rows["query_id"])), strict=True))
        if unknown := sorted(video_id for video_id, seconds in found.items() if not seconds > 0):
            raise UserError(f"the duration of video {unknown[0]} is unknown; add it to the annotations.")
        return found

    def rank(self, found: pd.DataFrame, videos: Sequence[str]) -> dict[str, Ranked]:
        """`average_precision.rank` of predictions in these videos."""
        return average_precision.rank(self.segments, found, videos, self.settings.tious)

    def measure(self, tables: Sequence[pd.DataFrame], videos: Sequence[str]) -> "Measured":
        """The predictions of S seeds in these videos, one table each; for equal videos the resamples are equal."""
        return measure(self.settings, [self.rank(table, videos) for table in tables])


class Measured(NamedTuple):
    """Mean average precision: in percent at each threshold, and last the mean over all."""

    values: np.ndarray  # (S, M) of S seeds
    resampled: np.ndarray | None  # (samples, M) on resampled videos, means over seeds; None for fewer than two videos

    @property
    def mean(self) -> np.ndarray:
        """(M,) over seeds."""
        return self.values.mean(axis=0)


def measure(s: LocalisationSettings, ranked: Sequence[Mapping[str, Ranked]]) -> Measured:
    """`Measured` of S seeds, from `average_precision.rank`."""
    values = np.concatenate([precision(one) for one in ranked])
    videos = len(next(iter(ranked[0].values())).positives)
    if videos < 2:
        return Measured(values, None)
    parts = bootstrap.draws(videos, s.bootstrap_samples, s.bootstrap_seed)
    return Measured(values, np.concatenate([np.mean([precision(one, w) for one in ranked], axis=0) for w in parts]))


def precision(ranked: Mapping[str, Ranked], weights: np.ndarray | None = None) -> np.ndarray:
    """(R, M) percent for R rows of weights of the videos; one row, of all videos once, without weights."""
    if weights is None:
        weights = np.ones((1, len(next(iter(ranked.values())).positives)))
    found = average_precision.mean_average_precision(ranked, weights)
    return np.concatenate([found, found.mean(axis=1, keepdims=True)], axis=1)
