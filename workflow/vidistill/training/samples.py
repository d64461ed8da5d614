"""Queries and their videos' features, in memory, for training and prediction of every method."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import h5py
import numpy as np
import torch
from torch import Tensor

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data import labels
from vidistill.features import states
from vidistill.settings.train import Normalise

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Samples:
    """N queries over V videos."""

    query_ids: list[str]
    video_ids: list[str]  # (N,) of the queries
    splits: list[str]
    sentences: list[str]
    durations: np.ndarray  # (N,) seconds, NaN where unknown
    video_index: Tensor  # (N,) indices into the features
    features: list[Tensor]  # one per stream, (V, L, F); 0 after a video's snippets
    lengths: Tensor  # (V,) snippets, L where every video is resampled to it

    def __len__(self) -> int:
        return len(self.query_ids)

    def take(self, keep: np.ndarray) -> Self:
        """The queries where `keep` (N,) is true; the features stay whole and shared."""
        rows = np.flatnonzero(keep)
        return replace(
            self,
            query_ids=[self.query_ids[i] for i in rows],
            video_ids=[self.video_ids[i] for i in rows],
            splits=[self.splits[i] for i in rows],
            sentences=[self.sentences[i] for i in rows],
            durations=self.durations[rows],
            video_index=self.video_index[rows],
        )

    def digest(self) -> str:
        """SHA-256 over everything that training can see."""
        total = hashlib.sha256("\n".join([*self.query_ids, *self.splits, *self.sentences]).encode())
        for array in (self.video_index, *self.features):
            total.update(array.numpy().tobytes())
        total.update(self.durations.tobytes())
        return total.hexdigest()


def load(
    queries: Path,
    features: Sequence[Sequence[Path]],
    *,
    splits: Iterable[str] | None,
    snippets: int,
    normalise: Normalise,
    stretch: bool = True,
) -> Samples:
    """Read the queries whose video has every stream; the number of omitted queries is logged.

    Args:
        features: per stream, the HDF5 files of its shards.
        splits: of the queries to read; None for all.
        snippets: L.
        stretch: repeat the rows of a shorter video; otherwise it has as many snippets as its first stream has rows.

    Raises:
        UserError: no query is left.
    """
    columns = ["query_id", "video_id", "split", "duration", "sentence", "label"]
    table = labels.with_sentences(store.read_table(queries, columns))
    if splits is not None:
        table = table[table["split"].isin(list(splits))].reset_index(drop=True)
    wanted = set(table["video_id"])
    lengths: dict[str, int] = {}
    by_stream = [read_features(files, wanted, snippets, normalise, None if stretch else lengths) for files in features]
    present = set.intersection(*(set(ids) for ids, _, _ in by_stream))
    durations = states.file_durations(found for _, _, found in by_stream)
    keep = table["video_id"].isin(present)
    log.info("%d of %d queries have features", keep.sum(), len(table))
    if not keep.any():
        raise UserError(f"{queries}: no query has features; check the collection's videos and features.")
    video_order = sorted(present)
    position = {video_id: i for i, video_id in enumerate(video_order)}
    stacked = [values[[row[v] for v in video_order]] for row, values in ((_rows(ids), x) for ids, x, _ in by_stream)]
    table = table[keep]
    seconds = table["video_id"].map(durations).fillna(table["duration"].astype(float))
    return Samples(
        query_ids=table["query_id"].tolist(),
        video_ids=table["video_id"].tolist(),
        splits=table["split"].tolist(),
        sentences=table["sentence"].tolist(),
        durations=seconds.to_numpy(dtype=np.float64),
        video_index=torch.tensor([position[v] for v in table["video_id"]]),
        features=[torch.from_numpy(x) for x in stacked],
        lengths=torch.tensor([lengths.get(v, snippets) for v in video_order]),
    )


def _rows(ids: list[str]) -> dict[str, int]:
    return {video_id: i for i, video_id in enumerate(ids)}


def read_features(
    files: Iterable[Path],
    wanted: set[str],
    snippets: int,
    normalise: Normalise,
    lengths: dict[str, int] | None = None,
) -> tuple[list[str], np.ndarray, dict[str, float]]:
    """The wanted videos of one stream: ids, (V, L, F) resampled features, durations in seconds.

    Args:
        lengths: video -> its snippets, at most L; videos that it lacks are added with their rows. None: always L.
    """
    ids: list[str] = []
    rows: list[np.ndarray] = []
    durations: dict[str, float] = {}
    for file in files:
        with h5py.File(file, "r") as h5:
            for group in h5.values():
                video_id = str(group.attrs["video_id"])
                if video_id in wanted and "features" in group:
                    ids.append(video_id)
                    values = group["features"][:]
                    count = snippets if lengths is None else lengths.setdefault(video_id, min(len(values), snippets))
                    rows.append(np.pad(resample(values, count, normalise), ((0, snippets - count), (0, 0))))
                    durations[video_id] = float(group.attrs.get("duration", np.nan))
    return ids, np.stack(rows) if rows else np.zeros((0, snippets, 0), np.float32), durations


def resample(features: np.ndarray, snippets: int, normalise: Normalise) -> np.ndarray:
    """(T, F) -> (L, F) of the same dtype: snippet j is the mean of its rows, or the row at its start if it has none.

    Bounds are round(arange(0..L) / L * T), clipped to T - 1, so short videos repeat rows and long ones average. `l2`
    scales each snippet to norm 1, `rows` each row before.
    """
    count = len(features)
    rows = _of_norm_1(features.astype(np.float64)) if normalise == "rows" else features
    bounds = np.minimum(np.round(np.arange(snippets + 1) / snippets * count).astype(int), count - 1)
    starts, ends = bounds[:-1], bounds[1:]
    sums = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    lengths = np.maximum(ends - starts, 1)
    means = (sums[np.maximum(ends, starts + 1)] - sums[starts]) / lengths[:, None]
    if normalise == "l2":
        means = _of_norm_1(means)
    return means.astype(features.dtype)


def _of_norm_1(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def provenance(files: Mapping[str, Sequence[Path]], attribute: str = "provenance") -> dict[str, object]:
    """The provenance of each stream, from its first file.

    Args:
        attribute: `provenance`, or `files` for the paths of the extractor's files (empty for external features).
    """
    found: dict[str, object] = {}
    for stream, (first, *_) in files.items():
        with h5py.File(first, "r") as h5:
            found[stream] = json.loads(h5.attrs.get(attribute, "{}"))
    return found
