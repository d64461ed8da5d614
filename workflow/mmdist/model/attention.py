"""The dual transformer's stacks: causal attention with an additive bias, post-LayerNorm (CPL's DualTransformer)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head scaled dot-product attention, no dropout inside."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        for projection in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor | None) -> Tensor:
        """x (N, T, d) attends to memory (N, S, d); bias (N or 1, T or 1, S) is added to the logits."""
        n, t, d = x.shape
        q, k, v = (
            projection(source).view(n, -1, self.heads, d // self.heads).transpose(1, 2)  # (N, nh, T or S, hs)
            for projection, source in ((self.query, x), (self.key, memory), (self.value, memory))
        )
        if bias is not None:
            bias = bias.unsqueeze(1).to(q.dtype)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(y.transpose(1, 2).reshape(n, t, d))


class Layer(nn.Module):
    """Self-attention, optional cross-attention, feed-forward; dropout on each output, then residual and LayerNorm."""

    def __init__(self, dim: int, heads: int, feed_forward: int, dropout: float):
        super().__init__()
        self.self_attention = Attention(dim, heads)
        self.cross_attention = Attention(dim, heads)
        self.wide = nn.Linear(dim, feed_forward)
        self.narrow = nn.Linear(feed_forward, dim)
        for projection in (self.wide, self.narrow):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor | None, memory: Tensor | None, memory_bias: Tensor | None) -> Tensor:
        x = self.norms[0](x + self.dropout(self.self_attention(x, x, bias)))
        if memory is not None:
            x = self.norms[1](x + self.dropout(self.cross_attention(x, memory, memory_bias)))
        return self.norms[2](x + self.dropout(self.narrow(F.relu(self.wide(x)))))


class Stack(nn.Module):
    """Layers that share one bias; the cross-attention is used when a memory is given."""

    def __init__(self, dim: int, heads: int, feed_forward: int, layers: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(Layer(dim, heads, feed_forward, dropout) for _ in range(layers))

    def forward(
        self, x: Tensor, bias: Tensor | None, memory: Tensor | None = None, memory_bias: Tensor | None = None
    ) -> Tensor:
        """x (N, T, d), bias (N or 1, T or 1, T), memory (N, S, d), memory_bias (N or 1, T or 1, S) -> (N, T, d)."""
        for layer in self.layers:
            x = layer(x, bias, memory, memory_bias)
        return x


def causal_bias(size: int, device: torch.device) -> Tensor:
    """(1, size, size): 0 where a position may look (itself and before), -inf elsewhere."""
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
