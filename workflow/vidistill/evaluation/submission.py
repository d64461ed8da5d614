"""Predictions of moments in the form of QVHighlights' evaluators (moment_detr, lighthouse), a JSON object per line.

`{"qid", "query", "vid", "pred_relevant_windows": [[start, end, score], ...]}`, in seconds, the best window first.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.data.annotations.annotation import lines, video_id

WINDOWS = "pred_relevant_windows"
# Padding of queries with fewer windows than others: an empty window, which no IoU counts, behind all others.
NO_WINDOW = (0.0, 0.0, -math.inf)


class Flaw(NamedTuple):
    """Something of a file of predictions that does not fit."""

    line: int | None  # from 1; None where the file has no lines
    row: str  # its qid, or its video
    problem: str
    used: bool = False  # whether the rest of the row is used


@dataclass(frozen=True)
class Submitted:
    """One usable row."""

    line: int
    qid: str
    video_id: str
    sentence: str
    windows: tuple[tuple[float, float, float], ...]  # start, end (seconds), score; best first


class Matched(NamedTuple):
    """Rows by query, and the rows that fit no query."""

    rows: dict[str, Submitted]  # query id -> its row
    flaws: list[Flaw]


def read(path: Path) -> tuple[list[Submitted], list[Flaw], int]:
    """The usable rows of a file, what cannot be used of it, and the number of rows.

    Raises:
        UserError: the file cannot be read, or has no row.
    """
    rows: list[Submitted] = []
    flaws: list[Flaw] = []
    count = 0
    for line, text in lines(str(path)):
        count += 1
        row = _row(line, text, flaws)
        if row:
            rows.append(row)
    if not count:
        raise UserError(f"{path} has no row; write a JSON object with qid, query, vid and {WINDOWS} per line.")
    return rows, flaws, count


def _row(line: int, text: str, flaws: list[Flaw]) -> Submitted | None:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        flaws.append(Flaw(line, "", "this is not a JSON object"))
        return None
    values: list[Any] = [fields.get(key) for key in ("qid", "vid", "query", WINDOWS)]
    qid, video, sentence, windows = values
    name = str(qid if qid is not None else video or "")
    for key, value, kind in (("vid", video, str), ("query", sentence, str), (WINDOWS, windows, list)):
        if not isinstance(value, kind):
            flaws.append(Flaw(line, name, f"{key} is {_short(value)}, not a {'text' if kind is str else 'list'}"))
            return None
    found = list(_windows(windows, line, name, flaws))
    if not found:
        flaws.append(Flaw(line, name, f"{WINDOWS} has no usable window"))
        return None
    if any(score is None for _, _, score in found):  # then their order says which is best
        scored = [(start, end, -float(rank)) for rank, (start, end, _) in enumerate(found)]
    else:
        scored = [(start, end, float(score or 0.0)) for start, end, score in found]
    ranked = sorted(scored, key=lambda window: -window[2])
    if ranked[0] != scored[0]:
        flaws.append(Flaw(line, name, "its first window has not the highest score; the highest score counts", True))
    return Submitted(line, name, video_id(video), nfc(sentence.strip()), tuple(ranked))


def _windows(
    given: Iterable[Any], line: int, name: str, flaws: list[Flaw]
) -> Iterator[tuple[float, float, float | None]]:
    for number, window in enumerate(given, 1):
        values = window if isinstance(window, list) and len(window) in (2, 3) else [None]
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]
        if len(numbers) < len(values):
            flaws.append(Flaw(line, name, f"window {number} is {_short(window)}, not [start, end, score]", True))
        else:
            yield numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else None


def match(rows: Iterable[Submitted], queries: pd.DataFrame, split: str, id_prefix: str = "") -> Matched:
    """The query of each row: the one with its id, or else the one of its video and sentence.

    Of several queries with the same video and sentence, the first row is the first one's, the second the second's. Case
    and spaces of a sentence count only where they tell queries apart (TACoS has "He" and "HE took out cutting board").

    Args:
        queries: columns query_id, video_id, split, sentence.
        split: the evaluated split, whose queries come first.
        id_prefix: of the data set's video ids, which rows may lack.
    """
    ordered = queries.dropna(subset="sentence").assign(other=lambda q: q["split"] != split)
    ordered = ordered.assign(digits=ordered["query_id"].str.len())  # of its occurrence: #2 comes before #10
    ordered = ordered.sort_values(["other", "digits", "query_id"], kind="stable")
    ids, videos = set(ordered["query_id"]), set(ordered["video_id"])
    found: dict[str, Submitted] = {}
    left = list(rows)
    waiting: dict[tuple[str, str], list[str]] = {}

    def video_of(row: Submitted) -> str:
        return row.video_id if row.video_id in videos else nfc(id_prefix + row.video_id)

    for row in left:
        if row.qid in ids:
            found.setdefault(row.qid, row)
    left = [row for row in left if found.get(row.qid) is not row]
    for form in (str, _plain):
        waiting = {}
        asked = zip(ordered["query_id"], ordered["video_id"], ordered["sentence"], strict=True)
        for query_id, video, sentence in asked:
            waiting.setdefault((video, form(sentence)), []).append(query_id)
        unmatched = []
        for row in left:
            same = waiting.get((video_of(row), form(row.sentence)), [])
            if free := [query_id for query_id in same if query_id not in found and row.qid not in ids]:
                found[free[0]] = row
            else:
                unmatched.append(row)
        left = unmatched
    flaws = []
    for row in left:
        if row.qid in ids or (video_of(row), _plain(row.sentence)) in waiting:
            problem = "its query has a row above"
        elif video_of(row) not in videos:
            problem = f"the data set has no query on the video {row.video_id!r}"
        else:
            problem = f"the data set has no such query on its video: {row.sentence!r}"
        flaws.append(Flaw(row.line, row.qid, problem))
    return Matched(found, flaws)


def table(rows: dict[str, Submitted], queries: pd.DataFrame) -> pd.DataFrame:
    """A table of predictions of one epoch, without proposals' columns; queries with fewer windows are padded.

    Args:
        queries: columns query_id, split.
    """
    most = max(len(row.windows) for row in rows.values())
    splits = queries.set_index("query_id")["split"]
    found = [
        (1, query_id, splits[query_id], number, *window)
        for query_id, row in rows.items()
        for number, window in enumerate((*row.windows, *[NO_WINDOW] * (most - len(row.windows))))
    ]
    return pd.DataFrame(found, columns=["epoch", "query_id", "split", "proposal_index", "start", "end", "score"])


def _plain(sentence: str) -> str:
    """A sentence without what differs between copies of a data set."""
    return " ".join(sentence.casefold().split())


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
