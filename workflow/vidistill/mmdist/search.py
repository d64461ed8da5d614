"""Compare sentences with many videos by the local branch's maps, as its training does with the videos of a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vidistill.data.vocabulary import Vocabulary
from vidistill.mmdist import losses
from vidistill.mmdist.batch import with_words
from vidistill.mmdist.network import Network, semantic_maps_all
from vidistill.training import samples

VIDEOS = 64  # compared at once


@torch.no_grad()
def snippets(network: Network, features: list[Tensor]) -> Tensor:
    """V^ of each map (Eq. 4), with norm 1 and in half precision: streams of (B, L, F) -> (B, maps, L, d)."""
    network.eval()
    found = torch.stack(network.snippet_features(features, network.project_frames(features)), dim=1)
    return (found / found.norm(dim=-1, keepdim=True).clamp(min=1e-6)).half()


@torch.no_grad()
def similarities(
    network: Network, vocabulary: Vocabulary, videos: Tensor, sentences: Sequence[str], top_share: float
) -> Tensor:
    """Eq. 5 of each sentence with each video, mean over the maps: (N, V), -1 to 1.

    Args:
        videos: (V, maps, L, d) from `snippets`.
        top_share: of a video's snippets, as in training.
    """
    network.eval()
    asked = with_words(samples.of_sentences([torch.empty(1, 1, 0)], sentences), vocabulary)
    feature = network.encode_sentence(asked.tokens.to(videos.device)).feature
    parts = [
        losses.similarity(semantic_maps_all(part.float().flatten(0, 1), feature), top_share)
        .unflatten(0, part.shape[:2])
        .mean(1)
        for part in videos.split(VIDEOS)
    ]
    return torch.cat(parts).T
