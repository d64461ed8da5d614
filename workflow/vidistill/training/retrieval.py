"""What the stages `retrieve` of all methods share: arguments, and the table of where the right videos rank."""

import argparse
import hashlib
import logging
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from torch import Tensor

from vidistill.base import stage, store
from vidistill.training.samples import Samples

log = logging.getLogger(__name__)
S = TypeVar("S", bound=Samples)
RETRIEVAL = pa.schema(
    [
        ("query_id", pa.string()),
        ("video_id", pa.string()),
        ("split", pa.string()),
        ("videos", pa.int32()),  # that were ranked
        ("rank", pa.float32()),  # of the query's own video, from 1; among equally good ones the mean
        ("fit", pa.float32()),  # of the own video
        ("refused", pa.bool_()),  # whether that is under the model's bar; null without a bar
        ("others", pa.int32()),  # videos that are not annotated with the sentence
        ("others_refused", pa.int32()),
    ]
)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options of every method."""
    parser = stage.arguments(description)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--features", nargs="+", required=True, help="STREAM=H5, every shard of every stream")
    parser.add_argument("--output", type=Path, required=True)
    return parser


def of_split(queries: S, split: str) -> S:
    """The queries of a split."""
    return queries.take(np.array(queries.splits) == split)


def some(queries: S, count: int) -> S:
    """At most `count` queries, at least one, which follow from their ids alone."""
    digests = [hashlib.sha256(query_id.encode()).hexdigest() for query_id in queries.query_ids]
    return queries.take(np.argsort(np.argsort(digests)) < max(count, 1))


def table(fits: np.ndarray, videos: np.ndarray, asked: Samples, everything: Samples, bar: float | None) -> pd.DataFrame:
    """Rows of `RETRIEVAL`.

    Args:
        fits: (N, V) how well each video fits the sentence of each query; higher is better.
        videos: (V,) their indices, ascending.
        asked: the N queries.
        everything: all queries about these videos, by which a video is annotated with a sentence.
        bar: fit under which a sentence is refused.
    """
    own = np.searchsorted(videos, asked.video_index.numpy())
    fit = np.take_along_axis(fits, own[:, None], axis=1)
    rank = 1 + (fits > fit).sum(1) + ((fits == fit).sum(1) - 1) / 2
    shown: dict[str, list[int]] = {}
    for sentence, video in zip(
        everything.sentences, np.searchsorted(videos, everything.video_index.numpy()), strict=True
    ):
        shown.setdefault(sentence, []).append(int(video))
    others = np.ones(fits.shape, dtype=bool)
    for row, sentence in enumerate(asked.sentences):
        others[row, shown[sentence]] = False
    refused = fits < (np.nan if bar is None else bar)
    return pd.DataFrame(
        {
            "query_id": asked.query_ids,
            "video_id": asked.video_ids,
            "split": asked.splits,
            "videos": len(videos),
            "rank": rank,
            "fit": fit[:, 0],
            "refused": None if bar is None else refused[np.arange(len(own)), own],
            "others": others.sum(1),
            "others_refused": (refused & others).sum(1),
        }
    )


def write(path: Path, asked: Samples, everything: Samples, videos: Tensor, fits: np.ndarray, bar: float | None) -> None:
    """Write the table; arguments as for `table`."""
    found = table(fits, videos.numpy(), asked, everything, bar)
    store.write_table(path, found, RETRIEVAL, ["query_id"])
    log.info("%d sentences, %d videos: the right one first in %d", len(found), len(videos), (found["rank"] <= 1).sum())


def write_nothing(path: Path) -> None:
    """Write a table without rows, for a model that compares no sentences with videos, or a split without queries."""
    store.write_table(path, pd.DataFrame(columns=RETRIEVAL.names), RETRIEVAL, ["query_id"])
