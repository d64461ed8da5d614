"""Networks that predict spans: the student, SeqPAN, and the isomorphic teacher on the student's encoder."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.emtm.attention import ContextQueryAttention, DualAttention
from vidistill.emtm.batch import Batch
from vidistill.emtm.embedding import QueryEmbedding, VideoEmbedding
from vidistill.emtm.labels import CLASSES
from vidistill.emtm.layers import ConvolutionBlocks, FeatureEncoder, initialise, norm, parameter, zeroed
from vidistill.settings.emtm import SpanSection

DUAL_BLOCKS = 2  # of SeqPAN


class Encoded(NamedTuple):
    """Video and sentence of the shared encoder; 0 on padding with `mask_padding`."""

    video: Tensor  # (B, T, d)
    words: Tensor  # (B, W, d)
    snippets: Tensor  # (B, T) bool, valid
    known: Tensor  # (B, W) bool, valid


class Spans(NamedTuple):
    """What a branch says of each snippet."""

    classes: Tensor  # (B, T, 4) logits of O, B, I, E
    boundaries: Tensor  # (B, 2, T) logits of start and end, -inf on padding
    fused: Tensor  # (B, T, d) features of video and sentence


class Shared(nn.Module):
    """The embeddings and the encoder that student and isomorphic teacher share.

    Args:
        length: L, positions of snippets and words.
        word_vectors, learned_words, characters: see `QueryEmbedding`.
    """

    def __init__(
        self,
        settings: SpanSection,
        feature_dim: int,
        length: int,
        word_vectors: Tensor,
        learned_words: bool,
        characters: int,
    ):
        super().__init__()
        s = settings
        self.query = QueryEmbedding(word_vectors, learned_words, characters, s.characters, s.dim, s.dropout)
        self.video = VideoEmbedding(feature_dim, s.dim, s.dropout)
        self.encoder = ConvolutionBlocks(s.dim, length, s.dropout, s.mask_padding)

    def forward(self, batch: Batch) -> Encoded:
        known = batch.tokens > 0
        video = self.encoder(self.video(batch.features), batch.snippets)
        words = self.encoder(self.query(batch.tokens, batch.spelling), known)
        return Encoded(video, words, batch.snippets, known)


class BoundaryLogits(nn.Module):
    """Start or end logits: Linear(ReLU(Linear([LN(H); X])))."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = norm(dim)
        self.hidden, self.output = nn.Linear(2 * dim, dim), nn.Linear(dim, 1)

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        """(B, T, d) each -> (B, T)."""
        return self.output(F.relu(self.hidden(torch.cat([self.norm(h), x], dim=-1)))).squeeze(-1)


class Branch(nn.Module):
    """From the encoded video and sentence to spans; with dual attention first, SeqPAN's and the isomorphic teacher's.

    Args:
        length: L, positions of snippets.
        dual: whether the branch begins with dual attention.
    """

    def __init__(self, settings: SpanSection, length: int, dual: bool):
        super().__init__()
        s, dim = settings, settings.dim
        self.dual = nn.ModuleList(DualAttention(dim, s.heads, s.dropout) for _ in range(DUAL_BLOCKS if dual else 0))
        self.video_reads = ContextQueryAttention(dim, s.dropout)
        self.words_read = ContextQueryAttention(dim, s.dropout)
        self.pooling = parameter(dim, 1)
        self.fusion = nn.Linear(2 * dim, dim)
        self.matching = nn.Linear(dim, CLASSES)
        self.labels = nn.Parameter(nn.init.orthogonal_(torch.empty(CLASSES, dim)))
        self.encoder = FeatureEncoder(dim, length, s.heads, s.dropout, s.mask_padding)
        self.start, self.end = BoundaryLogits(dim), BoundaryLogits(dim)

    def forward(self, encoded: Encoded) -> Spans:
        v, q, snippets, known = encoded
        for block in self.dual:
            v, q = block(v, q, snippets, known), block(q, v, known, snippets)
        video, words = self.video_reads(v, q, snippets, known), self.words_read(q, v, known, snippets)
        weights = (words @ self.pooling).masked_fill(~known.unsqueeze(-1), -torch.inf).softmax(1)
        sentence = (weights * words).sum(1, keepdim=True).expand_as(video)
        fused = self.fusion(torch.cat([video, sentence], dim=-1))
        classes = self.matching(fused)
        x = zeroed(fused + classes.softmax(-1) @ self.labels, snippets)
        start = self.encoder(x, snippets)
        end = self.encoder(start, snippets)
        boundaries = torch.stack([self.start(start, x), self.end(end, x)], dim=1).float()
        return Spans(classes.float(), boundaries.masked_fill(~snippets.unsqueeze(1), -torch.inf), fused)


class SpanNetwork(nn.Module):
    """The student, or SeqPAN (`dual`). Arguments as of `Shared` and `Branch`."""

    def __init__(
        self,
        settings: SpanSection,
        feature_dim: int,
        length: int,
        word_vectors: Tensor,
        *,
        learned_words: bool,
        characters: int,
        dual: bool,
    ):
        super().__init__()
        self.shared = Shared(settings, feature_dim, length, word_vectors, learned_words, characters)
        self.branch = Branch(settings, length, dual)
        initialise(self)

    def forward(self, batch: Batch) -> Spans:
        return self.branch(self.shared(batch))
