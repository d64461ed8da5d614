"""Hard labels against every cell and the rules of the specification, one snippet at a time."""

import math

import pytest
import torch

from vidistill.emtm import labels

O, B, I, E = range(4)  # noqa: E741


def overlap(a, b):
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared)


def test_the_cell_is_the_best_of_all():
    torch.manual_seed(0)
    lengths = torch.randint(1, 12, (400,))
    moments = torch.rand(400, 2, dtype=torch.float64).sort(1).values
    moments[:100] = (moments[:100] * lengths[:100, None]).round() / lengths[:100, None]  # on the grid
    moments[100:200, 1] = moments[100:200, 0] + 0.001 * moments[100:200, 1]  # shorter than a snippet
    moments = moments.clamp(max=1)
    kept = moments[:, 0] < moments[:, 1]
    moments, lengths = moments[kept], lengths[kept]
    assert len(moments) > 300
    for moment, length, found in zip(moments.tolist(), lengths.tolist(), labels.cells(moments, lengths), strict=True):
        scores = {
            (i, j): round(overlap(moment, (i / length, (j + 1) / length)), 6)
            for i in range(length)
            for j in range(i, length)
        }
        assert tuple(found.tolist()) == max(scores, key=lambda cell: (scores[cell], -cell[0], -cell[1]))


def test_of_equal_cells_the_first_counts():
    moments = torch.tensor([[2 - math.sqrt(2), 2], [0, math.sqrt(2)]]) / 4  # with one snippet more or less 1 / sqrt(2)
    assert labels.cells(moments, torch.tensor([4, 4])).tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("cell", "length", "start", "end"),
    [
        ((1, 3), 5, [0.25, 0.5, 0.25, 0, 0, 0], [0, 0, 0.25, 0.5, 0.25, 0]),
        ((0, 4), 5, [0.75, 0.25, 0, 0, 0, 0], [0, 0, 0, 0.25, 0.75, 0]),
        ((0, 0), 1, [1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]),
        ((0, 1), 2, [0.75, 0.25, 0, 0, 0, 0], [0.25, 0.75, 0, 0, 0, 0]),
    ],
)
def test_boundaries_are_soft_and_stay_in_the_video(cell, length, start, end):
    found = labels.boundaries(torch.tensor([cell]), torch.tensor([length]), 6)
    assert found.tolist() == [[start, end]]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ((3, 11), [O, B, B, B, B, B, I, I, I, E, E, E, E, E, O]),
        ((3, 7), [O, B, B, B, B, E, E, E, E, E, O, O, O, O, O]),  # B reaches E's left end
        ((3, 8), [O, B, B, B, B, B, E, E, E, E, E, O, O, O, O]),
        ((3, 5), [O, B, B, E, E, E, E, E, O, O, O, O, O, O, O]),  # B ends at i, which E takes
        ((3, 3), [O, E, E, E, E, E, O, O, O, O, O, O, O, O, O]),
        ((0, 0), [E, E, E, O, O, O, O, O, O, O, O, O, O, O, O]),
        ((0, 14), [B, B, B, I, I, I, I, I, I, I, I, I, E, E, E]),
    ],
)
def test_classes_of_sequence_matching(cell, expected):
    assert labels.classes(torch.tensor([cell]), 15).tolist() == [expected]
