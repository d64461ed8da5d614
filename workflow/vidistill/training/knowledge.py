"""What a student reads of its teacher: the two Parquet tables, joined to its queries by query_id."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.training.samples import Batch, Samples

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lesson:
    """A teacher's knowledge of N queries."""

    proposal: Tensor  # (N, 2) normalised center and width of the pseudo label
    index: Tensor  # (N,) its index among the teacher's proposals, -1 where the teacher has none
    maps: Tensor  # (N, L)

    def names_proposals(self, count: int) -> bool:
        """Whether each index is that of one of `count` proposals."""
        return bool(((self.index >= 0) & (self.index < count)).all())

    def add_to(self, batch: Batch, rows: np.ndarray) -> Batch:
        index, device = torch.from_numpy(rows), batch.tokens.device
        return batch._replace(
            teacher_proposal=self.proposal[index].to(device),
            teacher_index=self.index[index].to(device),
            teacher_map=self.maps[index].to(device),
        )


def read(
    samples: Samples, pseudo_labels: Path, activation_maps: Path, snippets: int, stream: str = "fused"
) -> tuple[Samples, Lesson]:
    """The samples that the teacher knows, and its lesson on them, in their order.

    Raises:
        UserError: the teacher knows none of the queries, or a map has another number of snippets.
    """
    labels = store.read_table(pseudo_labels)
    labels = labels[labels["rank"] == 0].set_index("query_id")
    maps = store.read_table(activation_maps)
    maps = maps[(maps["stream"] == stream) & (maps["kind"] == "semantic")].set_index("query_id")
    for name, table in ((pseudo_labels, labels), (activation_maps, maps)):
        if table.index.has_duplicates:
            twice = table.index[table.index.duplicated()][0]
            raise UserError(
                f"{name}: query {twice} has two pseudo labels or maps of stream {stream!r}; give one teacher."
            )
    stated = labels.index[labels["center"].notna() & labels["width"].notna()]
    known = np.array(
        [
            q in labels.index and q in maps.index and (q in stated or not np.isnan(seconds))
            for q, seconds in zip(samples.query_ids, samples.durations, strict=True)
        ],
        dtype=bool,
    )
    if not known.any():
        raise UserError(f"{pseudo_labels} knows none of the queries to train on; was it made from another data set?")
    if not known.all():
        log.warning(
            "%d of %d queries are left out: the teacher does not know them, or nobody how long their video is",
            (~known).sum(),
            len(known),
        )
    samples = samples.take(known)
    labels, maps = labels.loc[samples.query_ids], maps.loc[samples.query_ids]
    if (wrong := maps["num_snippets"] != snippets).any():
        query_id, found = maps.index[wrong.argmax()], maps["num_snippets"][wrong].iloc[0]
        raise UserError(
            f"{activation_maps}: the map of query {query_id} has {found} snippets, the student {snippets}; give both "
            "the same train.snippets."
        )
    start, end = (labels[c].to_numpy(np.float64) / samples.durations for c in ("start", "end"))
    # A teacher from elsewhere may know the moment alone; its centre and width then follow from it.
    center = labels["center"].fillna(np.nan).to_numpy(np.float64)
    width = labels["width"].fillna(np.nan).to_numpy(np.float64)
    proposal = np.stack(
        [np.where(np.isnan(center), (start + end) / 2, center), np.where(np.isnan(width), end - start, width)], axis=1
    )
    index = labels["proposal_index"].fillna(-1).to_numpy(np.int64)
    return samples, Lesson(
        torch.from_numpy(proposal).float(),
        torch.from_numpy(index),
        torch.from_numpy(np.stack(maps["values"].to_list())),
    )
