"""Videos of native length with the set of their classes, and packed batches of them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidistill.base.stage import UserError
from vidistill.data import labels
from vidistill.settings.mmsd import TrainSettings
from vidistill.training import loop, native
from vidistill.training.native import Features


class Batch(NamedTuple):
    """V videos, their snippets end to end."""

    features: list[Tensor]  # streams of (S, F)
    lengths: list[int]  # (V,) snippets, S in sum
    labels: Tensor  # (V, C) bool


class Query(NamedTuple):
    """A label of a video."""

    query_id: str
    label: int  # index of the class


@dataclass(frozen=True)
class Videos:
    """V videos."""

    video_ids: list[str]
    splits: list[str]
    features: list[Features]
    queries: list[list[Query]]  # of each video
    classes: int  # C

    def __len__(self) -> int:
        return len(self.video_ids)

    def take(self, keep: Sequence[bool] | np.ndarray) -> "Videos":
        """The videos where `keep` (V,) is true."""
        rows = np.flatnonzero(keep)
        return Videos(
            [self.video_ids[i] for i in rows],
            [self.splits[i] for i in rows],
            [self.features[i] for i in rows],
            [self.queries[i] for i in rows],
            self.classes,
        )

    def labels(self, row: int) -> Tensor:
        """(C,) bool, the classes of a video."""
        found = torch.zeros(self.classes, dtype=torch.bool)
        found[[query.label for query in self.queries[row]]] = True
        return found

    def batch(self, rows: np.ndarray, device: torch.device) -> Batch:
        """The videos `rows` (B,)."""
        streams = zip(*(self.features[i].streams for i in rows), strict=True)
        return Batch(
            [torch.cat(parts).to(device).float() for parts in streams],
            [len(self.features[i].times) for i in rows],
            torch.stack([self.labels(i) for i in rows]).to(device),
        )

    def digest(self) -> str:
        """SHA-256 over everything that training can see."""
        total = hashlib.sha256(repr([self.video_ids, self.splits, self.queries]).encode())
        for features in self.features:
            for array in (*(x.numpy() for x in features.streams), features.times):
                total.update(repr(array.shape).encode() + array.tobytes())
        return total.hexdigest()


def labelled(queries: Path, files: Sequence[Iterable[Path]], settings: TrainSettings) -> tuple[Videos, tuple[str, ...]]:
    """The videos of the training splits with their labels, and the C classes, sorted. No other label is read.

    Args:
        files: per stream, the HDF5 files of its shards.

    Raises:
        UserError: a split to train on is one to test on, or no video has both a label and features.
    """
    s = settings
    table = labels.read(queries, s.train_splits, s.test_splits).sort_values("query_id")
    classes = labels.classes(table)
    known = labels.videos(queries)
    found = _load(known[known["split"].isin(s.train_splits) & known["video_id"].isin(table["video_id"])], files, s)
    if not len(found):
        raise UserError(
            f"{queries}: no video of {', '.join(s.train_splits)} with a label has features; check the collection's "
            "videos and features."
        )
    rows = {video_id: row for row, video_id in enumerate(found.video_ids)}
    for query_id, video_id, label in zip(table["query_id"], table["video_id"], table["label"], strict=True):
        if video_id in rows:
            found.queries[rows[video_id]].append(Query(query_id, classes.index(label)))
    return replace(found, classes=len(classes)), classes


def to_predict(queries: Path, files: Sequence[Iterable[Path]], settings: TrainSettings) -> tuple[Videos, Videos]:
    """The videos to predict after several epochs (test splits and held-out) and those that are after the last one.

    The last are all others that are not trained on or, if there are none at all, those that are.
    """
    s = settings
    table = labels.videos(queries)
    trained_on = table["split"].isin(s.train_splits) & table["video_id"].isin(
        labels.read(queries, s.train_splits, s.test_splits)["video_id"]
    )
    is_held_out = trained_on & table["video_id"].map(lambda video_id: loop.is_held_out(video_id, s.held_out))
    held_out = table["video_id"][is_held_out]
    if not trained_on.all():
        table = table[~trained_on | is_held_out]
    found = _load(table, files, s)
    watched = np.isin(found.splits, s.test_splits) | np.isin(found.video_ids, held_out)
    return found.take(watched), found.take(~watched)


def _load(table: pd.DataFrame, files: Sequence[Iterable[Path]], settings: TrainSettings) -> Videos:
    """The videos of a table's rows that have features, without labels."""
    table = table.drop_duplicates("video_id").set_index("video_id")
    durations = table["duration"].astype(float).to_dict()
    found = native.load(files, durations, snippets=settings.snippets, normalise=settings.normalise)
    ids = sorted(found)
    return Videos(
        ids,
        [str(table.at[video_id, "split"]) for video_id in ids],
        [found[video_id] for video_id in ids],
        [[] for _ in ids],
        0,
    )
