"""Several sources as one target: maps of teachers' streams together, and the best of the teachers' pseudo labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from vidistill.mmdist import proposals
from vidistill.settings.mmdist import DistillationSettings
from vidistill.training import samples
from vidistill.training.voting import consensus, implied_confidence


def together(
    sources: Sequence[pd.DataFrame], snippets: int, settings: DistillationSettings
) -> tuple[Tensor, Tensor | None]:
    """Maps (N, L) of N queries, and (N, L) bool where they count; None for everywhere.

    With self-voting a target is the mean of those that the sources vote for; with one source that is always reliable,
    its own map.

    Args:
        sources: rows of the N queries in the same order; maps of other lengths than L are resampled like features.
    """
    s = settings
    maps = torch.stack([torch.stack([_resampled(x, snippets) for x in source["values"]]) for source in sources])
    if s.aggregation != "self_voting":
        return maps.mean(0), None
    confidence = torch.stack(
        [_confidence(*pair) for pair in zip((x["confidence"] for x in sources), maps, strict=True)]
    )
    pairs = zip(maps.unbind(1), confidence.unbind(1), strict=True)
    agreed = [consensus(*pair, reliable=s.reliable, margin=s.margin) for pair in pairs]
    target, mask = (torch.stack(parts) for parts in zip(*agreed, strict=True))
    if s.unreliable == "mean":
        target, mask = torch.where(mask, target, maps.mean(0)), torch.ones_like(mask)
    return target, None if mask.all() else mask


def best(labels: Sequence[tuple[Tensor, Tensor]], target: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Of several teachers' pseudo labels of each query the one with the highest `contrast`.

    Args:
        labels: per teacher, center and width (N, 2), and the index of the proposal (N,).
        target, mask: from `together`; not needed for one teacher.
    """
    if len(labels) == 1:
        return labels[0]
    assert target is not None
    proposal, index = (torch.stack(parts, 1) for parts in zip(*labels, strict=True))
    chosen = contrast(proposals.moments(*proposal.unbind(-1)), target, mask).argmax(1)
    rows = torch.arange(len(chosen))
    return proposal[rows, chosen], index[rows, chosen]


def contrast(moments: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
    """The mean (N, n) of maps (N, L) inside each of n moments (N, n, 2) less that outside; 0 where either is empty.

    Args:
        mask: as from `together`.
    """
    weight = torch.ones_like(target) if mask is None else mask.to(target.dtype)
    first, stop = proposals.snippets(moments, target.shape[-1])
    sums, counts = (F.pad(x.double().cumsum(1), (1, 0)) for x in (target * weight, weight))
    inside, within = (x.gather(1, stop) - x.gather(1, first) for x in (sums, counts))
    outside, beyond = sums[:, -1:] - inside, counts[:, -1:] - within
    difference = inside / within.clamp(min=1) - outside / beyond.clamp(min=1)
    return torch.where((within > 0) & (beyond > 0), difference, 0.0)


def _confidence(stated: pd.Series, maps: Tensor) -> Tensor:
    """(N, L), as a table states it or, where it does not, by the maps (N, L)."""
    implied = implied_confidence(maps)
    return torch.stack([implied[i] if x is None else _resampled(x, maps.shape[1]) for i, x in enumerate(stated)])


def _resampled(values: np.ndarray, snippets: int) -> Tensor:
    if len(values) != snippets:
        values = samples.resample(values[:, None], snippets, "none")[:, 0]
    return torch.from_numpy(values.copy())
