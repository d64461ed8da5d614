"""What a model file says for questions about other videos than those of its training."""

import json

import numpy as np

from vidistill.training.samples import Samples

WINDOW = 0.95  # share of the training videos that are no longer than a window


def window(training: Samples) -> str:
    """The seconds that nearly all videos of training do not exceed, as JSON; null if no duration is known.

    Longer videos than these are asked by windows of this length. It is the duration of one of the videos, so that equal
    videos give equal bytes.
    """
    of_video = dict(zip(training.video_ids, training.durations.tolist(), strict=True))
    known = [duration for duration in of_video.values() if np.isfinite(duration)]
    return json.dumps(float(np.quantile(known, WINDOW, method="inverted_cdf")) if known else None)
