"""The Knowledge Aggregation Unit: one distribution of start and end out of those of several teachers.

It sees video and sentence, and never what a teacher says. Only training has it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.emtm.layers import initialise, zeroed

CHANNELS = 16
HIDDEN = 32
KERNELS = (3, 5, 7)
EPSILON = 1e-3  # of batch normalisation


class Aggregation(nn.Module):
    """Weights of n teachers, for start and end apart.

    Args:
        length: L, to which videos are padded.
        batch_statistics: normalise by the batch; otherwise by the initial mean 0 and variance 1, which nothing updates.
    """

    def __init__(self, dim: int, length: int, teachers: int, batch_statistics: bool):
        super().__init__()
        self.length, self.batch_statistics = length, batch_statistics
        self.convolutions = nn.ModuleList(nn.Conv1d(dim, CHANNELS, k, padding=k // 2) for k in KERNELS)
        self.norms = nn.ModuleList(nn.BatchNorm1d(CHANNELS, eps=EPSILON) for _ in KERNELS)
        self.sentence, self.sentence_norm = nn.Linear(dim, CHANNELS), nn.BatchNorm1d(CHANNELS, eps=EPSILON)
        self.hidden = nn.Linear(length, HIDDEN)
        self.teachers = nn.ModuleList(nn.Linear(HIDDEN, 2) for _ in range(teachers))
        initialise(self)

    def forward(self, video: Tensor, snippets: Tensor, words: Tensor | None, known: Tensor) -> Tensor:
        """Weights (B, n, 2) of start and end, whose sum over teachers is 1.

        Args:
            video: (B, T, d), where `snippets` (B, T) bool.
            words: (B, W, d), where `known` (B, W) bool; None to weigh by the video alone.
        """
        v = F.pad(zeroed(video, snippets).transpose(1, 2), (0, self.length - video.shape[1]))  # (B, d, L)
        layers = zip(self.convolutions, self.norms, strict=True)
        u = torch.stack([F.relu(self._normalised(convolution(v), norm)) for convolution, norm in layers]).sum(0)
        if words is not None:
            sentence = words.masked_fill(~known.unsqueeze(-1), -torch.inf).amax(1)
            u = u * F.relu(self._normalised(self.sentence(sentence), self.sentence_norm)).unsqueeze(-1)
        h = F.relu(self.hidden(u.mean(1)))
        return torch.stack([teacher(h) for teacher in self.teachers], dim=1).softmax(1)

    def _normalised(self, x: Tensor, norm: nn.Module) -> Tensor:
        assert isinstance(norm, nn.BatchNorm1d)
        several = x.shape[0] > 1  # a last batch of one query has no statistics
        return F.batch_norm(
            x,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            training=self.batch_statistics and self.training and several,
            eps=norm.eps,
        )


def mixture(weights: Tensor, teachers: Tensor) -> Tensor:
    """P~ = sum_n w_n P_n of weights (B, n, 2) and distributions (B, n, 2, T), which get no gradient -> (B, 2, T)."""
    return (weights.unsqueeze(-1) * teachers.detach()).sum(1)
