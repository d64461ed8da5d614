"""What training learns from, joined to its queries: moments, and the distributions of label teachers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.base.wording import plural
from vidistill.emtm.batch import Batch, Queries
from vidistill.training import boundaries, knowledge

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Targets:
    """The targets of N queries.

    Attributes:
        moments: (N, 2) starts and ends as shares of the video.
        teachers: (N, n, 2, L) distributions of start and end over a video's snippets, 0 on padding; None without.
    """

    moments: Tensor
    teachers: Tensor | None

    def add_to(self, batch: Batch, rows: np.ndarray) -> Batch:
        index, device = torch.from_numpy(rows), batch.features.device
        teachers = None
        if self.teachers is not None:
            teachers = self.teachers[index, ..., : batch.features.shape[1]].to(device)
        return batch._replace(moments=self.moments[index].to(device), teachers=teachers)


def read(
    queries: Queries, moments: pd.DataFrame, source: Path, maps: Sequence[Path], *, corners: bool
) -> tuple[Queries, Targets]:
    """The queries with a moment and with distributions of every teacher, and their targets, in the same order.

    Others are left out; the log counts them for each file.

    Args:
        moments: from `training_moments` or `pseudo_moments`.
        source: its file, for messages.
        maps: the activation maps of each teacher.
        corners: see `boundaries.resample`.

    Raises:
        UserError: a file has none of the queries, or see `boundaries.read`.
    """
    shares, known = _shares(queries, moments)
    _count(queries, known, source, "no moment within the video, or the video's duration is unknown")
    lengths, size = queries.lengths[queries.video_index].numpy(), queries.features[0].shape[1]
    found = []
    for file in maps:
        distributions, stated = boundaries.read(file, queries.query_ids, lengths, size, corners=corners)
        _count(queries, stated, file, "no start and end")
        known &= stated
        found.append(torch.stack(distributions, 1))
    if not known.any():
        raise UserError(f"{', '.join(map(str, [source, *maps]))}: no query is in all of them; use one data set's.")
    rows = np.flatnonzero(known)
    return queries.take(known), Targets(
        torch.from_numpy(shares[rows]).float(), torch.stack(found, 1)[rows] if found else None
    )


def training_moments(file: Path) -> pd.DataFrame:
    """The table of training moments: start and end in seconds, indexed by query_id.

    Raises:
        UserError: a query has two rows.
    """
    table = store.read_table(file, ["query_id", "start", "end"]).set_index("query_id")
    if table.index.has_duplicates:
        query = table.index[table.index.duplicated()][0]
        raise UserError(f"{file}: query {query} has two rows; keep one.")
    return table


def pseudo_moments(file: Path) -> pd.DataFrame:
    """The best pseudo labels of a model: start and end in seconds, indexed by query_id.

    Raises:
        UserError: the file has several models, or a query has two rows of rank 0.
    """
    return knowledge.of_one(knowledge.labels([file]), file)[["start", "end"]]


def _shares(queries: Queries, moments: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Each query's moment as shares (N, 2) of its video, and (N,) whether it has one of a length above 0."""
    seconds = moments.reindex(queries.query_ids).to_numpy(np.float64)
    shares = np.clip(seconds / queries.durations[:, None], 0, 1)
    return shares, shares[:, 0] < shares[:, 1]


def _count(queries: Queries, known: np.ndarray, file: Path, reason: str) -> None:
    """Log how many queries lack something.

    Raises:
        UserError: all do.
    """
    if not known.any():
        raise UserError(f"{file} has none of the queries to train on ({reason}); use a table of the same data set.")
    if not known.all():
        log.warning("%s: %s of %d left out: %s", file, plural(int((~known).sum()), "query"), len(queries), reason)
