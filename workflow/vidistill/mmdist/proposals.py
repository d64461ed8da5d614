"""Proposals: Gaussians over a video's normalised time, their moments, and their negatives (CPL)."""

import torch
from torch import Tensor

MIN_WIDTH = 0.01  # CPL's smallest width of Gaussians


def gaussian(center: Tensor, std: Tensor, positions: int) -> Tensor:
    """Gaussian masks (..., positions) over linspace(0, 1), each divided by its maximum."""
    x = torch.linspace(0, 1, positions, device=center.device)
    exponent = -((x - center.unsqueeze(-1)) ** 2) / (2 * std.unsqueeze(-1) ** 2)
    # Divide in the exponent: a narrow Gaussian between two positions would underflow to 0 / 0.
    return torch.exp(exponent - exponent.amax(-1, keepdim=True))


def positive_masks(center: Tensor, width: Tensor, positions: int, width_divisor: float) -> Tensor:
    """Masks (..., positions) of proposals: std = max(w, 0.01) / 9."""
    return gaussian(center, width.clamp(min=MIN_WIDTH) / width_divisor, positions)


def negative_masks(
    center: Tensor, width: Tensor, positions: int, width_divisor: float, progress: float, gamma: float
) -> tuple[Tensor, Tensor]:
    """Masks of the negatives left and right of a proposal, from easy (at the borders) to hard (beside it).

    Args:
        center: (...), normalised, as is `width`.
        progress: epoch / epochs.
        gamma: exponent of the curriculum, 0 for none.
    """
    t = min(progress, 1.0) ** gamma / 2
    left = (center - width / 2).clamp(min=0) * t
    right = (1 - center - width / 2).clamp(min=0) * t
    divisor = width_divisor / 2
    return (
        gaussian(left, left.clamp(min=MIN_WIDTH) / divisor, positions),
        gaussian(1 - right, right.clamp(min=MIN_WIDTH) / divisor, positions),
    )


def moments(center: Tensor, width: Tensor) -> Tensor:
    """(..., 2): [max(c - w/2, 0), min(c + w/2, 1)], normalised."""
    return torch.stack([(center - width / 2).clamp(min=0), (center + width / 2).clamp(max=1)], dim=-1)


def snippets(moments: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The snippets [first, stop) of L that normalised moments (..., 2) cover: floor(sL) to ceil(eL), at least one."""
    start, end = (moments.double() * size).unbind(-1)
    first = start.floor().long().clamp(max=size - 1)
    return first, torch.maximum(first + 1, end.ceil().long())


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """IoU of intervals a, b (..., 2); 0 where both are empty."""
    intersection = (torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])).clamp(min=0)
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - intersection
    return intersection / union.clamp(min=1e-8)


def nearest_proposal(center: Tensor, width: Tensor, target: Tensor) -> Tensor:
    """Eq. 10: k^T, the index (B,) of the proposal (B, K) that overlaps most with the pseudo label `target` (B, 2).

    If none overlaps, the proposal with the nearest centre.
    """
    ious = overlap(moments(center, width), target.unsqueeze(1))
    distance = (center - target.mean(-1, keepdim=True)).abs()  # negated below, so smaller than every IoU
    return torch.where(ious.amax(-1, keepdim=True) > 0, ious, -distance).argmax(-1)
