"""Stacks and attention against a plain one: multiplied and renormalised weights, every position, separate products."""

import math

import pytest
import torch

from vidistill.mmdist.attention import Attention, Rows, Stack, causal_bias, padding_bias, rows_of, word_positions

N, T, S, D, HEADS = 3, 7, 4, 16, 4


@pytest.fixture
def attention():
    """With biases that are not zero."""
    torch.manual_seed(0)
    made = Attention(D, HEADS)
    for projection in (made.query, made.key, made.value, made.out):
        torch.nn.init.normal_(projection.bias)
    return made


def plainly(attention, x, memory, weight):
    """x (N, T, d) attends to memory (N, S, d), each key's share multiplied by weight (N or 1, T or 1, S)."""
    q, k, v = (
        projection(y).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        for projection, y in ((attention.query, x), (attention.key, memory), (attention.value, memory))
    )
    shares = (q @ k.transpose(-1, -2) / math.sqrt(D // HEADS)).softmax(-1) * weight.unsqueeze(1)
    y = (shares / shares.sum(-1, keepdim=True)) @ v
    return attention.out(y.transpose(1, 2).flatten(2))


def assert_same(found, expected, wrt):
    """Values and gradients."""
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    weights = torch.randn_like(found)
    gradients = [torch.autograd.grad((y * weights).sum(), wrt) for y in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


def causal():
    return torch.ones(1, T, T).tril()


@pytest.mark.parametrize(("n", "copies"), [(N, 1), (N, 2), (1, 2)])
def test_sequences_attend_to_themselves_each_copy_under_its_own_mask(attention, n, copies):
    """CPL multiplies softmaxed attention by the mask and renormalises; ours adds the mask's logarithm to the logits."""
    x, mask = torch.randn(n, T, D, requires_grad=True), torch.rand(n * copies, 1, T, requires_grad=True)
    bias = causal_bias(T, x.device) + (mask + 1e-10).log()
    found = attention(x.flatten(0, 1), Rows(n, T), Rows(n * copies, T), bias).view(-1, T, D)
    copied = x.repeat_interleave(copies, 0)
    expected = plainly(attention, copied, copied, causal() * (mask + 1e-10))
    assert_same(found, expected, [x, mask, attention.key.weight])


def test_copies_under_a_common_bias_are_equal(attention):
    x = torch.randn(N, T, D)
    found = attention(x.flatten(0, 1), Rows(N, T), Rows(2 * N, T), causal_bias(T, x.device)).view(N, 2, T, D)
    torch.testing.assert_close(found[:, 0], plainly(attention, x, x, causal()), atol=1e-6, rtol=1e-5)
    assert torch.equal(found[:, 0], found[:, 1])


@pytest.mark.parametrize("read", [Attention.few_to_many, Attention.many_to_few])
@pytest.mark.parametrize("packed", [False, True])
def test_a_memory_is_read_without_all_projections(attention, read, packed):
    x, memory = torch.randn(N, T, D, requires_grad=True), torch.randn(N, S, D, requires_grad=True)
    weight = torch.rand(N, 1, S, requires_grad=True)
    rows = rows_of(torch.rand(N, T) < 0.5) if packed else Rows(N, T)
    found = read(attention, rows.pack(x), rows, memory, weight.log())
    expected = rows.pack(plainly(attention, x, memory, weight))
    weights = [p.weight for p in (attention.query, attention.key, attention.value, attention.out)]
    biases = [p.bias for p in (attention.query, attention.value, attention.out)]  # that of the keys has no effect
    assert_same(found, expected, [x, memory, weight, *weights, *biases])


def test_padding_is_not_read(attention):
    x, memory, rows = torch.randn(2 * T, D), torch.randn(2, 5, D), Rows(2, T)
    valid = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    changed = memory.clone()
    changed[0, 3:] = 9
    for read in (attention.few_to_many, attention.many_to_few):
        before, after = (read(x, rows, y, padding_bias(valid)) for y in (memory, changed))
        torch.testing.assert_close(before, after)


def test_a_causal_stack_does_not_look_ahead():
    torch.manual_seed(0)
    stack = Stack(16, 4, 32, 2, 0.0)
    x = torch.randn(1, 6, 16)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = (stack(y, Rows(1, 6), causal_bias(6, x.device)) for y in (x, changed))
    torch.testing.assert_close(before[:4], after[:4])
    assert not torch.allclose(before[4:], after[4:])


def test_copies_are_as_if_each_were_encoded_alone():
    torch.manual_seed(0)
    stack, x = Stack(16, 4, 32, 2, 0.0), torch.randn(2, 6, 16)
    bias = torch.rand(6, 6, 6).log()  # three for each x
    found = stack(x, Rows(6, 6), bias)
    expected = [stack(x[i // 3 : i // 3 + 1], Rows(1, 6), bias[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-6, rtol=1e-5)


def test_rows_are_computed_as_if_all_were():
    """Where no position that is computed reads one that is not."""
    torch.manual_seed(0)
    stack, x, memory = Stack(16, 4, 32, 2, 0.0), torch.randn(2, 6, 16), torch.randn(4, 3, 16)
    kept = torch.tensor([[0, 1, 1, 0, 1, 0], [1] * 6, [0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0]]).bool()
    bias = causal_bias(6, x.device) + padding_bias(kept).masked_fill(~kept.unsqueeze(1), -1e9)
    rows = rows_of(kept)
    assert len(rows.chosen) == kept.sum()
    memory_bias = torch.zeros(1, 1, 3)
    found, whole = (stack(x, some, bias, memory, memory_bias) for some in (rows, Rows(4, 6)))
    torch.testing.assert_close(found, whole.view(4, 6, 16)[kept], atol=1e-6, rtol=1e-5)
    assert torch.equal(rows.unpack(found)[kept], found)
    assert not rows.unpack(found)[~kept].any()


def test_the_last_position_alone_is_that_of_the_whole():
    torch.manual_seed(0)
    stack, x, memory = Stack(16, 4, 32, 2, 0.0), torch.randn(2, 6, 16), torch.randn(2, 3, 16)
    bias, memory_bias = causal_bias(6, x.device), torch.zeros(1, 1, 3)
    found, whole = (stack(x, Rows(2, 6), bias, memory, memory_bias, last_only=last) for last in (True, False))
    torch.testing.assert_close(found, whole.view(2, 6, 16)[:, -1], atol=1e-6, rtol=1e-5)


def test_word_positions_are_a_sine_half_and_a_cosine_half():
    table = word_positions(5, 8)
    assert (table[0] == 0).all()
    for i in range(4):
        angle = 3 * 10000 ** (-i / 3)
        torch.testing.assert_close(table[3, i].item(), math.sin(angle), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(table[3, 4 + i].item(), math.cos(angle), atol=1e-6, rtol=1e-5)
