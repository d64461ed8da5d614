"""Distillation targets: a teacher's tables, joined to the student's queries."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidistill.base.stage import UserError
from vidistill.mmdist.batch import Batch, Queries
from vidistill.training import knowledge

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Targets:
    """A teacher's targets for N queries; None for targets that the student does not use.

    Attributes:
        proposal: (N, 2) normalised center and width of the pseudo label.
        index: (N,) its index among the teacher's proposals, -1 if unknown.
        maps: (N, L) semantic activation maps.
    """

    proposal: Tensor | None
    index: Tensor | None
    maps: Tensor | None

    def names_proposals(self, count: int) -> bool:
        """Whether every index is in the range of `count` proposals."""
        return self.index is None or bool(((self.index >= 0) & (self.index < count)).all())

    def add_to(self, batch: Batch, rows: np.ndarray) -> Batch:
        index, device = torch.from_numpy(rows), batch.tokens.device
        proposal, number, maps = (
            None if x is None else x[index].to(device) for x in (self.proposal, self.index, self.maps)
        )
        return batch._replace(teacher_proposal=proposal, teacher_index=number, teacher_map=maps)


def read(
    queries: Queries, pseudo_labels: Path | None, activation_maps: Path | None, snippets: int
) -> tuple[Queries, Targets]:
    """The queries for which the teacher has targets, and the targets, in the same order.

    Args:
        pseudo_labels, activation_maps: None for a table that the student does not use.

    Raises:
        UserError: a table has several teachers or no query of the student, or a map has another length.
    """
    labels = None if pseudo_labels is None else knowledge.of_one(knowledge.labels([pseudo_labels]), pseudo_labels)
    maps = None if activation_maps is None else knowledge.of_one(knowledge.maps([activation_maps]), activation_maps)
    known = np.ones(len(queries), dtype=bool)
    if labels is not None:
        stated = labels.index[labels["center"].notna() & labels["width"].notna()]
        ids = pd.Index(queries.query_ids)
        known &= ids.isin(stated) | (ids.isin(labels.index) & ~np.isnan(queries.durations))
    if maps is not None:
        known &= pd.Index(queries.query_ids).isin(maps.index)
    if not known.any():
        file = pseudo_labels or activation_maps
        raise UserError(f"{file} has none of the queries to train on; use tables of the same data set.")
    if not known.all():
        log.warning(
            "%d of %d queries are left out: the teacher has no target, or the video's duration is unknown",
            (~known).sum(),
            len(known),
        )
    queries = queries.take(known)
    proposal, index = (None, None) if labels is None else _proposals(labels.loc[queries.query_ids], queries.durations)
    return queries, Targets(
        proposal, index, None if maps is None else _maps(maps.loc[queries.query_ids], snippets, activation_maps)
    )


def _proposals(labels: pd.DataFrame, durations: np.ndarray) -> tuple[Tensor, Tensor]:
    start, end = (labels[c].to_numpy(np.float64) / durations for c in ("start", "end"))
    # An external teacher may give the moment only; centre and width then follow from it.
    center = labels["center"].fillna(np.nan).to_numpy(np.float64)
    width = labels["width"].fillna(np.nan).to_numpy(np.float64)
    proposal = np.stack(
        [np.where(np.isnan(center), (start + end) / 2, center), np.where(np.isnan(width), end - start, width)], axis=1
    )
    return torch.from_numpy(proposal).float(), torch.from_numpy(labels["proposal_index"].fillna(-1).to_numpy(np.int64))


def _maps(maps: pd.DataFrame, snippets: int, file: Path | None) -> Tensor:
    if (wrong := maps["num_snippets"] != snippets).any():
        query_id, found = maps.index[wrong.argmax()], maps["num_snippets"][wrong].iloc[0]
        raise UserError(
            f"{file}: the map of query {query_id} has {found} snippets, the student {snippets}; use the same "
            "train.snippets for both."
        )
    return torch.from_numpy(np.stack(maps["values"].to_list()))
