"""Queries for MMDist: tokens, masking weights and batches."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidistill.base.stage import UserError
from vidistill.data.vocabulary import Vocabulary, encode
from vidistill.mmdist import masking
from vidistill.settings.train import Normalise
from vidistill.training import samples
from vidistill.training.samples import Samples


class Batch(NamedTuple):
    """Queries and their videos; the teacher's entries are None except in training a student."""

    features: list[Tensor]  # streams of (B, L, F)
    video_index: Tensor  # (B,)
    tokens: Tensor  # (B, W), 0 for padding
    masked_words: Tensor  # (B, W) bool; in evaluation (B, M, W), M draws
    teacher_proposal: Tensor | None = None  # (B, 2) normalised center and width of the pseudo label
    teacher_index: Tensor | None = None  # (B,) its index among the teacher's proposals
    teacher_map: Tensor | None = None  # (B, L)
    teacher_mask: Tensor | None = None  # (B, L) bool, where it counts; None for everywhere


@dataclass(frozen=True)
class Queries(Samples):
    """N queries over V videos, with their words."""

    tokens: Tensor  # (N, W) int64, 0 for padding
    weights: np.ndarray  # (N, W) of words in masking, 0 for padding
    keys: np.ndarray  # (N,) of the words, for masking

    def take(self, keep: np.ndarray) -> "Queries":
        rows = np.flatnonzero(keep)
        taken = super().take(keep)
        return replace(taken, tokens=self.tokens[rows], weights=self.weights[rows], keys=self.keys[rows])

    def batch(self, rows: np.ndarray, masked_words: np.ndarray, device: torch.device) -> Batch:
        """The queries `rows` (B,), cut to their longest sentence; `masked_words` (N, [M,] W) is for all queries."""
        index = torch.from_numpy(rows)
        tokens = self.tokens[index]
        longest = int((tokens > 0).sum(1).max())
        videos = self.video_index[index]
        return Batch(
            features=self.features_of(videos, device),
            video_index=videos.to(device),
            tokens=tokens[:, :longest].to(device),
            masked_words=torch.from_numpy(masked_words[rows, ..., :longest]).to(device),
        )

    def digest(self) -> str:
        return hashlib.sha256(super().digest().encode() + self.tokens.numpy().tobytes()).hexdigest()


def load(
    queries: Path,
    vocabulary: Vocabulary,
    features: Sequence[Sequence[Path]],
    *,
    splits: Iterable[str] | None,
    snippets: int,
    normalise: Normalise,
) -> Queries:
    """`samples.load`, without queries that have no word in the vocabulary.

    Raises:
        UserError: no query is left.
    """
    found = samples.load(queries, features, splits=splits, snippets=snippets, normalise=normalise)
    keep = np.array([bool(encode(sentence, vocabulary)) for sentence in found.sentences], dtype=bool)
    if not keep.any():
        raise UserError(f"{queries}: no query has a word in the vocabulary; use sentences in its language.")
    return with_words(found.take(keep), vocabulary)


def with_words(found: Samples, vocabulary: Vocabulary) -> Queries:
    """Add the tokens of words in the vocabulary, and their weights in masking."""
    tokens = np.zeros((len(found), vocabulary.max_words), dtype=np.int64)
    for row, sentence in enumerate(found.sentences):
        ids = encode(sentence, vocabulary)
        tokens[row, : len(ids)] = ids
    return Queries(
        **vars(found),
        tokens=torch.from_numpy(tokens),
        weights=np.concatenate([[0.0], np.asarray(vocabulary.weights)])[tokens],
        keys=masking.keys_of(tokens),
    )
