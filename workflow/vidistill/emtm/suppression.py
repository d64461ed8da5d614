"""Non-maximum suppression of scored moments."""

import torch
from torch import Tensor

KEPT = 5  # moments per query
THRESHOLD = 0.5  # IoU


def best(moments: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Greedily the five best moments, none of which overlaps a better one by more than an IoU of 0.5.

    Args:
        moments: (M, 2) starts and ends on any scale; in whole numbers an IoU of 0.5 is exact.
        scores: (B, M); -inf for what is no candidate.

    Returns:
        Indices (B, 5), best first, and their scores; -inf where no candidate is left.
    """
    left, indices, found = scores, [], []
    for _ in range(KEPT):
        score, index = left.max(1)
        indices.append(index)
        found.append(score)
        left = left.masked_fill(iou(moments, moments[index].unsqueeze(1)) > THRESHOLD, -torch.inf)
    return torch.stack(indices, 1), torch.stack(found, 1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU (...) of moments (..., 2)."""
    shared = (torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])).clamp(min=0)
    return shared / (a[..., 1] - a[..., 0] + b[..., 1] - b[..., 0] - shared)
