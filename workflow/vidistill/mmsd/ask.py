"""Apply a trained network to one video: segments of classes, and what each stream says over time."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from vidistill.base.stage import UserError
from vidistill.mmsd import predict, segments
from vidistill.mmsd.model import Model
from vidistill.mmsd.videos import Videos
from vidistill.settings.localise import LocaliseSettings
from vidistill.training import native
from vidistill.training.native import Stored


class Found(NamedTuple):
    """Segments of a class in seconds, best first."""

    label: str
    video_score: float
    moments: np.ndarray  # (K, 2) starts and ends
    scores: np.ndarray  # (K,)
    activation: np.ndarray  # (T,) z of all streams together


class Answer(NamedTuple):
    """What a model finds in a video of T snippets."""

    classes: list[Found]  # those that the video has, best first
    times: np.ndarray  # (T, 2) seconds of the snippets
    attention: dict[str, np.ndarray]  # stream -> (T,)


def ask(
    model: Model,
    settings: LocaliseSettings,
    features: Mapping[str, np.ndarray],
    times: Mapping[str, np.ndarray],
    duration: float,
    device: torch.device,
) -> Answer:
    """The segments of the classes that a video has.

    Args:
        model: its network on `device`.
        features: stream -> (T, D).
        times: stream -> (T, 2) seconds of the rows, where they are known.
        duration: of the video, seconds.

    Raises:
        UserError: the streams differ by more than one row.
    """
    s = model.settings
    stored = [Stored(features[stream], times.get(stream)) for stream in s.streams]
    if s.snippets == "native" and not native.fit(stored):
        counts = " and ".join(f"{len(features[stream])} of {stream}" for stream in s.streams)
        raise UserError(f"the video has {counts} rows of features, which differ by more than one; make them alike.")
    one = native.features(stored, duration, s.snippets, s.normalise)
    asked = Videos(["asked"], ["asked"], [one], [[]], len(model.classes))
    (video,) = predict.predict(model.network, asked, device)
    fused = predict.fuse(video, predict.stream_weights(settings.stream_weights, model.network.heads))
    found = []
    for c, those in predict.localise(fused, settings).items():
        moments = np.array([segments.seconds(segment, one) for segment in those]).reshape(-1, 2)
        scores = np.array([segment.score for segment in those])
        found.append(Found(model.classes[c], float(fused.video_scores[c]), moments, scores, fused.activation[:, c]))
    attention = {stream: x.numpy() for stream, x in zip(model.network.heads, video.attention, strict=True)}
    return Answer(sorted(found, key=lambda x: -x.video_score), one.times, attention)
