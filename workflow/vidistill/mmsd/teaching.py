"""What a trained model teaches about its training videos' labels: semantic activation maps, and segments."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from vidistill.mmsd import predict, segments, tables
from vidistill.mmsd.network import Network
from vidistill.mmsd.videos import Videos
from vidistill.settings.mmsd import TrainSettings
from vidistill.training.knowledge import FUSED, PSEUDO_LABELS


def of_videos(
    network: Network, videos: Videos, settings: TrainSettings, number: int, device: torch.device
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of pseudo labels and of semantic maps, for each query of training videos.

    A semantic map is the cosine of snippets and the query's class centre. Pseudo labels are the segments of the
    query's class; without seconds of a video's snippets it has none.

    Args:
        number: of the last round.
    """
    about: dict[str, Any] = {"teacher": settings.model, "seed": settings.seed, "round": number}
    weights = predict.stream_weights(settings.segments.stream_weights, network.heads)
    labels, maps = [], []
    for row, video in enumerate(predict.predict(network, videos, device)):
        fused, features = predict.fuse(video, weights), videos.features[row]
        for query in videos.queries[row]:
            cosines = (video.scores[..., query.label] / network.settings.scale).numpy()
            for stream, values in zip(network.heads, cosines, strict=True):
                found = {"stream": stream, "kind": "semantic", "num_snippets": len(values), "values": values}
                maps += tables.rows(videos, row, [query], confidence=None, **found, **about)
            if np.isfinite(features.times).all():
                for rank, segment in enumerate(segments.find(fused.activation[:, query.label], settings.segments)):
                    start, end = segments.seconds(segment, features)
                    found = {"rank": rank, "start": start, "end": end, "score": segment.score, "stream": FUSED}
                    labels += tables.rows(videos, row, [query], **found, **about)
    return pd.DataFrame(labels, columns=PSEUDO_LABELS.names), pd.DataFrame(maps)
