"""The Knowledge Aggregation Unit against loops, and what it may not depend on."""

import math

import pytest
import torch

from vidistill.emtm.kau import Aggregation, mixture

LENGTH, DIM = 8, 6
SNIPPETS = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
KNOWN = torch.tensor([[True] * 2 + [False], [True] * 3])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def unit(teachers=3, batch_statistics=False):
    built = Aggregation(DIM, LENGTH, teachers, batch_statistics)
    for parameter in built.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return built


def inputs():
    return torch.randn(2, 5, DIM), SNIPPETS, torch.randn(2, 3, DIM), KNOWN


def normalised(x, norm, channel):
    return norm.weight[channel].item() * x / math.sqrt(1.001) + norm.bias[channel].item()


@pytest.mark.parametrize("gated", [True, False])
@torch.no_grad()
def test_weights_are_those_of_loops(gated):
    kau, (video, _, words, _) = unit(), inputs()
    found = kau(video, SNIPPETS, words if gated else None, KNOWN)
    for b in range(2):
        v = torch.zeros(LENGTH, DIM)
        v[: SNIPPETS[b].sum()] = video[b][SNIPPETS[b]]
        highest = words[b][KNOWN[b]].amax(0)
        a = []
        for t in range(LENGTH):
            channels = []
            for c in range(16):
                u = 0.0
                for k, convolution, norm in zip((3, 5, 7), kau.convolutions, kau.norms, strict=True):
                    taps = [(n, t + n - k // 2) for n in range(k) if 0 <= t + n - k // 2 < LENGTH]
                    x = sum((convolution.weight[c, :, n] @ v[at]).item() for n, at in taps)
                    u += max(0.0, normalised(x + convolution.bias[c].item(), norm, c))
                x = (kau.sentence.weight[c] @ highest + kau.sentence.bias[c]).item()
                channels.append(u * (max(0.0, normalised(x, kau.sentence_norm, c)) if gated else 1))
            a.append(sum(channels) / 16)
        h = [
            max(0.0, sum(w * x for w, x in zip(row.tolist(), a, strict=True)) + bias.item())
            for row, bias in zip(kau.hidden.weight, kau.hidden.bias, strict=True)
        ]
        for which in range(2):
            scores = [(t.weight[which] @ torch.tensor(h) + t.bias[which]).item() for t in kau.teachers]
            exponents = [math.exp(x) for x in scores]
            assert found[b, :, which].tolist() == pytest.approx([x / sum(exponents) for x in exponents], rel=1e-4)


def test_weights_are_of_teachers_for_start_and_end_apart():
    found = unit()(*inputs())
    assert found.shape == (2, 3, 2)
    torch.testing.assert_close(found.sum(1), torch.ones(2, 2))
    assert (found[..., 0] - found[..., 1]).abs().max() > 1e-3


@pytest.mark.parametrize("teachers", [1, 3])
def test_one_teacher_or_equal_ones_are_their_mixture(teachers):
    distributions = torch.randn(2, 1, 2, 5).softmax(-1)
    mixed = mixture(unit(teachers)(*inputs()), distributions.expand(-1, teachers, -1, -1))
    torch.testing.assert_close(mixed, distributions[:, 0])


def test_a_mixture_weighs_starts_and_ends_apart():
    weights = torch.tensor([[[0.25, 1.0], [0.75, 0.0]]])
    distributions = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [1.0, 0.0]]]])
    assert mixture(weights, distributions).tolist() == [[[0.25, 0.75], [0.5, 0.5]]]


@torch.no_grad()
def test_padding_changes_nothing():
    kau, (video, _, words, _) = unit(), inputs()
    found = kau(video, SNIPPETS, words, KNOWN)
    alone = kau(video[1:, :3], SNIPPETS[1:, :3], words[1:], KNOWN[1:])
    torch.testing.assert_close(alone, found[1:])
    video[1, 3:], words[0, 2:] = 9, 9
    torch.testing.assert_close(kau(video, SNIPPETS, words, KNOWN), found)


@pytest.mark.parametrize("by_batch", [False, True])
def test_statistics_are_the_first_ones_or_the_batchs(by_batch):
    kau, given = unit(batch_statistics=by_batch).train(), inputs()
    before = kau(*(x[:1] for x in given))  # one query has no statistics
    together = kau(*given)
    assert torch.allclose(together[:1], before, atol=1e-6) != by_batch
    assert kau.sentence_norm.running_mean.any() == by_batch
