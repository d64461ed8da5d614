"""Decoding of span logits."""

import math

import pytest
import torch

from vidistill.emtm.decode import decode

INF = float("inf")


def logits(*numbers):
    return torch.tensor([numbers])


def one_hot(i, size):
    return [0.0 if n == i else -50.0 for n in range(size)]


@pytest.mark.parametrize(("i", "j"), [(0, 0), (2, 4), (0, 5), (5, 5)])
def test_one_hot_boundaries_decode_to_themselves(i, j):
    moments, scores = decode(logits(one_hot(i, 6), one_hot(j, 6)), torch.tensor([6]))
    assert moments.shape == (1, 5, 2)
    assert moments[0, 0].tolist() == pytest.approx([i / 6, (j + 1) / 6])
    assert scores[0, 0].item() == pytest.approx(1)


def test_a_start_after_the_end_decodes_to_a_moment():
    moments, _ = decode(logits(one_hot(4, 6), one_hot(1, 6)), torch.tensor([6]))
    assert (moments[..., 0] < moments[..., 1]).all()


def test_the_five_best_are_those_of_greedy_suppression():
    torch.manual_seed(0)
    found = torch.randn(3, 2, 9)
    lengths = torch.tensor([9, 6, 9])
    found[1, :, 6:] = -INF
    moments, scores = decode(found, lengths)
    for b, length in enumerate(lengths.tolist()):
        start, end = found[b].softmax(-1).tolist()
        left = {(i, j + 1): start[i] * end[j] for i in range(length) for j in range(i, length)}
        for row in range(5):
            best = max(left, key=left.get)
            assert moments[b, row].tolist() == pytest.approx([x / length for x in best])
            assert scores[b, row].item() == pytest.approx(left[best], rel=1e-4)
            for cell in list(left):
                shared = max(0, min(best[1], cell[1]) - max(best[0], cell[0]))
                if shared / (best[1] - best[0] + cell[1] - cell[0] - shared) > 0.5:
                    del left[cell]
            if not left:
                break
        else:
            continue
        assert scores[b, row + 1 :].tolist() == [0] * (4 - row)


def test_a_video_of_one_snippet_has_one_moment_five_times():
    moments, scores = decode(torch.tensor([[[0.0, -INF], [0.0, -INF]]]), torch.tensor([1]))
    assert moments.tolist() == [[[0, 1]] * 5]
    assert scores.tolist() == [[1, 0, 0, 0, 0]]


def test_products_below_single_precision_keep_their_order():
    start, end = one_hot(2, 4), [-70.0, 0.0, -60.0, -INF]  # nothing but j = 2 and 3 may follow i = 2
    start[0] = start[1] = -200.0
    moments, scores = decode(logits(start, end), torch.tensor([3]))
    assert moments[0, 0].tolist() == pytest.approx([2 / 3, 1])
    assert scores[0, 0].item() == pytest.approx(math.exp(-60), rel=1e-3)
