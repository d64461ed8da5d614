"""Layers of student and SeqPAN: convolution blocks, attention over valid positions, the feature encoder (SeqPAN)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.training.dropout import Dropout

KERNEL = 7
BLOCKS = 4
EPSILON = 1e-6  # of LayerNorm


def initialise(network: nn.Module) -> None:
    """Xavier-uniform weights and zero biases of linear layers and convolutions; not PyTorch's defaults."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def parameter(*shape: int) -> nn.Parameter:
    """A Xavier-uniform table or vector."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(*shape)))


def norm(dim: int) -> nn.LayerNorm:
    return nn.LayerNorm(dim, eps=EPSILON)


def zeroed(x: Tensor, valid: Tensor) -> Tensor:
    """x (B, T, d) with 0 where `valid` (B, T) is false."""
    return x * valid.unsqueeze(-1).to(x.dtype)


def attend(query: Tensor, key: Tensor, value: Tensor, valid: Tensor, heads: int, dropout: nn.Module) -> Tensor:
    """Multi-head attention of (B, T, d) to (B, S, d), where `valid` (B, S); dropout on the weights -> (B, T, d)."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))  # (B, nh, T or S, hs)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
    weights = scores.masked_fill(~valid[:, None, None, :], -torch.inf).softmax(-1)
    return (dropout(weights) @ v).transpose(1, 2).flatten(2)


class ConvolutionBlocks(nn.Module):
    """Learned positions, then four times x + drop(ReLU(Linear(depthwise convolution(LN(x))))).

    Args:
        length: positions.
        mask_padding: zero the padding before each convolution and after each block.
    """

    def __init__(self, dim: int, length: int, dropout: float, mask_padding: bool):
        super().__init__()
        self.mask_padding = mask_padding
        self.positions = parameter(length, dim)
        self.norms = nn.ModuleList(norm(dim) for _ in range(BLOCKS))
        # Two-dimensional over one row, since PyTorch's one-dimensional convolutions copy (B, T, d) to (B, d, T).
        self.depthwise = nn.ModuleList(
            nn.Conv2d(dim, dim, (1, KERNEL), padding=(0, KERNEL // 2), groups=dim, bias=False) for _ in range(BLOCKS)
        )
        self.pointwise = nn.ModuleList(nn.Linear(dim, dim) for _ in range(BLOCKS))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """x (B, T, d), `valid` (B, T) -> (B, T, d)."""
        x = self._masked(x + self.positions[: x.shape[1]], valid)
        for norm, depthwise, pointwise in zip(self.norms, self.depthwise, self.pointwise, strict=True):
            row = self._masked(norm(x), valid).transpose(1, 2).unsqueeze(2)  # (B, d, 1, T)
            mixed = depthwise(row).squeeze(2).transpose(1, 2)
            x = self._masked(x + self.dropout(F.relu(pointwise(mixed))), valid)
        return x

    def _masked(self, x: Tensor, valid: Tensor) -> Tensor:
        return zeroed(x, valid) if self.mask_padding else x


class FeatureEncoder(nn.Module):
    """Convolution blocks, then self-attention without output projection, then a linear layer."""

    def __init__(self, dim: int, length: int, heads: int, dropout: float, mask_padding: bool):
        super().__init__()
        self.heads = heads
        self.blocks = ConvolutionBlocks(dim, length, dropout, mask_padding)
        self.attention_norm, self.output_norm = norm(dim), norm(dim)
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """x (B, T, d), `valid` (B, T) -> (B, T, d)."""
        x = self.blocks(x, valid)
        f = self.dropout(self.attention_norm(x))
        attended = attend(self.query(f), self.key(f), self.value(f), valid, self.heads, self.dropout)
        x = x + self.dropout(attended)
        return x + self.dropout(self.output(self.dropout(self.output_norm(x))))
