"""The dual transformer's stacks: causal attention with an additive bias, post-LayerNorm (CPL's DualTransformer)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head scaled dot-product attention, no dropout inside.

    Initialised like CPL's: query, key and value as one (3d, d) Xavier matrix; biases are zero.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        bound = math.sqrt(6 / (dim + 3 * dim))
        for projection in (self.query, self.key, self.value):
            nn.init.uniform_(projection.weight, -bound, bound)
        nn.init.xavier_uniform_(self.out.weight)
        for projection in (self.query, self.key, self.value, self.out):
            nn.init.zeros_(projection.bias)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor | None, copies: int = 1) -> Tensor:
        """x (N, T, d) attends to memory (N, S, d); bias (N or 1, T or 1, S) is added to the logits.

        With `copies`, bias is (N * copies, T or 1, S), grouped by x, and the result (N * copies, T, d).
        """
        n, t, d = x.shape
        q, k, v = (
            projection(source).view(n, -1, self.heads, d // self.heads).transpose(1, 2)  # (N, nh, T or S, hs)
            for projection, source in ((self.query, x), (self.key, memory), (self.value, memory))
        )
        if copies > 1:
            q, k, v = (y.repeat_interleave(copies, 0) for y in (q, k, v))
        if bias is not None:
            bias = bias.unsqueeze(1).to(q.dtype)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(y.transpose(1, 2).reshape(n * copies, t, d))

    def few_to_many(self, x: Tensor, memory: Tensor, bias: Tensor | None) -> Tensor:
        """The same, cheaper for few x and a long memory: queries and outputs are projected instead of the memory.

        (W_q x) . (W_k m) = (W_k^T W_q x) . m, and a sum of W_v m is W_v of the sum. The keys' bias shifts all logits of
        a softmax equally; the values' bias is added once. bias (N or 1, 1, S).
        """
        n, t, d = x.shape
        h = self.heads
        key, value = (w.view(h, d // h, d) for w in (self.key.weight, self.value.weight))
        q = torch.einsum("nthc,hcd->nhtd", self.query(x).view(n, t, h, d // h), key).reshape(n, 1, h * t, d)
        memory = memory.unsqueeze(1)
        if bias is not None:
            bias = bias.unsqueeze(1).to(q.dtype)
        y = F.scaled_dot_product_attention(q, memory, memory, attn_mask=bias, scale=(d // h) ** -0.5)
        y = torch.einsum("nhtd,hcd->nthc", y.view(n, h, t, d), value).reshape(n, t, d)
        return self.out(y + self.value.bias)


class Layer(nn.Module):
    """Self-attention, optional cross-attention, feed-forward; dropout on each output, then residual and LayerNorm."""

    def __init__(self, dim: int, heads: int, feed_forward: int, dropout: float):
        super().__init__()
        self.self_attention = Attention(dim, heads)
        self.cross_attention = Attention(dim, heads)
        self.wide = nn.Linear(dim, feed_forward)
        self.narrow = nn.Linear(feed_forward, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        bias: Tensor,
        memory: Tensor | None,
        memory_bias: Tensor | None,
        *,
        copies: int = 1,
        last_only: bool = False,
    ) -> Tensor:
        """One layer of `Stack.forward`."""
        source = x
        if last_only:
            x, bias = x[:, -1:], bias[:, -1:]
        attended = self.dropout(self.self_attention(x, source, bias, copies))
        x = self.norms[0]((x.repeat_interleave(copies, 0) if copies > 1 else x) + attended)
        if memory is not None:
            read = self.cross_attention.few_to_many if memory.shape[1] > x.shape[1] else self.cross_attention
            x = self.norms[1](x + self.dropout(read(x, memory, memory_bias)))
        return self.norms[2](x + self.dropout(self.narrow(F.relu(self.wide(x)))))


class Stack(nn.Module):
    """Layers with a common bias; cross-attention is used if a memory is given."""

    def __init__(self, dim: int, heads: int, feed_forward: int, layers: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(Layer(dim, heads, feed_forward, dropout) for _ in range(layers))

    def forward(
        self,
        x: Tensor,
        bias: Tensor,
        memory: Tensor | None = None,
        memory_bias: Tensor | None = None,
        *,
        copies: int = 1,
        last_only: bool = False,
    ) -> Tensor:
        """Encode x (N, T, d), with cross-attention to `memory` (N, S, d) if given.

        Args:
            bias: (N or 1, T, T), or (N * copies, T, T): several biases per x, grouped by x.
            memory_bias: (N or 1, 1, S).
            last_only: compute only the last position in the last layer.

        Returns:
            (N * copies, T, d), or (N * copies, 1, d) for the last position.
        """
        for i, layer in enumerate(self.layers):
            x = layer(
                x,
                bias,
                memory,
                memory_bias,
                copies=copies if i == 0 else 1,
                last_only=last_only and i == len(self.layers) - 1,
            )
        return x


def causal_bias(size: int, device: torch.device) -> Tensor:
    """(1, size, size): 0 for itself and earlier positions, -inf for later ones."""
    return torch.full((size, size), -math.inf, device=device).triu(1).unsqueeze(0)


def padding_bias(valid: Tensor) -> Tensor:
    """valid (N, S) bool -> (N, 1, S): 0 for valid keys, -inf for padding."""
    return torch.zeros(valid.shape, device=valid.device).masked_fill(~valid, -math.inf).unsqueeze(1)


def word_positions(length: int, dim: int) -> Tensor:
    """(length, dim) fixed positions: sine half, cosine half, frequencies 10000^(-i/(dim/2 - 1)); row 0 is zero."""
    half = dim // 2
    frequencies = torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
    angles = torch.arange(length).unsqueeze(1) * frequencies
    table = torch.cat([angles.sin(), angles.cos()], dim=1)
    table[0] = 0
    return table
