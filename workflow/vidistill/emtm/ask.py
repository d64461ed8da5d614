"""Apply a trained network to videos, or windows of one, and new sentences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidistill.data.vocabulary import Vocabulary
from vidistill.emtm import batch, predict
from vidistill.emtm.model import Network
from vidistill.settings.emtm import TrainSettings
from vidistill.training import samples
from vidistill.training.predictions import Found


def resampled(settings: TrainSettings, features: Mapping[str, np.ndarray]) -> list[Tensor]:
    """A video's features (T, D) as the network reads them: (1, snippets, D) per stream."""
    s, streams = settings, [features[name] for name in settings.streams]
    count = s.length if s.network == "map2d" else min(len(streams[0]), s.length)
    return [torch.from_numpy(samples.resample(stream, count, s.scaling))[None] for stream in streams]


def ask(
    network: Network,
    settings: TrainSettings,
    vocabulary: Vocabulary,
    characters: Sequence[str],
    features: list[Tensor],
    sentences: Sequence[str],
    device: torch.device,
) -> Iterator[Found]:
    """At most five moments for each sentence and video, in any order; see `Found.row`.

    Args:
        characters: that the model knows.
        features: those of V videos from `resampled`, equally long: (V, snippets, D) per stream.
    """
    asked = samples.of_sentences(features, sentences)
    if not settings.cut_batches:  # predictions are those on padded features
        missing = settings.length - features[0].shape[1]
        asked = replace(asked, features=[F.pad(stream, (0, 0, 0, missing)) for stream in features])
    queries = batch.with_words(asked, vocabulary, characters, settings)
    for part in predict.predict(network, queries, device=device):
        for row, moments, score in zip(part.rows, part.moments.double(), part.scores, strict=True):
            found = score > 0  # others only fill the five
            yield Found(int(row), moments[found].numpy(), score[found].numpy())
