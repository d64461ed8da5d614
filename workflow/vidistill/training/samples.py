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
    features: list[Tensor]  # one per stream, (V, L, F), in the precision of the files

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

    def features_of(self, videos: Tensor, device: torch.device) -> list[Tensor]:
        """The features of videos (B,) of every stream, (B, L, F) float32 on `device`."""
        return [x[videos.to(x.device)].to(device).float() for x in self.features]

    def digest(self) -> str:
        """SHA-256 over everything that training can see."""
        total = hashlib.sha256("\n".join([*self.query_ids, *self.splits, *self.sentences]).encode())
        for array in (self.video_index, *self.features):
            for rows in array.split(ROWS):
                total.update(rows.cpu().numpy())
        total.update(self.durations.tobytes())
        return total.hexdigest()


class Stored(NamedTuple):
    """A video's features in a file."""

    file: Path
    group: str
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
) -> Samples:
    """Read the queries whose video has every stream; the number of omitted queries is logged.

    Args:
        features: per stream, the HDF5 files of its shards.
        splits: of the queries to read; None for all.

    Raises:
        UserError: no query is left.
    """
    table = store.read_table(queries, ["query_id", "video_id", "split", "duration", "sentence"])
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
    table = table[keep]
    seconds = table["video_id"].map(durations).fillna(table["duration"].astype(float))
    return Samples(
        query_ids=table["query_id"].tolist(),
        video_ids=table["video_id"].tolist(),
        splits=table["split"].tolist(),
        sentences=table["sentence"].tolist(),
        durations=seconds.to_numpy(dtype=np.float64),
        video_index=torch.tensor([position[v] for v in table["video_id"]]),
        features=[read_features({v: found[v] for v in position}, snippets, normalise) for found in streams],
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
                    found[video_id] = Stored(file, name, values.shape[1], values.dtype, duration)
    return found


def read_features(found: Mapping[str, Stored], snippets: int, normalise: Normalise) -> Tensor:
    """The resampled features of videos of one stream, (V, L, F), in memory once: each video is read into its place.

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
    values = np.empty((len(found), snippets, first.width), dtype)
    rows = sorted(enumerate(found.values()), key=lambda item: item[1].file)
    for file, of_file in groupby(rows, key=lambda item: item[1].file):
        with h5py.File(file, "r") as h5:
            for row, stored in of_file:
                values[row] = resample(h5[stored.group]["features"][:], snippets, normalise)
    return torch.from_numpy(values)


def resample(features: np.ndarray, snippets: int, normalise: Normalise) -> np.ndarray:
    """(T, F) -> (L, F) of the same dtype: snippet j is the mean of its rows, or the row at its start if it has none.

    Bounds are round(arange(0..L) / L * T), clipped to T - 1, so short videos repeat rows and long ones average. `l2`
    scales each snippet to norm 1.
    """
    count = len(features)
    bounds = np.minimum(np.round(np.arange(snippets + 1) / snippets * count).astype(int), count - 1)
    starts, ends = bounds[:-1], bounds[1:]
    sums = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, axis=0, dtype=np.float64)])
    lengths = np.maximum(ends - starts, 1)
    means = (sums[np.maximum(ends, starts + 1)] - sums[starts]) / lengths[:, None]
    if normalise == "l2":
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return means.astype(features.dtype)


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
