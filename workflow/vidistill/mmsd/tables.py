"""The two tables of teachers: rows about videos, and what such rows say about each video's snippets."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidistill.base.stage import UserError
from vidistill.mmsd.videos import Query, Videos
from vidistill.training import knowledge
from vidistill.training.voting import implied_confidence


class Sequences(NamedTuple):
    """Values of a video's snippets and their confidence, of M streams."""

    values: Tensor  # (M, T)
    confidence: Tensor  # (M, T)


def rows(videos: Videos, row: int, queries: Iterable[Query], **columns: Any) -> list[dict[str, Any]]:
    """A row with these columns for each of the queries of a video."""
    about = {"video_id": videos.video_ids[row], "split": videos.splits[row], **columns}
    return [{"query_id": query.query_id, **about} for query in queries]


def map_rows(
    videos: Videos, row: int, streams: Sequence[str], found: Sequences, **columns: Any
) -> list[dict[str, Any]]:
    """Rows of activation maps of a video, per stream the same for each of its queries."""
    return [
        made
        for stream, values, confidence in zip(streams, *(x.numpy() for x in found), strict=True)
        for made in rows(
            videos,
            row,
            videos.queries[row],
            stream=stream,
            num_snippets=len(values),
            values=values,
            confidence=confidence,
            **columns,
        )
    ]


def read(file: Path, videos: Videos, streams: Sequence[str], number: int | None) -> list[Sequences | None]:
    """The pseudo labels of each video in a table of one teacher, joined by query; None where it has none.

    Args:
        number: of the round; None for the last.

    Raises:
        UserError: the table has several teachers, or rows that contradict each other or do not fit a video.
    """
    found = [_of_stream(file, videos, stream, number) for stream in streams]
    together: list[Sequences | None] = []
    for of_video in zip(*found, strict=True):
        known = [x for x in of_video if x is not None]
        together.append(Sequences(*map(torch.stack, zip(*known, strict=True))) if len(known) == len(streams) else None)
    return together


def _of_stream(file: Path, videos: Videos, stream: str, number: int | None) -> list[tuple[Tensor, Tensor] | None]:
    table = knowledge.of_one(knowledge.maps([file], kind="pseudo_label", stream=stream, number=number), file)
    by_query = dict(zip(table.index, zip(table["values"], table["confidence"], strict=True), strict=True))
    found: list[tuple[Tensor, Tensor] | None] = []
    for row, video_id in enumerate(videos.video_ids):
        about = [by_query[query.query_id] for query in videos.queries[row] if query.query_id in by_query]
        size = len(videos.features[row].times)
        for values, confidence in about:
            if len(values) != size:
                raise UserError(
                    f"{file}: the pseudo labels of video {video_id!r} are of {len(values)} snippets, its features "
                    f"have {size}; make both from the same features, with the same mmsd.snippets."
                )
            if not (np.array_equal(values, about[0][0]) and np.array_equal(confidence, about[0][1])):
                raise UserError(
                    f"{file}: the rows of video {video_id!r} differ between its labels (stream {stream!r}), but its "
                    "pseudo labels are the same for all of them; correct the table."
                )
        found.append(_tensors(*about[0]) if about else None)
    return found


def _tensors(values: np.ndarray, confidence: np.ndarray | None) -> tuple[Tensor, Tensor]:
    labels = torch.from_numpy(values.copy())
    return labels, implied_confidence(labels) if confidence is None else torch.from_numpy(confidence.copy())
