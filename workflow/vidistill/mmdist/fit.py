"""How well sentences fit videos, as a number that is comparable from video to video and from sentence to sentence.

It is the similarity of Eq. 5, less what training sentences reach in the same video, since some videos are similar to
every sentence: s / t - log mean_b exp(s_b / t), with the similarity s of the sentence and s_b of training sentence b.
Training compares the sentences of a batch in each video in this way (Eq. 6); here a bank of sentences stands for the
batch, as in inverted softmax (Smith et al., ICLR 2017) and in query bank normalisation (Bogolin et al., CVPR 2022).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidistill.data.vocabulary import Vocabulary
from vidistill.mmdist import losses, proposals
from vidistill.mmdist.batch import Queries, with_words
from vidistill.mmdist.network import Network, semantic_maps_all
from vidistill.settings.mmdist import LossSettings
from vidistill.training import samples

BANK = 512  # training sentences
SHARPER = 2  # the temperature of Eq. 6 is so many times t; chosen on the demo's training videos
REFUSED = 0.8  # share of sentences that are under the bar in videos of others
VIDEOS = 64  # whose snippets are made at once
CELLS = 8_000_000  # similarities of snippets in memory at a time


class Standard(NamedTuple):
    """What a model's fits are measured by."""

    bank: Tensor  # (M, d) training sentences, from `sentences`; M = 0 for none
    temperature: float  # t
    top_share: float  # of a video's snippets, as in training


def standard(bank: Tensor, loss: LossSettings) -> Standard:
    return Standard(bank, loss.temperature / SHARPER, loss.top_share)


def choose(texts: Iterable[str]) -> list[str]:
    """A bank of training sentences: at most 512, which follow from the sentences alone."""
    return sorted(set(texts), key=lambda text: hashlib.sha256(text.encode()).hexdigest())[:BANK]


@torch.no_grad()
def sentences(network: Network, vocabulary: Vocabulary, texts: Sequence[str]) -> Tensor:
    """q of Eq. 4 with norm 1, (N, d)."""
    network.eval()
    where = network.word_head.weight.device
    if not texts:
        return torch.empty(0, network.settings.dim, device=where)
    tokens = with_words(samples.of_sentences([torch.empty(1, 1, 0)], texts), vocabulary).tokens
    found = torch.cat([network.encode_sentence(part.to(where)).feature for part in tokens.split(BANK)])
    return found / found.norm(dim=-1, keepdim=True).clamp(min=1e-6)


@torch.no_grad()
def snippets(network: Network, features: list[Tensor]) -> Tensor:
    """V^ of each map (Eq. 4), with norm 1 and in half precision: streams of (V, L, F) -> (V, maps, L, d)."""
    network.eval()
    found = torch.stack(network.snippet_features(features, network.project_frames(features)), dim=1)
    return (found / found.norm(dim=-1, keepdim=True).clamp(min=1e-6)).half()


@torch.no_grad()
def similarities(videos: Tensor, asked: Tensor, top_share: float) -> Tensor:
    """Eq. 5, mean over the maps: snippets (V, maps, L, d), sentences (N, d) -> (V, N), -1 to 1."""
    size = max(1, CELLS // (videos.shape[1] * videos.shape[2] * max(len(asked), 1)))
    parts = [
        losses.similarity(semantic_maps_all(part.float().flatten(0, 1), asked), top_share)
        .unflatten(0, part.shape[:2])
        .mean(1)
        for part in videos.split(size)
    ]
    return torch.cat(parts)


def levels(videos: Tensor, by: Standard) -> Tensor:
    """What training sentences reach in each video, log mean_b exp(s_b / t), or 0: (V, maps, L, d) -> (V,)."""
    if not len(by.bank):
        return torch.zeros(len(videos), device=videos.device)
    found = similarities(videos, by.bank, by.top_share) / by.temperature
    return found.logsumexp(1) - np.log(len(by.bank))


def of(videos: Tensor, asked: Tensor, by: Standard) -> Tensor:
    """The fit of each sentence (N, d) and video (V, maps, L, d): (V, N)."""
    return similarities(videos, asked, by.top_share) / by.temperature - levels(videos, by).unsqueeze(1)


def of_moments(maps: Tensor, moments: Tensor, level: Tensor, by: Standard) -> Tensor:
    """The fit of parts of videos: as of a whole video, with the best of a moment's own snippets.

    Args:
        maps: (B, L) fused.
        moments: (B, K, 2) shares of the video.
        level: (B,) of the videos, from `levels`.

    Returns:
        (B, K).
    """
    size = maps.shape[-1]
    first, stop = (bound.unsqueeze(-1) for bound in proposals.snippets(moments, size))
    place = torch.arange(size, device=maps.device)
    inside = maps.unsqueeze(1).masked_fill((place < first) | (place >= stop), -torch.inf)
    best = inside.topk(max(int(size * by.top_share), 1), dim=-1).values
    counted = best.isfinite()
    mean = best.masked_fill(~counted, 0).sum(-1) / counted.sum(-1)
    return mean / by.temperature - level.unsqueeze(-1)


@torch.no_grad()
def calibrate(
    network: Network, vocabulary: Vocabulary, loss: LossSettings, training: Queries, held_out: Queries
) -> dict[str, str]:
    """What a model file says about fits, as JSON: the bank's sentences, and the bar under which a sentence is refused.

    At the bar, four fifths of the bank's sentences are refused in videos that are not annotated with them: the held-out
    ones, or those of training if there are none. No moment is read. A bar by what is accepted in a sentence's own
    training video would not hold in other videos, which a model fits worse.
    """
    where = network.word_head.weight.device
    bank = choose(training.sentences)
    by = standard(sentences(network, vocabulary, bank), loss)
    judged, place = held_out if len(held_out) else training, {text: row for row, text in enumerate(bank)}
    shown: dict[int, list[int]] = {}
    for text, video in zip(judged.sentences, judged.video_index.tolist(), strict=True):
        if text in place:
            shown.setdefault(video, []).append(place[text])
    found = []
    for some in judged.video_index.unique().split(VIDEOS):
        fits = of(snippets(network, judged.features_of(some, where)), by.bank, by).cpu()
        for row, video in enumerate(some.tolist()):
            fits[row, shown.get(video, [])] = torch.nan
        found.append(fits[~fits.isnan()])
    others = torch.cat(found).numpy()
    bar = round(float(np.quantile(others, REFUSED)), 4) if len(others) else None
    return {"bank": json.dumps(bank, ensure_ascii=False), "bar": json.dumps(bar)}
