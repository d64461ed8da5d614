"""Teachers' answers as distributions of start and end over snippets, whatever the teachers are (EMTM).

Of N snippets, a start at snippet l is at l / N of the video, an end at (l + 1) / N. `released` marks what the authors'
code does instead: values that are no distributions. The paper shows distributions (Fig. 2); how they are made is ours.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.settings.train import Unify
from vidistill.training import knowledge

TOLERANCE = 1e-4  # of a distribution's sum


class Boundaries(NamedTuple):
    """Values (B, N) of start and end at each snippet, 0 where there is none; with `distribution`, rows of sum 1."""

    start: Tensor
    end: Tensor


def of_logits(start: Tensor, end: Tensor, valid: Tensor, unify: Unify) -> Boundaries:
    """From span logits (B, N): softmax over the snippets where `valid` (B, N); released: sigmoid of each.

    Every row has a valid snippet.
    """
    if unify == "released":
        return Boundaries(*(x.sigmoid() * valid for x in (start, end)))
    return Boundaries(*(x.masked_fill(~valid, -torch.inf).softmax(-1) for x in (start, end)))


def of_map(scores: Tensor, cells: Tensor, unify: Unify) -> Boundaries:
    """From a 2D map: start[i] ~ max_j sigmoid(score_ij), end[j] ~ max_i of the same.

    Args:
        scores: (B, N, N) before the sigmoid; row i is the first snippet, column j the last.
        cells: (N, N) bool, those that count; at least one does.
    """
    # The sigmoid's logarithm, since all of a map's sigmoids may be 0 in single precision.
    logs = F.logsigmoid(scores).masked_fill(~cells, -torch.inf)
    return Boundaries(*(_normalised(logs.amax(dim), unify) for dim in (2, 1)))


def of_proposals(
    moments: Tensor, scores: Tensor, snippets: int, *, sigma: float, temperature: float, unify: Unify
) -> Boundaries:
    """From scored proposals: start ~ sum_k w_k exp(-(x - s_k)^2 / (2 sigma^2)), end with e_k, w = softmax(score / T).

    Args:
        moments: (B, K, 2) starts s_k and ends e_k as shares of the video.
        scores: (B, K).
        snippets: N.
    """
    weights = (scores / temperature).log_softmax(-1).unsqueeze(-1)
    found = []
    for boundary, shift in ((moments[..., :1], 0), (moments[..., 1:], 1)):
        x = (torch.arange(snippets, device=moments.device) + shift) / snippets
        found.append(_normalised((weights - (x - boundary) ** 2 / (2 * sigma**2)).logsumexp(1), unify))
    return Boundaries(*found)


def _normalised(logs: Tensor, unify: Unify) -> Tensor:
    """Values (B, N), given as logarithms, with sum 1; released: with norm 1."""
    return logs.softmax(-1) if unify == "distribution" else F.normalize((logs - logs.amax(-1, keepdim=True)).exp())


def resample(values: np.ndarray, snippets: int, *, ends: bool, corners: bool, unify: Unify) -> np.ndarray:
    """Values (..., N) of a teacher's snippets as (..., L): P'(x) ~ sum_k P_k max(0, 1 - |x_k - x| / max(1/N, 1/L)).

    Distributions have sum 1 again, or 0 if `corners` misses all of their snippets; released values keep their scale,
    as means with these weights.

    Args:
        snippets: L, the student's valid ones.
        ends: whether these are ends, which lie at the ends of snippets.
        corners: as the released code, interpolate so that first and last snippets meet; ends like starts.
    """
    weights = _aligned(values.shape[-1], snippets) if corners else _triangles(values.shape[-1], snippets, int(ends))
    if unify == "released":
        return values @ (weights / weights.sum(0))
    found = values @ weights
    total = found.sum(-1, keepdims=True)
    return found / np.where(total > 0, total, 1)


@cache
def _triangles(count: int, size: int, shift: int) -> np.ndarray:
    """(N, L) weights of boundaries at (k + shift) / N in those at (l + shift) / L."""
    theirs, ours = ((np.arange(n) + shift) / n for n in (count, size))
    return np.maximum(0, 1 - np.abs(theirs[:, None] - ours) * min(count, size))


@cache
def _aligned(count: int, size: int) -> np.ndarray:
    """(N, L) weights of a linear interpolation from N values to L, whose first and last are those of the N."""
    places = np.linspace(0, count - 1, size)
    return np.maximum(0, 1 - np.abs(np.arange(count)[:, None] - places))


def read(
    file: Path, query_ids: Sequence[str], lengths: np.ndarray, size: int, *, corners: bool
) -> tuple[Boundaries, np.ndarray]:
    """A teacher's distributions for a student's queries.

    Args:
        file: the teacher's activation maps; values that its metadata call `released` need no sum 1.
        lengths: (Q,) valid snippets of the student.
        size: L, to which rows are padded with 0.

    Returns:
        Values (Q, L), and (Q,) whether the teacher has both of a query's; rows of others are 0.

    Raises:
        UserError: the file has several teachers, two rows of a query, or a row that is no distribution.
    """
    unify: Unify = "released" if store.read_metadata(file).get("unify") == "released" else "distribution"
    tables = {kind: knowledge.maps([file], kind=kind) for kind in ("start", "end")}
    knowledge.of_one(pd.concat(tables.values()), file)  # the teacher of one is that of the other
    found = {kind: knowledge.of_one(table, file) for kind, table in tables.items()}
    values = np.zeros((2, len(query_ids), size), np.float32)
    known = np.array([all(query in table.index for table in found.values()) for query in query_ids], dtype=bool)
    for which, (kind, table) in enumerate(found.items()):
        wanted = [query for query, is_known in zip(query_ids, known, strict=True) if is_known]
        rows = table.loc[wanted, ["num_snippets", "values"]].itertuples(name=None)
        for i, (query, count, row) in zip(np.flatnonzero(known), rows, strict=True):
            if wrong := _wrong(row, count, unify):
                raise UserError(f"{file}: the values of {kind} of query {query} {wrong}; correct the table.")
            length, exact = int(lengths[i]), row.astype(np.float64)
            values[which, i, :length] = resample(exact, length, ends=kind == "end", corners=corners, unify=unify)
            if not values[which, i].any():
                raise UserError(
                    f"{file}: the values of {kind} of query {query} fall between the student's {length} snippets; "
                    "set corners: false."
                )
    return Boundaries(*map(torch.from_numpy, values)), known


def _wrong(values: np.ndarray | None, count: int, unify: Unify) -> str | None:
    """What is wrong with a row of a table."""
    if values is None or len(values) != count or count == 0:
        return f"are {0 if values is None else len(values)}, not num_snippets = {count}"
    if not np.isfinite(values).all() or (values < 0).any():
        return "are not all finite and at least 0"
    total = float(values.sum(dtype=np.float64))
    if total == 0 or (unify == "distribution" and abs(total - 1) > TOLERANCE):
        return f"have sum {total:.6g}, not 1"
    return None
