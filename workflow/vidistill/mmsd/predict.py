"""What a trained network says about whole videos: outputs without dropout, and segments of classes."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch

from vidistill.base.stage import UserError
from vidistill.mmsd import segments
from vidistill.mmsd.network import Network, Video
from vidistill.mmsd.segments import Segment
from vidistill.mmsd.videos import Videos
from vidistill.settings.localise import LocaliseSettings


class Fused(NamedTuple):
    """The streams of a video together, or one of them."""

    video_scores: np.ndarray  # (C,) v of the attention branch
    activation: np.ndarray  # (T, C) z = p A


@torch.no_grad()
def predict(network: Network, videos: Videos, device: torch.device) -> Iterator[Video]:
    """Each video's outputs, on the CPU. Videos go through the network one by one, so none depends on another."""
    network.eval()
    for row in range(len(videos)):
        batch = videos.batch(np.array([row]), device)
        (found,) = network(batch.features, batch.lengths)
        yield Video(*(x.cpu() for x in found))


def stream_weights(weights: Mapping[str, float], heads: tuple[str, ...]) -> np.ndarray:
    """(M,) weights of a network's heads, with sum 1.

    Raises:
        UserError: a head has no weight, or none is above 0.
    """
    if unknown := [head for head in heads if head not in weights]:
        raise UserError(f"stream_weights has no weight of the stream {unknown[0]!r}; add it.")
    found = np.array([weights[head] for head in heads])
    if not found.sum():
        raise UserError(f"stream_weights gives the streams {', '.join(heads)} no weight; give one of them some.")
    return found / found.sum()


def fuse(video: Video, weights: np.ndarray) -> Fused:
    """Weighted means of attention, video scores and class probabilities over the heads, and z = p A.

    Args:
        weights: (M,) of the heads.
    """
    scores, attention, attended = (x.double() for x in (video.scores, video.attention, video.attended))
    w = torch.from_numpy(weights)
    p = torch.einsum("m,mtc->tc", w, scores.softmax(-1))[:, :-1]
    v = w @ attended.softmax(-1)
    return Fused(v[:-1].numpy(), (p * (w @ attention).unsqueeze(-1)).numpy())


def localise(fused: Fused, settings: LocaliseSettings) -> dict[int, list[Segment]]:
    """The classes that a video has, and the segments of each, best first."""
    chosen = fused.video_scores >= settings.class_threshold
    if not chosen.any():
        chosen[fused.video_scores.argmax()] = True
    return {int(c): segments.find(fused.activation[:, c], settings) for c in np.flatnonzero(chosen)}
