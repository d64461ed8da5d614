"""Attention between video and words: context-query attention and SeqPAN's dual attention."""

import torch
from torch import Tensor, nn

from vidistill.emtm.layers import attend, norm, parameter, zeroed
from vidistill.training.dropout import Dropout


class ContextQueryAttention(nn.Module):
    """CQA(X, Y): each x reads Y, and X by way of Y (Xiong et al., ICLR 2017; QANet)."""

    def __init__(self, dim: int, dropout: float):
        super().__init__()
        self.of_x, self.of_y, self.of_both = parameter(dim, 1), parameter(dim, 1), parameter(1, dim)
        self.output = nn.Linear(4 * dim, dim, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor, x_valid: Tensor, y_valid: Tensor) -> Tensor:
        """X (B, T, d), Y (B, S, d), where `x_valid` (B, T) and `y_valid` (B, S) -> (B, T, d)."""
        a, b = self.dropout(x), self.dropout(y)
        scores = a @ self.of_x + (b @ self.of_y).transpose(1, 2) + (a * self.of_both) @ b.transpose(1, 2)  # (B, T, S)
        to_y = scores.masked_fill(~y_valid.unsqueeze(1), -torch.inf).softmax(2)
        to_x = scores.masked_fill(~x_valid.unsqueeze(2), -torch.inf).softmax(1)
        read = to_y @ y
        return self.output(torch.cat([x, read, x * read, x * (to_y @ (to_x.transpose(1, 2) @ x))], dim=-1))


class DualAttention(nn.Module):
    """SeqPAN's block: one stream attends to itself and to another, and each attended result gates the other."""

    def __init__(self, dim: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.own_norm, self.other_norm, self.output_norm = norm(dim), norm(dim), norm(dim)
        self.query, self.key, self.value, self.other_key, self.other_value = (nn.Linear(dim, dim) for _ in range(5))
        self.own, self.other, self.own_gate, self.other_gate, self.gated = (nn.Linear(dim, dim) for _ in range(5))
        self.gate_of_x, self.mix_of_x, self.inner, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.gate_of_o, self.mix_of_o = (nn.Linear(dim, dim, bias=False) for _ in range(2))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor, x_valid: Tensor, y_valid: Tensor) -> Tensor:
        """x (B, T, d), y (B, S, d), where `x_valid` (B, T) and `y_valid` (B, S) -> (B, T, d)."""
        f, t = self.own_norm(x), self.other_norm(y)
        query = self.query(f)
        own = self.own(attend(query, self.key(f), self.value(f), x_valid, self.heads, self.dropout))
        other = self.other(attend(query, self.other_key(t), self.other_value(t), y_valid, self.heads, self.dropout))
        o = self.gated(self.own_gate(own).sigmoid() * other + self.other_gate(other).sigmoid() * own)
        gate = (self.gate_of_x(f) + self.gate_of_o(o)).sigmoid()
        r = zeroed(gate * (self.mix_of_x(f) + self.mix_of_o(o)), x_valid)
        x = x + self.dropout(self.inner(r))
        return x + self.dropout(self.output(self.dropout(self.output_norm(x))))
