"""Layers against loops over batch, positions, heads and channels."""

import math

import pytest
import torch

from vidistill.emtm.attention import ContextQueryAttention, DualAttention
from vidistill.emtm.embedding import QueryEmbedding
from vidistill.emtm.layers import ConvolutionBlocks, FeatureEncoder, initialise

SNIPPETS = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
WORDS = torch.tensor([[True] * 2 + [False], [True] * 3])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def stirred(layer):
    """No parameter is 0 or 1, as biases and LayerNorm are at first."""
    initialise(layer)
    for parameter in layer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return layer.eval()


def softmax(numbers):
    exponents = [math.exp(x) for x in numbers]
    return [x / sum(exponents) for x in exponents]


def attended(query, key, value, valid, heads):
    """Attention of (T, d) to (S, d), one head and position at a time."""
    size = query.shape[1] // heads
    out = torch.zeros_like(query)
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        for t in range(len(query)):
            keys = [s for s in range(len(key)) if valid[s]]
            weights = softmax([(query[t, part] @ key[s, part]).item() / math.sqrt(size) for s in keys])
            out[t, part] = sum(w * value[s, part] for w, s in zip(weights, keys, strict=True))
    return out


def convolved(blocks, x, valid):
    """Convolution blocks of (T, d), one position and channel at a time."""
    x = (x + blocks.positions[: len(x)]) * valid.unsqueeze(-1)
    for norm, depthwise, pointwise in zip(blocks.norms, blocks.depthwise, blocks.pointwise, strict=True):
        y = norm(x) * valid.unsqueeze(-1)
        mixed = torch.zeros_like(x)
        for t in range(len(x)):
            for c in range(x.shape[1]):
                taps = [(k, t + k - 3) for k in range(7) if 0 <= t + k - 3 < len(x)]
                mixed[t, c] = sum(depthwise.weight[c, 0, 0, k] * y[at, c] for k, at in taps)
        x = (x + pointwise(mixed).clamp(min=0)) * valid.unsqueeze(-1)
    return x


@torch.no_grad()
def test_convolution_blocks():
    blocks, x = stirred(ConvolutionBlocks(6, 8, 0.2, mask_padding=True)), torch.randn(2, 5, 6)
    found = blocks(x, SNIPPETS)
    for b in range(2):
        torch.testing.assert_close(found[b], convolved(blocks, x[b], SNIPPETS[b]), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_feature_encoder_attends_without_output_projection():
    encoder, x = stirred(FeatureEncoder(6, 8, 2, 0.2, mask_padding=True)), torch.randn(2, 5, 6)
    found = encoder(x, SNIPPETS)
    for b in range(2):
        y = convolved(encoder.blocks, x[b], SNIPPETS[b])
        f = encoder.attention_norm(y)
        y = y + attended(encoder.query(f), encoder.key(f), encoder.value(f), SNIPPETS[b], 2)
        y = y + encoder.output(encoder.output_norm(y))
        torch.testing.assert_close(found[b][SNIPPETS[b]], y[SNIPPETS[b]], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_context_query_attention():
    layer, x, y = stirred(ContextQueryAttention(4, 0.2)), torch.randn(2, 5, 4), torch.randn(2, 3, 4)
    found = layer(x, y, SNIPPETS, WORDS)
    for b in range(2):
        rows, columns = SNIPPETS[b].nonzero().flatten().tolist(), WORDS[b].nonzero().flatten().tolist()
        s = {
            (i, j): (
                x[b, i] @ layer.of_x[:, 0] + y[b, j] @ layer.of_y[:, 0] + (x[b, i] * layer.of_both[0]) @ y[b, j]
            ).item()
            for i in rows
            for j in columns
        }
        to_y = {i: softmax([s[i, j] for j in columns]) for i in rows}
        to_x = {j: softmax([s[i, j] for i in rows]) for j in columns}
        back = {j: sum(to_x[j][n] * x[b, i] for n, i in enumerate(rows)) for j in columns}
        for i in rows:
            c = sum(to_y[i][n] * y[b, j] for n, j in enumerate(columns))
            q = sum(to_y[i][n] * back[j] for n, j in enumerate(columns))
            expected = layer.output.weight @ torch.cat([x[b, i], c, x[b, i] * c, x[b, i] * q])
            torch.testing.assert_close(found[b, i], expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_dual_attention():
    d, x, y = stirred(DualAttention(6, 2, 0.2)), torch.randn(2, 5, 6), torch.randn(2, 3, 6)
    found = d(x, y, SNIPPETS, WORDS)
    for b in range(2):
        f, t = d.own_norm(x[b]), d.other_norm(y[b])
        s = d.own(attended(d.query(f), d.key(f), d.value(f), SNIPPETS[b], 2))
        c = d.other(attended(d.query(f), d.other_key(t), d.other_value(t), WORDS[b], 2))
        o = d.gated(torch.sigmoid(d.own_gate(s)) * c + torch.sigmoid(d.other_gate(c)) * s)
        w1, b1, u1 = d.gate_of_x.weight, d.gate_of_x.bias, d.gate_of_o.weight
        w2, b2, u2 = d.mix_of_x.weight, d.mix_of_x.bias, d.mix_of_o.weight
        r = torch.sigmoid(f @ w1.T + o @ u1.T + b1) * (f @ w2.T + o @ u2.T + b2) * SNIPPETS[b].unsqueeze(-1)
        x1 = x[b] + d.inner(r)
        torch.testing.assert_close(found[b], x1 + d.output(d.output_norm(x1)), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_word_is_its_vector_and_the_maxima_of_its_characters():
    embedding = stirred(QueryEmbedding(torch.randn(4, 5), False, 7, 3, 6, 0.2))
    embedding.words[0] = 0
    tokens, spelling = torch.tensor([[2, 4], [1, 0]]), torch.randint(0, 8, (2, 2, 16))
    found = embedding(tokens, spelling)
    for b in range(2):
        for w in range(2):
            token = tokens[b, w].item()
            vector = embedding.unknown[0] if token == 4 else embedding.words[token]
            letters = [torch.zeros(3) if i == 0 else embedding.characters[i - 1] for i in spelling[b, w].tolist()]
            maxima = []
            for k, convolution in enumerate(embedding.convolutions, 1):
                for kernel, bias in zip(convolution.weight[:, :, 0], convolution.bias, strict=True):
                    at = [
                        sum(kernel[:, n] @ letters[place + n] for n in range(k)) + bias for place in range(16 - k + 1)
                    ]
                    maxima.append(max(0.0, *(value.item() for value in at)))
            assert len(maxima) == 100
            expected = embedding.norm(embedding.projection(torch.cat([vector, torch.tensor(maxima)])))
            torch.testing.assert_close(found[b, w], expected, atol=1e-5, rtol=1e-4)


def test_layers_begin_as_the_specification_says():
    """Xavier-uniform for each matrix and convolution, zero biases."""
    blocks = ConvolutionBlocks(64, 50, 0.0, mask_padding=True)
    initialise(blocks)
    for weight, fans in (
        (blocks.positions, 50 + 64),
        (blocks.pointwise[2].weight, 64 + 64),
        (blocks.depthwise[1].weight, 7 + 7 * 64),
    ):
        bound = math.sqrt(6 / fans)
        assert 0.97 * bound < weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
    assert not blocks.pointwise[2].bias.any()
    assert blocks.norms[0].eps == 1e-6
