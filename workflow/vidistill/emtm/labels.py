"""Hard labels of a moment on a video's snippets: its cell, boundary distributions, classes of sequence matching."""

import torch
from torch import Tensor

from vidistill.emtm.suppression import iou

CLASSES = 4  # O, B, I, E
OUTSIDE, BEGINNING, INSIDE, ENDING = range(CLASSES)
REACH = 2  # snippets on either side of a boundary that have its class
DIGITS = 6  # beyond which two IoU are equal


def cells(moments: Tensor, lengths: Tensor) -> Tensor:
    """The snippets (i, j), i <= j, whose [i/L, (j+1)/L] has the highest IoU with a moment; then smallest i, j.

    The best starts on a snippet beside the moment's start, and ends on one beside its end, since a border that moves
    away from the moment's only adds what is wrong, or cuts what is right.

    Args:
        moments: (B, 2) shares of the video; of a length above 0, and not outside of the video.
        lengths: (B,) L.

    Returns:
        (B, 2) int64.
    """
    size = lengths.unsqueeze(-1)
    places = moments.double() * size
    low, high = places.floor().long(), places.ceil().long()
    starts = torch.stack([low[:, 0], high[:, 0]], 1).repeat_interleave(2, 1)  # (B, 4), in the order of (i, j)
    ends = torch.stack([low[:, 1], high[:, 1]], 1).repeat(1, 2)
    candidates = torch.stack([starts, ends], -1)
    overlap = iou(candidates.double(), places.unsqueeze(1)).round(decimals=DIGITS)
    possible = (starts >= 0) & (starts < ends) & (ends <= size)
    best = overlap.masked_fill(~possible, -1).argmax(1)
    found = candidates[torch.arange(len(best)), best]
    return found - torch.tensor([0, 1], device=found.device)


def boundaries(cells: Tensor, lengths: Tensor, size: int) -> Tensor:
    """y: 0.5 on the boundary's snippet and 0.25 on either side; what falls outside of the video returns to it.

    Args:
        cells: (B, 2).
        lengths: (B,) L.
        size: T, to which rows are padded with 0.

    Returns:
        (B, 2, T) of start and end, with sum 1.
    """
    steps = torch.tensor([-1, 0, 0, 1], device=cells.device)
    here = cells.unsqueeze(-1)
    places = here + steps  # (B, 2, 4)
    places = torch.where((places >= 0) & (places < lengths.view(-1, 1, 1)), places, here)
    shares = torch.full(places.shape, 0.25, device=cells.device)
    return torch.zeros(*cells.shape, size, device=cells.device).scatter_add(-1, places, shares)


def classes(cells: Tensor, size: int) -> Tensor:
    """B on two snippets around i, E on two around j, I between, O elsewhere; B gives way to E, but not at i.

    Args:
        cells: (B, 2).
        size: T; what is beyond a video's snippets is not read.

    Returns:
        (B, T) int64.
    """
    first, last = cells.unsqueeze(-1).unbind(1)  # (B, 1) each
    place = torch.arange(size, device=cells.device)
    left_of_end = (last - REACH).clamp(min=0)
    begun = first + REACH
    begun = torch.where(begun >= left_of_end, torch.maximum(first, left_of_end - 1), begun)
    found = torch.where((place >= first - REACH) & (place <= begun), BEGINNING, OUTSIDE)
    found = torch.where((place > begun) & (place < left_of_end), INSIDE, found)
    return torch.where((place >= left_of_end) & (place <= last + REACH), ENDING, found)
