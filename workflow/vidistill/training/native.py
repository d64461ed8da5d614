"""Videos' features snippet by snippet: all rows that a file has, or as many as are asked for, with their seconds."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import h5py
import numpy as np
import torch
from torch import Tensor

from vidistill.features import states
from vidistill.settings.train import Normalise
from vidistill.training import samples

log = logging.getLogger(__name__)
Snippets = int | Literal["native"]


class Features(NamedTuple):
    """A video of T snippets."""

    streams: list[Tensor]  # (T, F) each
    times: np.ndarray  # (T, 2) seconds at which snippets start and end, NaN where unknown
    duration: float  # seconds, NaN where unknown


class Stored(NamedTuple):
    """A video in the file of one stream."""

    values: np.ndarray  # (T, F)
    times: np.ndarray | None = None  # (T, 2) seconds, NaN where unknown
    duration: float = np.nan


def load(
    files: Sequence[Iterable[Path]], durations: Mapping[str, float], *, snippets: Snippets, normalise: Normalise
) -> dict[str, Features]:
    """The videos of which every stream has features, by id; one whose streams do not fit together is left out.

    Args:
        files: per stream, the HDF5 files of its shards.
        durations: id -> seconds, NaN where unknown, of the videos to read; those of feature files come first.
        snippets: `native` for all rows of a file, or L to resample to.
    """
    stored = [_read(shards, set(durations)) for shards in files]
    seconds = states.file_durations({v: found.duration for v, found in stream.items()} for stream in stored)
    common = sorted(set.intersection(*(set(stream) for stream in stored)))
    log.info("%d of %d videos have features", len(common), len(durations))
    loaded: dict[str, Features] = {}
    for video_id in common:
        streams = [stream.pop(video_id) for stream in stored]
        if snippets == "native" and not fit(streams):
            counts = " and ".join(str(len(stream.values)) for stream in streams)
            log.warning("video %r is left out: its streams have %s rows of features", video_id, counts)
        else:
            loaded[video_id] = features(streams, seconds.get(video_id, durations[video_id]), snippets, normalise)
    return loaded


def fit(streams: Sequence[Stored]) -> bool:
    """Whether the streams of a video differ by at most one row, as windows at its end may."""
    counts = [len(stream.values) for stream in streams]
    return max(counts) - min(counts) <= 1


def features(streams: Sequence[Stored], duration: float, snippets: Snippets, normalise: Normalise) -> Features:
    """A video's features; of native streams a row that another one lacks is cut off.

    Args:
        duration: seconds. Snippets are equal parts of it where no stream records their times.
    """
    if snippets == "native":
        count = min(len(stream.values) for stream in streams)
        values = [_scaled(stream.values[:count], normalise) for stream in streams]
        recorded = [s.times[:count] for s in streams if s.times is not None and np.isfinite(s.times[:count]).all()]
    else:
        count, recorded = snippets, []
        values = [samples.resample(stream.values, count, normalise) for stream in streams]
    if recorded:
        times = recorded[0]
        duration = float(times[-1, 1]) if np.isnan(duration) else duration
    else:
        edges = np.arange(count + 1) / count * duration
        times = np.stack([edges[:-1], edges[1:]], axis=1)
    return Features([torch.from_numpy(rows) for rows in values], times, duration)


def _scaled(rows: np.ndarray, normalise: Normalise) -> np.ndarray:
    if normalise == "none":
        return rows
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return (rows / np.maximum(norms, 1e-12)).astype(rows.dtype)


def _read(files: Iterable[Path], wanted: set[str]) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    for file in files:
        with h5py.File(file, "r") as h5:
            for group in h5.values():
                video_id = str(group.attrs["video_id"])
                if video_id in wanted and "features" in group:
                    times = group["times"][:] if "times" in group else None
                    found[video_id] = Stored(group["features"][:], times, float(group.attrs.get("duration", np.nan)))
    return found
