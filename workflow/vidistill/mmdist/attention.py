"""The dual transformer's stacks: causal attention with an additive bias, post-LayerNorm (CPL's DualTransformer)."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.training.dropout import Dropout


class Rows(NamedTuple):
    """The positions of N sequences of length T that are computed, as the M rows of one matrix.

    Attributes:
        chosen: (M,) ascending indices of the N * T positions; None for all.
    """

    sequences: int
    length: int
    chosen: Tensor | None = None

    def pack(self, x: Tensor) -> Tensor:
        """(N, T, d) -> (M, d)."""
        x = x.reshape(self.sequences * self.length, x.shape[-1])
        return x if self.chosen is None else x.index_select(0, self.chosen)

    def unpack(self, x: Tensor) -> Tensor:
        """(M, d) -> (N, T, d), 0 where nothing is computed."""
        if self.chosen is not None:
            x = x.new_zeros(self.sequences * self.length, x.shape[1]).index_add(0, self.chosen, x)
        return x.view(self.sequences, self.length, x.shape[1])


def rows_of(kept: Tensor) -> Rows:
    """The positions where `kept` (N, T) is true.

    How many these are is known to the CPU alone: a GPU would have to wait, and an exported network has a fixed graph.
    There, all positions are computed.
    """
    n, t = kept.shape
    if kept.device.type != "cpu" or torch.compiler.is_exporting() or kept.all():
        return Rows(n, t)
    return Rows(n, t, kept.flatten().nonzero().squeeze(1))


class Attention(nn.Module):
    """Multi-head scaled dot-product attention, no dropout inside, in three forms of equal results.

    Initialised like CPL's: query, key and value as one (3d, d) Xavier matrix; biases are zero.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        bound = math.sqrt(6 / (dim + 3 * dim))
        for projection in (self.query, self.key, self.value):
            nn.init.uniform_(projection.weight, -bound, bound)
        nn.init.xavier_uniform_(self.out.weight)
        for projection in (self.query, self.key, self.value, self.out):
            nn.init.zeros_(projection.bias)

    def forward(self, x: Tensor, source: Rows, rows: Rows, bias: Tensor) -> Tensor:
        """Sequences attend to themselves: x (M, d), the rows `source` of N sequences -> (M', d), the rows `rows`.

        `rows` are of R * N sequences, each of which is a copy of one in `source`, R in a row.

        Args:
            bias: (1, T, T), common to all, or (R * N, T, T); added to the logits.
        """
        n, t, copies = source.sequences, source.length, rows.sequences // source.sequences
        projections = (self.query, self.key, self.value)
        weight, shift = (torch.cat([getattr(p, name) for p in projections]) for name in ("weight", "bias"))
        q, k, v = source.unpack(F.linear(x, weight, shift)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        alike = copies == 1 or bias.shape[0] == 1
        if not alike:  # keys and values stay as few as the sequences are
            q, bias = q.repeat(1, 1, copies, 1), bias.view(n, copies * t, t)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.unsqueeze(1).to(q.dtype)).transpose(1, 2)
        y = y.reshape(-1, t, x.shape[1])
        return self.out(rows.pack(y.repeat_interleave(copies, 0) if alike and copies > 1 else y))

    def few_to_many(self, x: Tensor, rows: Rows, memory: Tensor, bias: Tensor) -> Tensor:
        """x (M, d) attends to a longer memory: queries and outputs are projected instead of the memory.

        (W_q x) . (W_k m) = (W_k^T W_q x) . m, and a sum of W_v m is W_v of the sum. The keys' bias shifts all logits of
        a softmax equally; the values' bias is added once.

        Args:
            rows: of x.
            memory: (N, S, d).
            bias: (N or 1, 1, S).
        """
        d, heads = x.shape[1], self.heads
        key, value = (w.view(heads, d // heads, d) for w in (self.key.weight, self.value.weight))
        q = torch.einsum("mhc,hcd->mhd", (self.query(x) * self.scale).view(-1, heads, d // heads), key)
        q = rows.unpack(q.flatten(1)).view(rows.sequences, rows.length * heads, d)
        weights = torch.baddbmm(bias.to(q.dtype), q, memory.transpose(1, 2)).softmax(-1)
        y = rows.pack((weights @ memory).view(rows.sequences, rows.length, heads * d)).view(-1, heads, d)
        return self.out(torch.einsum("mhd,hcd->mhc", y, value).flatten(1) + self.value.bias)

    def many_to_few(self, x: Tensor, rows: Rows, memory: Tensor, bias: Tensor) -> Tensor:
        """x attends to a shorter memory, which is projected twice instead of x and what it reads; as `few_to_many`.

        (W_q x + b) . k = x . (W_q^T k) + b . k, and W_o of a sum of values is the sum of W_o of them.
        """
        d, heads = x.shape[1], self.heads
        n, s = memory.shape[:2]
        key, value = (p(memory).view(n, s, heads, d // heads) for p in (self.key, self.value))
        key = key * self.scale
        keys = torch.einsum("nshc,hcd->nhsd", key, self.query.weight.view(heads, d // heads, d)).flatten(1, 2)
        shift = torch.einsum("nshc,hc->nhs", key, self.query.bias.view(heads, d // heads)) + bias
        values = torch.einsum("nshc,dhc->nhsd", value, self.out.weight.view(d, heads, d // heads)).flatten(1, 2)
        logits = torch.baddbmm(shift.to(keys.dtype).reshape(n, 1, heads * s), rows.unpack(x), keys.transpose(1, 2))
        weights = logits.view(n, rows.length, heads, s).softmax(-1).flatten(2)
        return rows.pack(weights @ values) + self.out.bias


class Layer(nn.Module):
    """Self-attention, optional cross-attention, feed-forward; dropout on each output, then residual and LayerNorm."""

    def __init__(self, dim: int, heads: int, feed_forward: int, dropout: float):
        super().__init__()
        self.self_attention = Attention(dim, heads)
        self.cross_attention = Attention(dim, heads)
        self.wide = nn.Linear(dim, feed_forward)
        self.narrow = nn.Linear(feed_forward, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        source: Rows,
        rows: Rows,
        bias: Tensor,
        memory: Tensor | None,
        memory_bias: Tensor | None,
        last_only: bool,
    ) -> Tensor:
        """x (M, d), the rows `source` -> (M', d), the rows `rows`, or (N, d); see `Stack` and `Attention`."""
        if last_only:
            whole = source.unpack(x)
            x, rows = whole[:, -1], Rows(source.sequences, 1)
            attended = self.self_attention.few_to_many(x, rows, whole, bias[:, -1:])
        else:
            attended = self.self_attention(x, source, rows, bias)
            if rows is not source:
                x = rows.pack(source.unpack(x).repeat_interleave(rows.sequences // source.sequences, 0))
        x = self.norms[0](x + self.dropout(attended))
        if memory is not None and memory_bias is not None:
            cross = self.cross_attention
            read = cross.few_to_many if memory.shape[1] > rows.length else cross.many_to_few
            x = self.norms[1](x + self.dropout(read(x, rows, memory, memory_bias)))
        return self.norms[2](x + self.dropout(self.narrow(F.relu(self.wide(x), inplace=True))))


class Stack(nn.Module):
    """Layers with a common bias; cross-attention is used if a memory is given."""

    def __init__(self, dim: int, heads: int, feed_forward: int, layers: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(Layer(dim, heads, feed_forward, dropout) for _ in range(layers))

    def forward(
        self,
        x: Tensor,
        rows: Rows,
        bias: Tensor,
        memory: Tensor | None = None,
        memory_bias: Tensor | None = None,
        *,
        last_only: bool = False,
    ) -> Tensor:
        """Encode x (B, T, d), with cross-attention to `memory` (N, S, d) if given.

        Args:
            rows: what to compute of N = R * B sequences, R copies of each in a row.
            bias: (1, T, T), or (N, T, T) for another one for each copy.
            memory_bias: (N or 1, 1, S).
            last_only: compute only the last position in the last layer; all rows in the others.

        Returns:
            (M, d), the rows; or (N, d), the last positions.
        """
        n, t, _ = x.shape
        source = rows if rows.chosen is None and rows.sequences == n else Rows(n, t)
        x = x.flatten(0, 1)
        for layer in self.layers:
            last = last_only and layer is self.layers[-1]
            x, source = layer(x, source, rows, bias, memory, memory_bias, last), rows
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
