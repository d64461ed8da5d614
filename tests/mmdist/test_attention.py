import math

import torch

from vidistill.mmdist.attention import Attention, Stack, causal_bias, padding_bias, word_positions


def test_the_bias_of_a_gaussian_is_multiplying_and_renormalising():
    """CPL multiplies softmaxed attention by the mask and renormalises; ours adds the mask's logarithm to the logits."""
    torch.manual_seed(0)
    n, t, d, heads = 3, 7, 16, 4
    attention, x, mask = Attention(d, heads), torch.randn(n, t, d), torch.rand(n, t)
    bias = causal_bias(t, x.device) + (mask + 1e-10).log().unsqueeze(1)
    q, k, v = (p(x).view(n, t, heads, -1).transpose(1, 2) for p in (attention.query, attention.key, attention.value))
    weights = (q @ k.transpose(-1, -2) / math.sqrt(d // heads) + causal_bias(t, x.device)).softmax(-1)
    weights = weights * (mask + 1e-10)[:, None, None]
    weights = weights / weights.sum(-1, keepdim=True)
    expected = attention.out((weights @ v).transpose(1, 2).reshape(n, t, d))
    torch.testing.assert_close(attention(x, x, bias), expected, atol=1e-5, rtol=1e-5)


def test_a_causal_stack_does_not_look_ahead():
    torch.manual_seed(0)
    stack = Stack(16, 4, 32, 2, 0.0)
    x = torch.randn(1, 6, 16)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = (stack(y, causal_bias(6, x.device)) for y in (x, changed))
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_padding_is_not_read():
    torch.manual_seed(0)
    attention, x, memory = Attention(16, 4), torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    valid = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    changed = memory.clone()
    changed[0, 3:] = 9
    torch.testing.assert_close(attention(x, memory, padding_bias(valid)), attention(x, changed, padding_bias(valid)))


def test_word_positions_are_a_sine_half_and_a_cosine_half():
    table = word_positions(5, 8)
    assert (table[0] == 0).all()
    for i in range(4):
        angle = 3 * 10000 ** (-i / 3)
        torch.testing.assert_close(table[3, i].item(), math.sin(angle), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(table[3, 4 + i].item(), math.cos(angle), atol=1e-6, rtol=1e-5)


def test_few_queries_read_a_long_memory_without_projecting_it():
    torch.manual_seed(0)
    attention, x, memory = Attention(16, 4), torch.randn(3, 2, 16), torch.randn(3, 9, 16, requires_grad=True)
    for projection in (attention.query, attention.key, attention.value):
        torch.nn.init.normal_(projection.bias)
    bias = torch.rand(3, 1, 9).log()
    expected = attention(x, memory, bias)
    found = attention.few_to_many(x, memory, bias)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    weights = torch.randn_like(found)
    gradients = [torch.autograd.grad((y * weights).sum(), [memory, attention.key.weight]) for y in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)


def test_copies_are_as_if_each_were_encoded_alone():
    torch.manual_seed(0)
    stack, x = Stack(16, 4, 32, 2, 0.0), torch.randn(2, 6, 16)
    bias = torch.rand(6, 6, 6).log()  # three for each x
    found = stack(x, bias, copies=3)
    expected = torch.cat([stack(x[i // 3 : i // 3 + 1], bias[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_the_last_position_alone_is_that_of_the_whole():
    torch.manual_seed(0)
    stack, x, memory = Stack(16, 4, 32, 2, 0.0), torch.randn(2, 6, 16), torch.randn(2, 3, 16)
    bias, memory_bias = causal_bias(6, x.device), torch.zeros(1, 1, 3)
    found = stack(x, bias, memory, memory_bias, last_only=True)
    torch.testing.assert_close(found, stack(x, bias, memory, memory_bias)[:, -1:], atol=1e-6, rtol=1e-5)
