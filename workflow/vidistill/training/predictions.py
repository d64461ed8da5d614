"""Predictions: the table of scored proposals per query and epoch, and the answer to a question."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from vidistill.training.samples import Samples

KEYS = ["epoch", "query_id", "proposal_index"]
PREDICTIONS = pa.schema(
    [
        ("epoch", pa.int16()),
        ("query_id", pa.string()),
        ("split", pa.string()),
        ("proposal_index", pa.int16()),
        ("start", pa.float32()),
        ("end", pa.float32()),
        ("center", pa.float32()),
        ("width", pa.float32()),
        ("score", pa.float32()),
        ("reconstruction_error", pa.float32()),
    ]
)


class Found(NamedTuple):
    """K moments for a sentence in one of V videos."""

    row: int  # s * V + v for sentence s and video v
    moments: np.ndarray  # (K, 2) starts and ends as shares of the video
    score: np.ndarray  # (K,) higher is better
    errors: np.ndarray | None = None  # (K,) of reconstruction, of a method that reconstructs
    activation_map: np.ndarray | None = None  # (L,) of a network with a local branch, as all that follows
    across: np.ndarray | None = None  # (K,) scores that are comparable with those in other videos
    fit: float | None = None  # of sentence and video
    fits: np.ndarray | None = None  # (K,) of sentence and moments


def nothing() -> pd.DataFrame:
    """An empty table."""
    return pd.DataFrame(columns=PREDICTIONS.names)


def table(samples: Samples, rows: np.ndarray, moments: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    """One row per (query, proposal); start and end in seconds, null in columns that are not given.

    Args:
        rows: (B,) indices of the samples.
        moments: (B, K, 2), starts and ends as shares of the video.
        columns: (B, K) each.
    """
    count = moments.shape[1]
    queries = np.repeat(rows, count)
    seconds = samples.durations[queries]
    found: dict[str, Any] = {
        "query_id": [samples.query_ids[i] for i in queries],
        "video_id": [samples.video_ids[i] for i in queries],
        "split": [samples.splits[i] for i in queries],
        "proposal_index": np.tile(np.arange(count), len(rows)),
        "start": moments[..., 0].ravel() * seconds,
        "end": moments[..., 1].ravel() * seconds,
    }
    table = pd.DataFrame(found | {name: values.ravel() for name, values in columns.items()})
    return table.reindex(columns=[*found, *(name for name in PREDICTIONS.names if name not in ("epoch", *found))])
