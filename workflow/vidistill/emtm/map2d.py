"""The teacher with a 2D map: 2D-TAN with pooled cells (Zhang et al., AAAI 2020; arXiv 1912.03590).

N clips of a video make a map of N x N cells: cell (i, j) is the moment from clip i to clip j.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.emtm import suppression
from vidistill.settings.map2d import Map2DSection

DENSE = 16  # clips up to which every moment has a cell; with each doubling, starts and lengths are twice as far apart
SENTENCE_LAYERS = 3


class Map2D(nn.Module):
    """Scores of all moments of a video for a sentence.

    Args:
        word_vectors: (V + 1, E), row 0 for padding.
        learned_words: train the word vectors, too.
    """

    cells: Tensor
    mask: Tensor

    def __init__(self, settings: Map2DSection, feature_dim: int, word_vectors: Tensor, learned_words: bool):
        super().__init__()
        s, dim = settings, settings.dim
        self.settings = s
        self.words = nn.Parameter(word_vectors.clone(), requires_grad=learned_words)
        self.clip_projection = nn.Linear(feature_dim, dim)
        self.sentence = nn.LSTM(word_vectors.shape[1], dim, SENTENCE_LAYERS, batch_first=True)
        self.sentence_projection = nn.Linear(dim, dim)
        self.cell_projection = nn.Linear(dim, dim)
        self.convolutions = nn.ModuleList(nn.Conv2d(dim, dim, s.kernel) for _ in range(s.layers))
        self.score = nn.Conv2d(dim, 1, 1)
        self.register_buffer("cells", cells(s.clips), persistent=False)
        self.register_buffer("mask", cell_mask(s.clips), persistent=False)
        for number, weight in enumerate(neighbours(self.mask, s.kernel, s.layers)):
            self.register_buffer(f"weight{number}", weight, persistent=False)

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Features (B, R, F), ids of words (B, W), 0 for padding and V + 1 for unknown ones -> scores (B, N, N).

        They are what the sigmoid takes, and mean something in the cells alone.
        """
        clips = F.relu(self.clip_projection(features)).unflatten(1, (self.settings.clips, -1)).mean(2)  # (B, N, h)
        moments = self.cell_projection(pooled(clips.transpose(1, 2)).transpose(1, 2))  # (B, C, h)
        fused = F.normalize(moments * self.encode_sentence(tokens).unsqueeze(1), dim=-1)
        x = self._as_map(fused)
        padding = self.settings.layers * (self.settings.kernel - 1) // 2
        x = F.pad(x, (padding,) * 4)
        for number, convolution in enumerate(self.convolutions):
            x = F.relu(convolution(x)) * self.get_buffer(f"weight{number}")
        return self.score(x).squeeze(1)

    def encode_sentence(self, tokens: Tensor) -> Tensor:
        """Ids of words (B, W) -> (B, h): the LSTM's output at the last word, projected."""
        words = F.embedding(tokens, F.pad(self.words, (0, 0, 0, 1)), padding_idx=0)  # unknown ones are 0, too
        outputs, _ = self.sentence(words)
        last = ((tokens > 0).sum(1) - 1).view(-1, 1, 1).expand(-1, 1, outputs.shape[2])
        return self.sentence_projection(outputs.gather(1, last).squeeze(1))

    def _as_map(self, values: Tensor) -> Tensor:
        """Values of cells (B, C, h) -> (B, h, N, N), 0 elsewhere."""
        size = self.settings.clips
        index = self.cells[:, 0] * size + self.cells[:, 1]
        empty = values.new_zeros(values.shape[0], size * size, values.shape[2])
        return empty.index_copy(1, index, values).transpose(1, 2).unflatten(2, (size, size))


def lengths(clips: int) -> Iterator[tuple[int, int]]:
    """The lengths of cells in clips, each with the distance of their starts."""
    length, stride = 1, 1
    while length <= clips:
        yield length, stride
        if length == DENSE * stride:
            stride *= 2
        length += stride


def cells(clips: int) -> Tensor:
    """(C, 2) first and last clip of each cell, by length."""
    found = [
        (first, first + length - 1)
        for length, stride in lengths(clips)
        for first in range(0, clips - length + 1, stride)
    ]
    return torch.tensor(found)


def cell_mask(clips: int) -> Tensor:
    """(N, N) bool: where the cells are."""
    mask = torch.zeros(clips, clips, dtype=torch.bool)
    mask[tuple(cells(clips).T)] = True
    return mask


def pooled(clips: Tensor) -> Tensor:
    """Clips (B, h, N) -> (B, h, C), the maximum of each cell's clips, in the order of `cells`.

    Of clips that are 2^n apart, two neighbours of one length together are the next length.
    """
    found, now = [], 1
    for length, stride in lengths(clips.shape[2]):
        if length > 1:
            clips = clips[..., :: stride // now]
            clips = torch.maximum(clips[..., :-1], clips[..., 1:])
        found.append(clips)
        now = stride
    return torch.cat(found, dim=2)


def neighbours(mask: Tensor, kernel: int, layers: int) -> Iterator[Tensor]:
    """For each convolution, 1 / (valid cells under the kernel), 0 where there is none, on its output's grid.

    What sees a valid cell is valid for the next convolution. All padding is added before the first.
    """
    valid = F.pad(mask.float(), (layers * (kernel - 1) // 2,) * 4)[None, None]
    for _ in range(layers):
        count = F.conv2d(valid, torch.ones(1, 1, kernel, kernel)).round()
        valid = (count > 0).float()
        yield valid / count.clamp(min=1)


def labels(moments: Tensor, cells: Tensor, settings: Map2DSection) -> Tensor:
    """Moments (B, 2) as shares of their videos -> (B, C), each cell's IoU scaled from [low, high] to [0, 1]."""
    overlap = suppression.iou(shares(cells, settings.clips), moments.unsqueeze(1))
    return ((overlap - settings.iou_low) / (settings.iou_high - settings.iou_low)).clamp(0, 1)


def loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Scores and labels (B, C) of cells -> the mean binary cross-entropy, as in 2D-TAN."""
    return F.binary_cross_entropy_with_logits(scores, targets)


def shares(cells: Tensor, clips: int) -> Tensor:
    """Cells (..., 2) -> starts and ends as shares of the video: [i / N, (j + 1) / N]."""
    return (cells + torch.tensor([0, 1], device=cells.device)) / clips


def decode(scores: Tensor, cells: Tensor, clips: int) -> tuple[Tensor, Tensor]:
    """Scores (B, C) -> the five best moments after suppression (B, 5, 2) as shares, and sigmoids (B, 5)."""
    index, best = suppression.best(shares(cells, 1), scores)
    return shares(cells, clips)[index], best.sigmoid()
