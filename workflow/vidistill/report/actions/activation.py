"""What a trained model says about videos over time, for the report's first seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vidistill.base import store
from vidistill.base.settings import parse
from vidistill.mmsd import model as models
from vidistill.mmsd import predict
from vidistill.mmsd.videos import Videos
from vidistill.settings.localise import LocaliseSettings
from vidistill.training import native

TOGETHER = "together"  # all streams


class Activation(NamedTuple):
    """A video of T snippets."""

    times: np.ndarray  # (T, 2) seconds
    streams: dict[str, dict[str, np.ndarray]]  # class -> stream, last TOGETHER -> (T,)


def of_videos(
    model: Path, predictions: Path, features: Mapping[str, Sequence[Path]], durations: Mapping[str, float]
) -> dict[str, Activation]:
    """The activation z of every class, of each stream alone and of all together, in the videos of `durations`.

    Args:
        model: its file.
        predictions: its table, which says how streams are weighted.
        features: stream -> shards.
        durations: video -> seconds.
    """
    network, classes, s, _ = models.load(model)
    settings = parse(LocaliseSettings, store.read_metadata(predictions)["settings"])
    files = [features[stream] for stream in s.streams]
    loaded = native.load(files, durations, snippets=s.snippets, normalise=s.normalise)
    ids = sorted(loaded)
    videos = Videos(ids, ["shown"] * len(ids), [loaded[v] for v in ids], [[] for _ in ids], len(classes))
    weights = dict(zip(network.heads, np.eye(len(network.heads)), strict=True))
    if len(network.heads) > 1:
        weights[TOGETHER] = predict.stream_weights(settings.stream_weights, network.heads)
    found = {}
    for video_id, video in zip(ids, predict.predict(network, videos, torch.device("cpu")), strict=True):
        z = {stream: predict.fuse(video, of_heads).activation for stream, of_heads in weights.items()}
        by_class = {label: {stream: z[stream][:, c] for stream in z} for c, label in enumerate(classes)}
        found[video_id] = Activation(loaded[video_id].times, by_class)
    return found
