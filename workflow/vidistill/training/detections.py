"""Segments of classes found in videos: the table of predictions, and the JSON of the field's evaluation toolkits."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from vidistill.base import store

ALL = "all"  # a model's streams together, its answer; other rows are those of one stream
KEYS = ["epoch", "stream", "video_id", "label", "rank"]
# A class without segments may have a row for its video_score, with null in rank, start, end and score.
DETECTIONS = pa.schema(
    [
        ("epoch", pa.int16()),
        ("stream", pa.string()),
        ("video_id", pa.string()),
        ("split", pa.string()),
        ("label", pa.string()),
        ("rank", pa.int32()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("score", pa.float64()),
        ("video_score", pa.float64()),
    ]
)


def write(path: Path, table: pd.DataFrame, **about: str) -> None:
    """Write predictions; `about` are texts for the file's metadata."""
    store.write_table(path, table, DETECTIONS, KEYS, **about)


def write_json(path: Path, table: pd.DataFrame, video_ids: Iterable[str], about: str, prefix: str = "") -> None:
    """Write the segments of a table as ActivityNet's toolkit and its descendants read them.

    Args:
        video_ids: of all videos that were predicted, also those without segments.
        about: what made them.
        prefix: of the ids, which the toolkits do not know.
    """
    results: dict[str, list[dict[str, object]]] = {video_id: [] for video_id in sorted(video_ids)}
    found = table.dropna(subset="start").sort_values(["video_id", "score"], ascending=[True, False], kind="stable")
    for row in found.itertuples():
        results[row.video_id].append({"label": row.label, "score": row.score, "segment": [row.start, row.end]})
    named = {video_id.removeprefix(prefix): found_in_it for video_id, found_in_it in results.items()}
    store.write_json(path, {"version": about, "external_data": {}, "results": named})
