"""Words and snippets as vectors of width d, before the shared encoder."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.emtm.layers import norm, parameter
from vidistill.training.dropout import Dropout

FILTERS = {1: 10, 2: 20, 3: 30, 4: 40}  # kernel -> filters


class QueryEmbedding(nn.Module):
    """Word vectors and convolutions over characters, projected.

    Args:
        word_vectors: (V + 1, E), row 0 for padding.
        learned_words: train the word vectors, too.
        characters: C, known characters and the one for all others.
        character_dim: E_c.
    """

    def __init__(
        self,
        word_vectors: Tensor,
        learned_words: bool,
        characters: int,
        character_dim: int,
        dim: int,
        dropout: float,
    ):
        super().__init__()
        self.words = nn.Parameter(word_vectors.clone(), requires_grad=learned_words)
        self.unknown = parameter(1, word_vectors.shape[1])
        self.characters = parameter(characters, character_dim)
        self.convolutions = nn.ModuleList(nn.Conv2d(character_dim, n, (1, kernel)) for kernel, n in FILTERS.items())
        self.projection = nn.Linear(word_vectors.shape[1] + sum(FILTERS.values()), dim)
        self.norm = norm(dim)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, spelling: Tensor) -> Tensor:
        """Ids of words (B, W), V + 1 for unknown ones, and of characters (B, W, 16) -> (B, W, d)."""
        last = len(self.words) - 1
        words = F.embedding(tokens.clamp(max=last), self.words, padding_idx=0)
        words = torch.where((tokens > last).unsqueeze(-1), self.unknown, words)
        table = torch.cat([torch.zeros_like(self.characters[:1]), self.characters])
        spelled = self.dropout(F.embedding(spelling, table)).flatten(0, 1)  # (B W, 16, E_c)
        spelled = spelled.transpose(1, 2).unsqueeze(2)  # (B W, E_c, 1, 16), see ConvolutionBlocks
        found = [F.relu(convolution(spelled)).amax((2, 3)) for convolution in self.convolutions]
        characters = torch.cat(found, dim=-1).unflatten(0, tokens.shape)
        return self.norm(self.projection(torch.cat([self.dropout(words), characters], dim=-1)))


class VideoEmbedding(nn.Module):
    """Dropout, a linear layer, LayerNorm."""

    def __init__(self, feature_dim: int, dim: int, dropout: float):
        super().__init__()
        self.projection = nn.Linear(feature_dim, dim)
        self.norm = norm(dim)
        self.dropout = Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B, T, d)."""
        return self.norm(self.projection(self.dropout(features)))
