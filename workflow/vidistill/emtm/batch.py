"""Queries for EMTM: words, their characters, and batches."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidistill.base.stage import UserError
from vidistill.base.wording import plural
from vidistill.data.text import tokenise
from vidistill.data.vocabulary import Vocabulary
from vidistill.emtm import characters
from vidistill.settings.emtm import TrainSettings
from vidistill.training import samples
from vidistill.training.samples import Samples

log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """Queries and their videos, T snippets and W words at most; moments and teachers in training only."""

    features: Tensor  # (B, T, F), streams side by side, 0 on padding
    snippets: Tensor  # (B, T) bool, valid
    tokens: Tensor  # (B, W), 0 for padding, V + 1 for words that are not among the V known ones
    spelling: Tensor  # (B, W, 16) of the words, see `characters`
    moments: Tensor | None = None  # (B, 2) starts and ends as shares of the video
    teachers: Tensor | None = None  # (B, n, 2, T) distributions of start and end


@dataclass(frozen=True)
class Queries(Samples):
    """N queries over V videos, with their words. M different words make up all sentences."""

    words: Tensor  # (N, W) of the M words, from 1; 0 for padding
    tokens: Tensor  # (M + 1,) their ids, as in `Batch`
    spelling: Tensor  # (M + 1, 16) their characters' ids
    cut: bool  # whether batches are cut to their longest sentence and video

    def take(self, keep: np.ndarray) -> "Queries":
        return replace(super().take(keep), words=self.words[np.flatnonzero(keep)])

    def batch(self, rows: np.ndarray, device: torch.device) -> Batch:
        """The queries `rows` (B,)."""
        index = torch.from_numpy(rows)
        words, videos = self.words[index], self.video_index[index]
        lengths, size = self.lengths[videos], self.features[0].shape[1]
        if self.cut:
            words, size = words[:, : int((words > 0).sum(1).max())], int(lengths.max())
        return Batch(
            features=torch.cat(self.features_of(videos, device, size), dim=-1),
            snippets=(torch.arange(size) < lengths.unsqueeze(1)).to(device),
            tokens=self.tokens[words].to(device),
            spelling=self.spelling[words].to(device),
        )

    def digest(self) -> str:
        """SHA-256 over everything that training can see but its targets."""
        total = hashlib.sha256(super().digest().encode())
        for array in (self.lengths, self.tokens[self.words], self.spelling):
            total.update(array.numpy().tobytes())
        return total.hexdigest()


def load(
    queries: Path, features: Sequence[Sequence[Path]], settings: TrainSettings, *, splits: Iterable[str] | None
) -> Samples:
    """`samples.load` for a model, without queries that have no word.

    Raises:
        UserError: no query is left.
    """
    s = settings
    found = samples.load(
        queries, features, splits=splits, snippets=s.length, normalise=s.scaling, stretch=s.network == "map2d"
    )
    keep = np.array([bool(tokenise(sentence)) for sentence in found.sentences], dtype=bool)
    if not keep.any():
        raise UserError(f"{queries}: no query has a word; correct its sentences.")
    if not keep.all():
        log.warning("%s: left out for want of words: %s", queries, plural(int((~keep).sum()), "query"))
    return found.take(keep)


def with_words(
    found: Samples, vocabulary: Vocabulary, known_characters: Sequence[str], settings: TrainSettings
) -> Queries:
    """Add the words of the sentences."""
    sentences = [tokenise(sentence)[: settings.words] for sentence in found.sentences]
    number = {word: row for row, word in enumerate(sorted({w for words in sentences for w in words}), 1)}
    words = np.zeros((len(found), settings.words), dtype=np.int64)
    for row, sentence in enumerate(sentences):
        words[row, : len(sentence)] = [number[word] for word in sentence]
    unknown = len(vocabulary.words) + 1
    return Queries(
        **vars(found),
        words=torch.from_numpy(words),
        tokens=torch.tensor([0, *(vocabulary.ids.get(word, unknown) for word in number)]),
        spelling=torch.from_numpy(characters.spell(["", *number], known_characters)),
        cut=settings.cut_batches,
    )
