"""Apply a trained network to videos, or windows of one, and new sentences."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from vidistill.data.vocabulary import Vocabulary
from vidistill.mmdist import predict, proposals
from vidistill.mmdist.batch import with_words
from vidistill.mmdist.network import Network
from vidistill.settings.mmdist import TrainSettings
from vidistill.training import samples
from vidistill.training.predictions import Found


def resampled(settings: TrainSettings, features: Mapping[str, np.ndarray]) -> list[Tensor]:
    """Resample a video's features (T, D) for the network: (1, L, D) per stream."""
    streams = (samples.resample(features[name], settings.snippets, settings.normalise) for name in settings.streams)
    return [torch.from_numpy(values)[None] for values in streams]


def ask(
    network: Network,
    settings: TrainSettings,
    vocabulary: Vocabulary,
    features: list[Tensor],
    sentences: Sequence[str],
    device: torch.device,
) -> Iterator[Found]:
    """Proposals for each sentence and video, in any order; see `Found.row`.

    Args:
        features: those of V videos from `resampled`, (V, L, D) per stream.
    """
    s, queries = settings, with_words(samples.of_sentences(features, sentences), vocabulary)
    for part in predict.predict(network, queries, s, device):
        moments = proposals.moments(part.center, part.width).double().numpy()
        fused = predict.fuse(part.maps)
        for b, row in enumerate(part.rows):
            semantic = None if fused is None else fused[b].numpy()
            yield Found(int(row), moments[b], part.score[b].numpy(), part.errors[b].numpy(), semantic)
