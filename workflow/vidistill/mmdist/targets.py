"""Distillation targets: tables of teachers, joined to the student's queries."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidistill.base.stage import UserError
from vidistill.mmdist import sources
from vidistill.mmdist.batch import Batch, Queries
from vidistill.settings.mmdist import TrainSettings
from vidistill.training import knowledge

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Targets:
    """Targets for N queries; None for targets that the student does not use.

    Attributes:
        proposal: (N, 2) normalised center and width of the pseudo label.
        index: (N,) its index among its teacher's proposals, -1 if unknown.
        maps: (N, L) semantic activation maps.
        mask: (N, L) bool, where the maps count; None for everywhere.
    """

    proposal: Tensor | None
    index: Tensor | None
    maps: Tensor | None
    mask: Tensor | None

    def names_proposals(self, count: int) -> bool:
        """Whether every index is in the range of `count` proposals."""
        return self.index is None or bool(((self.index >= 0) & (self.index < count)).all())

    def add_to(self, batch: Batch, rows: np.ndarray) -> Batch:
        index, device = torch.from_numpy(rows), batch.tokens.device
        proposal, number, maps, mask = (
            None if x is None else x[index].to(device) for x in (self.proposal, self.index, self.maps, self.mask)
        )
        return batch._replace(teacher_proposal=proposal, teacher_index=number, teacher_map=maps, teacher_mask=mask)


def read(
    queries: Queries, pseudo_labels: Sequence[Path], activation_maps: Sequence[Path], settings: TrainSettings
) -> tuple[Queries, Targets]:
    """The queries for which every teacher has targets, and the targets, in the same order.

    Args:
        pseudo_labels, activation_maps: a table of each teacher; none if the losses read no such table.

    Raises:
        UserError: a table has several teachers, or no query of the student.
    """
    s = settings.distillation
    labels = [knowledge.of_one(knowledge.labels([file]), file) for file in pseudo_labels]
    maps = {(file, stream): _maps(file, stream) for file in activation_maps for stream in s.streams}
    known = np.ones(len(queries), dtype=bool)
    for file, table in zip(pseudo_labels, labels, strict=True):
        known = _some(known & _has_moment(queries, table), f"{file} has")
    for (file, stream), table in maps.items():
        known = _some(known & np.isin(queries.query_ids, table.index), f"{file} has in its maps of stream {stream!r}")
    if not known.all():
        log.warning(
            "%d of %d queries are left out: a teacher has no target, or the video's duration is unknown",
            (~known).sum(),
            len(known),
        )
    queries = queries.take(known)
    moments = [_proposals(table.loc[queries.query_ids], queries.durations) for table in labels]
    target = mask = None
    if maps:
        target, mask = sources.together([table.loc[queries.query_ids] for table in maps.values()], settings.snippets, s)
    proposal, index = sources.best(moments, target, mask) if moments else (None, None)
    if not (s.local_level and settings.loss.local_learning):
        target, mask = None, None
    return queries, Targets(proposal, index, target, mask)


def _has_moment(queries: Queries, labels: pd.DataFrame) -> np.ndarray:
    """(N,) whether a teacher's pseudo label of each query is known as a share of the video."""
    stated = labels.index[labels["center"].notna() & labels["width"].notna()]
    ids = pd.Index(queries.query_ids)
    return ids.isin(stated) | (ids.isin(labels.index) & ~np.isnan(queries.durations))


def _some(known: np.ndarray, subject: str) -> np.ndarray:
    """The same (N,) bool.

    Raises:
        UserError: none is true.
    """
    if not known.any():
        raise UserError(
            f"{subject} none of the queries to train on, or none that the other tables have; use tables of the same "
            "data set."
        )
    return known


def _maps(file: Path, stream: str) -> pd.DataFrame:
    """The semantic activation maps of one stream of a teacher, indexed by query_id."""
    table = knowledge.of_one(knowledge.maps([file], stream=stream), file)
    for query_id, values, confidence in zip(table.index, table["values"], table["confidence"], strict=True):
        if confidence is not None and len(confidence) != len(values):
            raise UserError(
                f"{file}: query {query_id} has {len(values)} values and {len(confidence)} confidences (stream "
                f"{stream!r}); give one for each snippet, or null."
            )
    return table


def _proposals(labels: pd.DataFrame, durations: np.ndarray) -> tuple[Tensor, Tensor]:
    start, end = (labels[c].to_numpy(np.float64) / durations for c in ("start", "end"))
    # An external teacher may give the moment only; centre and width then follow from it.
    center = labels["center"].fillna(np.nan).to_numpy(np.float64)
    width = labels["width"].fillna(np.nan).to_numpy(np.float64)
    proposal = np.stack(
        [np.where(np.isnan(center), (start + end) / 2, center), np.where(np.isnan(width), end - start, width)], axis=1
    )
    return torch.from_numpy(proposal).float(), torch.from_numpy(labels["proposal_index"].fillna(-1).to_numpy(np.int64))
