"""The network: embedded streams, and a head of class centres and a foreground centre for each."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.settings.mmsd import NetworkSettings
from vidistill.training.knowledge import FUSED

EPS = 1e-8  # of norms: a snippet of zeros has a similarity of 0 to everything


class Video(NamedTuple):
    """What the M heads say about a video of T snippets; the last class of C+1 is the background."""

    scores: Tensor  # (M, T, C+1) a, scaled cosines of snippets and class centres
    attention: Tensor  # (M, T) A, the class-agnostic foreground attention
    attended: Tensor  # (M, C+1) logits of the attention branch
    mil: Tensor  # (M, C+1) logits of the MIL branch


class Network(nn.Module):
    """Single-modal streams and a fused-modal one, each with a head. Nothing mixes snippets.

    `multimodal` has a head for each of two streams and for both fused; `single` has one, for its stream or, of two
    streams, for both fused.

    Args:
        streams: names of the M' streams of features.
        feature_dims: (M',) their widths.
        classes: C, without the background.
    """

    def __init__(self, settings: NetworkSettings, streams: Sequence[str], feature_dims: Sequence[int], classes: int):
        super().__init__()
        fused, alone = len(streams) == 2, settings.kind == "multimodal" or len(streams) == 1
        self.settings, self.feature_dims, self.num_classes = settings, tuple(feature_dims), classes
        self.alone = alone  # whether single-modal streams have heads
        self.heads = (*(streams if alone else ()), *((FUSED,) if fused else ()))
        inputs = [*(feature_dims if alone else ()), *((sum(feature_dims),) if fused else ())]
        self.first = nn.ModuleList(nn.Linear(width, width) for width in feature_dims)
        self.second = nn.ModuleList(nn.Linear(width, settings.dim) for width in inputs)
        self.centers = nn.Parameter(torch.empty(len(self.heads), classes + 1, settings.dim))
        for matrix in (*(layer.weight for layer in (*self.first, *self.second)), *self.centers):
            nn.init.xavier_uniform_(matrix)
        for layer in (*self.first, *self.second):
            nn.init.zeros_(layer.bias)
        self.foreground = nn.Parameter(-self.centers[:, -1].detach().clone())  # (M, d)

    def embed(self, features: list[Tensor]) -> Tensor:
        """Streams of (S, F), snippets of any videos -> (M, S, d)."""
        inner = [self._dropout(layer(x).relu()) for layer, x in zip(self.first, features, strict=True)]
        inputs = [*(inner if self.alone else ()), *([torch.cat(inner, dim=-1)] if len(inner) == 2 else ())]
        return torch.stack([self._dropout(layer(x).relu()) for layer, x in zip(self.second, inputs, strict=True)])

    def forward(self, features: list[Tensor], lengths: Sequence[int]) -> list[Video]:
        """Videos packed end to end, streams of (S, F) with S = sum of `lengths` -> each video's outputs."""
        x = self.embed(features)
        centers = F.normalize(torch.cat([self.centers, self.foreground.unsqueeze(1)], dim=1), dim=-1, eps=EPS)
        lengths_of_x = x.norm(dim=-1, keepdim=True).clamp(min=EPS)
        similarity = self.settings.scale * (x @ centers.transpose(1, 2)) / lengths_of_x  # (M, S, C+2)
        scores, attention = similarity[..., :-1], similarity[..., -1].sigmoid()
        parts = zip(*(y.split(list(lengths), dim=1) for y in (x, scores, attention)), strict=True)
        return [Video(a, A, *(self.settings.scale * y for y in pooled(x, a, A, centers[:, :-1]))) for x, a, A in parts]

    def _dropout(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.settings.dropout, self.training)


def pooled(x: Tensor, scores: Tensor, attention: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines (M, C+1) of a video's attention branch and of its MIL branch.

    Args:
        x: (M, T, d) embedded snippets.
        scores: (M, T, C+1), attention (M, T).
        centers: (M, C+1, d) of norm 1.
    """
    weights = attention / attention.sum(1, keepdim=True)
    attended = torch.einsum("mt,mtd->md", weights, x)  # (M, d)
    gates = scores.sigmoid()
    weights = gates / gates.sum(1, keepdim=True)
    mil = torch.einsum("mtc,mtd->mcd", weights, x)  # (M, C+1, d)
    return (
        torch.einsum("md,mcd->mc", F.normalize(attended, dim=-1, eps=EPS), centers),
        (F.normalize(mil, dim=-1, eps=EPS) * centers).sum(-1),
    )
