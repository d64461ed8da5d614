"""Apply a trained network to videos, or windows of one, and new sentences."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from vidistill.data.vocabulary import Vocabulary
from vidistill.mmdist import fit, losses, predict, proposals
from vidistill.mmdist.batch import with_words
from vidistill.mmdist.fit import Standard
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
    by: Standard | None,
) -> Iterator[Found]:
    """Proposals for each sentence and video, in any order; see `Found.row`.

    Args:
        features: those of V videos from `resampled`, (V, L, D) per stream.
        by: what fits are measured by; None without a local branch.
    """
    s, queries = settings, with_words(samples.of_sentences(features, sentences), vocabulary)
    level = (
        None if by is None else fit.levels(fit.snippets(network, [x.to(device).float() for x in features]), by).cpu()
    )
    for part in predict.predict(network, queries, s, device):
        moments = proposals.moments(part.center, part.width)
        exact, scores, errors = moments.double().numpy(), part.score.numpy(), part.errors.numpy()
        if by is None or level is None:
            yield from (Found(int(row), exact[b], scores[b], errors[b]) for b, row in enumerate(part.rows))
            continue
        similar = losses.similarity(torch.stack(part.maps), by.top_share).mean(0)
        fused, of_video = predict.fuse(part.maps), level[queries.video_index[part.rows]]
        assert fused is not None
        # Eq. 9 with the whole video's similarity beside the moment's; within a video the order stays that of Eq. 9.
        across = part.score + (s.score_weight if s.loss.global_learning else 1) * similar.unsqueeze(1)
        fits, whole = fit.of_moments(fused, moments, of_video, by), similar / by.temperature - of_video
        for b, row in enumerate(part.rows):
            maps = fused[b].numpy(), across[b].numpy()
            yield Found(int(row), exact[b], scores[b], errors[b], *maps, float(whole[b]), fits[b].numpy())
