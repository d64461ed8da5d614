"""Self-voting (MMSD): several sources label the same snippets, and the reliable ones decide."""

import torch
from torch import Tensor


def vote(labels: Tensor, confidence: Tensor, *, reliable: float, margin: float) -> tuple[Tensor, Tensor]:
    """A target for each source and snippet: the mean of its own label, if reliable, and of the votes.

    A source is reliable where its confidence is at least `reliable`. It votes for another that is less confident by
    `margin` or more.

    Args:
        labels, confidence: (N, T) of N sources.

    Returns:
        Targets (N, T), and a mask (N, T): false where nobody is reliable enough.
    """
    sure = confidence >= reliable
    ahead = confidence.unsqueeze(0) - confidence.unsqueeze(1) >= margin  # (N, N, T): of n before m
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device).unsqueeze(-1)
    votes = (sure.unsqueeze(0) & (ahead | own)).to(labels.dtype)
    count = votes.sum(1)
    return torch.einsum("mnt,nt->mt", votes, labels) / count.clamp(min=1), count > 0


def consensus(labels: Tensor, confidence: Tensor, *, reliable: float, margin: float) -> tuple[Tensor, Tensor]:
    """One target (T,) for each snippet, the mean of those of the sources, and a mask (T,): false where none has one.

    Arguments as in `vote`.
    """
    target, mask = vote(labels, confidence, reliable=reliable, margin=margin)
    count = mask.sum(0)
    return (target * mask).sum(0) / count.clamp(min=1), count > 0


def implied_confidence(values: Tensor) -> Tensor:
    """(..., T) of sequences that state none: |2u - 1|, u being the values scaled to 0..1; 0 for a constant sequence."""
    lowest, highest = values.amin(-1, keepdim=True), values.amax(-1, keepdim=True)
    return torch.where(highest > lowest, (2 * (values - lowest) / (highest - lowest) - 1).abs(), 0.0)
