"""Queries and their videos' features, in memory, for training and prediction of every method."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Self

import h5py
import numpy as np
import torch
from torch import Tensor

from vidistill.base import device as devices
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data import labels
from vidistill.features import states
from vidistill.settings.train import Normalise

log = logging.getLogger(__name__)
ROWS = 64  # videos at a time for the digest


@dataclass(frozen=True)
class Samples:
    """N queries over V videos."""

    query_ids: list[str]
    video_ids: list[str]  # (N,) of the queries
    splits: list[str]
    sentences: list[str]
    durations: np.ndarray  # (N,) seconds, NaN where unknown
    video_index: Tensor  # (N,) indices into the features
    features: list[Tensor]  # one per stream, (V, L, F), in the precision of the files; 0 after a video's snippets
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

    def on(self, device: torch.device) -> Self:
        """With the features on `device`, if they take at most half of what is free there."""
        needed, free = sum(x.nbytes for x in self.features), devices.free_memory(device)
        if device.type == "cpu" or needed > free / 2:
            log.info("features: %.2f GB in memory", needed / 1e9)
            return self
        log.info("features: %.2f GB on %s, which had %.2f GB free", needed / 1e9, device, free / 1e9)
        return replace(self, features=[x.to(device) for x in self.features])

    def features_of(self, videos: Tensor, device: torch.device, size: int | None = None) -> list[Tensor]:
        """The first `size` snippets of videos (B,) in every stream, (B, size, F) float32 on `device`; None for all."""
        return [x[videos.to(x.device), :size].to(device).float() for x in self.features]

    def digest(self) -> str:
        """SHA-256 over everything that training can see."""
        total = hashlib.sha256("\n".join([*self.query_ids, *self.splits, *self.sentences]).encode())
        for array in (self.video_index, *self.features):
            for rows in array.split(ROWS):
                total.update(rows.cpu().numpy())
        total.update(self.durations.tobytes())
        return total.hexdigest()


def of_sentences(features: list[Tensor], sentences: Sequence[str]) -> Samples:
    """Each sentence about each of V videos, whose durations count as 1: row s * V + v asks sentence s of video v.

    Args:
        features: one per stream, (V, L, F).
    """
    videos = len(features[0])
    count = len(sentences) * videos
    return Samples(
        query_ids=list(map(str, range(count))),
        video_ids=[""] * count,
        splits=["asked"] * count,
        sentences=[sentence for sentence in sentences for _ in range(videos)],
        durations=np.ones(count),
        video_index=torch.arange(videos).repeat(len(sentences)),
        features=features,
        lengths=torch.full((videos,), features[0].shape[1]),
    )


class Stored(NamedTuple):
    """A video's features in a file."""

    file: Path
    group: str
    rows: int
    width: int
    dtype: np.dtype
    duration: float  # seconds, NaN where unknown


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
    streams = [find_features(files, wanted) for files in features]
    present = set.intersection(*map(set, streams))
    durations = states.file_durations({v: stored.duration for v, stored in found.items()} for found in streams)
    keep = table["video_id"].isin(present)
    log.info("%d of %d queries have features", keep.sum(), len(table))
    if not keep.any():
        raise UserError(f"{queries}: no query has features; check the collection's videos and features.")
    position = {video_id: i for i, video_id in enumerate(sorted(present))}
    lengths = {v: snippets if stretch else min(streams[0][v].rows, snippets) for v in position}
    table = table[keep]
    seconds = table["video_id"].map(durations).fillna(table["duration"].astype(float))
    return Samples(
        query_ids=table["query_id"].tolist(),
        video_ids=table["video_id"].tolist(),
        splits=table["split"].tolist(),
        sentences=table["sentence"].tolist(),
        durations=seconds.to_numpy(dtype=np.float64),
        video_index=torch.tensor([position[v] for v in table["video_id"]]),
        features=[read_features({v: found[v] for v in position}, lengths, snippets, normalise) for found in streams],
        lengths=torch.tensor([lengths[v] for v in position]),
    )


def find_features(files: Iterable[Path], wanted: set[str]) -> dict[str, Stored]:
    """The wanted videos that one stream has."""
    found = {}
    for file in files:
        with h5py.File(file, "r") as h5:
            for name, group in h5.items():
                video_id = str(group.attrs["video_id"])
                if video_id in wanted and "features" in group:
                    values, duration = group["features"], float(group.attrs.get("duration", np.nan))
                    found[video_id] = Stored(file, name, len(values), values.shape[1], values.dtype, duration)
    return found


def read_features(
    found: Mapping[str, Stored], lengths: Mapping[str, int], snippets: int, normalise: Normalise
) -> Tensor:
    """The features of videos of one stream, (V, L, F), in memory once: each video is read into its place.

    Args:
        lengths: snippets to which each video is resampled, at most L; the rest is 0.

    Raises:
        UserError: F differs between videos.
    """
    _, first = next(iter(found.items()))
    for video_id, stored in found.items():
        if stored.width != first.width:
            raise UserError(
                f"{stored.file}: features of video {video_id!r} have {stored.width} dimensions, those in {first.file} "
                f"{first.width}; make all shards of a stream with the same settings."
            )
    dtype = np.result_type(*{stored.dtype for stored in found.values()})
    values = np.zeros((len(found), snippets, first.width), dtype)
    rows = sorted(enumerate(found.items()), key=lambda item: item[1][1].file)
    for file, of_file in groupby(rows, key=lambda item: item[1][1].file):
        with h5py.File(file, "r") as h5:
            for row, (video_id, stored) in of_file:
                count = lengths[video_id]
                values[row, :count] = resample(h5[stored.group]["features"][:], count, normalise)
    return torch.from_numpy(values)


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
