"""The segments that one seed of a model predicts in the videos of a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.evaluation.average_precision import Ranked
from vidistill.training.detections import ALL

COLUMNS = ["epoch", "stream", "video_id", "split", "label", "start", "end", "score", "video_score"]


@dataclass(frozen=True)
class Detected:
    """Predictions after each epoch, and of each stream alone after the last."""

    videos: frozenset[str]  # that were predicted after the last epoch, also those without segments
    epochs: np.ndarray  # (E,) ascending
    by_epoch: list[pd.DataFrame]  # (E,) segments: video_id, label, start, end, score
    streams: dict[str, pd.DataFrame]  # stream -> the same
    video_scores: pd.DataFrame  # video_id, label, score of the class in the video


def read(path: Path, split: str) -> Detected | None:
    """Read a table of predictions; None if it has no video of the split.

    Raises:
        UserError: a segment lacks a number, or a class of a video has two scores.
    """
    table = store.read_table(path, COLUMNS)
    table = table[table["split"] == split]
    if table.empty:
        return None
    given = table[["start", "end", "score"]]
    found = table[given.notna().any(axis=1)]
    if not np.isfinite(found[["start", "end", "score"]].to_numpy(np.float64)).all():
        raise UserError(f"{path} has segments without start, end or score; check the features and train again.")
    epochs = np.unique(table["epoch"])
    at_last, together = table["epoch"] == epochs[-1], table["stream"] == ALL
    scores = table.loc[at_last & together, ["video_id", "label", "video_score"]].drop_duplicates()
    if scores.duplicated(["video_id", "label"]).any():
        raise UserError(f"{path} has two scores of a class in a video; make it again.")
    columns = ["video_id", "label", "start", "end", "score"]
    by_stream = found[found["epoch"] == epochs[-1]].groupby("stream")[columns]
    return Detected(
        videos=frozenset(table.loc[at_last & together, "video_id"]),
        epochs=epochs,
        by_epoch=[found.loc[(found["epoch"] == epoch) & (found["stream"] == ALL), columns] for epoch in epochs],
        streams={str(stream): part for stream, part in by_stream if stream != ALL},
        video_scores=scores.rename(columns={"video_score": "score"}),
    )


def rank_videos(labels: pd.DataFrame, scores: pd.DataFrame, videos: Sequence[str]) -> dict[str, Ranked]:
    """Videos by falling score of a class, in place of segments: for the mean average precision of classification.

    Args:
        labels: the true ones, columns video_id, label.
        scores: columns video_id, label, score; ties go to the earlier video id.
        videos: V ids, sorted; rows of other videos are left out.
    """
    index = pd.Index(videos)
    labels, scores = (part[part["video_id"].isin(videos)] for part in (labels, scores))
    scores = scores.sort_values(["score", "video_id"], ascending=[False, True])
    found = {}
    for label, true in labels.groupby("label")["video_id"]:
        ranked = index.get_indexer(scores.loc[scores["label"] == label, "video_id"])
        positives = index.isin(true).astype(np.float64)
        found[str(label)] = Ranked(ranked, positives[ranked, None] > 0, positives)
    return found
