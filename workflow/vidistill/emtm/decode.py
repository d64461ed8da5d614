"""From span logits to scored moments."""

import torch
from torch import Tensor

from vidistill.emtm import suppression


def decode(boundaries: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The five best spans (i, j), i <= j, by P_start[i] P_end[j], after suppression.

    If fewer than five are left, the best one is repeated with score 0.

    Args:
        boundaries: (B, 2, T) logits of start and end, -inf on padding.
        lengths: (B,) valid snippets L.

    Returns:
        (B, 5, 2) [i / L, (j + 1) / L], best first, and their scores (B, 5).
    """
    start, end = boundaries.log_softmax(-1).unbind(1)
    first, last = torch.triu_indices(start.shape[1], start.shape[1], device=start.device)
    cells = torch.stack([first, last + 1], dim=1)
    # Logarithms, since a product of two probabilities may be 0 in single precision.
    index, scores = suppression.best(cells, start[:, first] + end[:, last])
    index = torch.where(scores.isneginf(), index[:, :1], index)
    return cells[index] / lengths.view(-1, 1, 1), scores.exp()
