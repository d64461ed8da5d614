"""Which annotated rows become queries, and their ids.

Standard library only: Snakemake also calls this while it parses the rules, to see what training would see.
"""

import collections
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Literal

from vidistill.data.annotations.annotation import Annotation

Action = Literal["clamped", "dropped", "kept"]
REPEATED: tuple[str, Action] = ("the same row stands above", "dropped")
NO_LABEL: tuple[str, Action] = ("the label is empty", "dropped")
SAME = 1e-3  # seconds by which repeated segments may differ, as in ActivityNet's toolkit


def query_ids(annotations: Iterable[Annotation]) -> Iterator[str | None]:
    """The id of each row: video id, 12 digits of the SHA-256 of sentence or label, occurrence; None for a row that only
    repeats.

    Ids depend on nothing else, so they are the same in every split definition and survive the insertion of other
    rows. Rows that are dropped later count, too, so that data sets that drop different rows agree on ids. All segments
    of a label in a video have one id: they are one query, another one only in another split. So have all moments of a
    sentence whose rows name the same query.
    """
    occurrences: collections.Counter[str] = collections.Counter()
    seen = set()
    known: dict[tuple[str, str, str | None], str] = {}  # (split, stem, the file's own id) -> id
    segments: collections.defaultdict[str, list[tuple[float, float]]] = collections.defaultdict(list)
    for row in annotations:
        # repr, since NaN is not equal to itself.
        content = (row.split, row.video_id, row.sentence, row.label, row.query, repr(row.start), repr(row.end))
        if content in seen and not row.repeats:
            yield None
            continue
        seen.add(content)
        text = row.sentence if row.label is None else row.label
        stem = f"{row.video_id}#{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        key, several = (row.split, stem, row.query), row.label is not None or row.query is not None
        if several and key in known:
            query_id = known[key]
        else:
            query_id = f"{stem}#{occurrences[stem]}"
            occurrences[stem] += 1
        if several:
            known[key] = query_id
        yield query_id if row.label is None or _is_new(row, segments[query_id]) else None


def _is_new(row: Annotation, before: list[tuple[float, float]]) -> bool:
    """Whether a row of a label repeats no segment `before` it; if so, its own is added to them."""
    if row.start is None or row.end is None or not row.start < row.end:
        return True
    if any(abs(row.start - start) <= SAME and abs(row.end - end) <= SAME for start, end in before):
        return False
    before.append((row.start, row.end))
    return True


def annotated_duration(row: Annotation) -> float | None:
    """Seconds; None if the annotation is missing or impossible."""
    return row.duration if row.duration is not None and 0 < row.duration < math.inf else None


def flaw(row: Annotation, duration: float | None, beyond_duration: str) -> tuple[str, Action] | None:
    """What is wrong with a row, and what to do with it; None for a sound row.

    Args:
        duration: of the video, seconds.
        beyond_duration: `clamp` a moment to the video's duration, `drop` it, or `keep` it as it is.
    """
    start, end = row.start, row.end
    if row.label is None and not row.sentence:
        return "the sentence is empty", "dropped"
    if row.unlisted:
        return f"the video's list of labels lacks {row.label!r}", "dropped"
    if start is None and end is None:
        return None
    if row.label == "":
        return NO_LABEL
    if start is None or end is None:
        return "only one of start and end is given", "dropped"
    if not math.isfinite(start) or not math.isfinite(end):
        return f"start {start:g} or end {end:g} is not finite", "dropped"
    if start >= end:
        return f"start {start:g} is not before end {end:g}", "dropped"
    if duration is None or end <= duration:
        return None
    if start >= duration:
        problem = f"start {start:g} is not before the end of the video, {duration:g}"
        return problem, "kept" if beyond_duration == "keep" else "dropped"
    actions: dict[str, Action] = {"clamp": "clamped", "drop": "dropped", "keep": "kept"}
    return f"end {end:g} is beyond the duration {duration:g}", actions[beyond_duration]


def labelled(annotations: Iterable[Annotation]) -> set[tuple[str, str]]:
    """(split, video id) of the videos that have a label."""
    return {(row.split, row.video_id) for row in annotations if row.label and not row.unlisted}


def queries(annotations: list[Annotation], beyond_duration: str) -> Iterator[tuple[str, Annotation]]:
    """(query id, row) of all rows that become queries: sentences, and the first row of each label of a video.

    The annotations alone decide. The duration of a video file can cost a query its moment, but does not drop it. A
    flawed segment does not cost a video its label. A video without labels is one query.
    """
    with_label = labelled(annotations)
    found = set()
    for row, query_id in zip(annotations, query_ids(annotations), strict=True):
        if row.label is None:
            problem = flaw(row, annotated_duration(row), beyond_duration)
            is_query = not (problem and problem[1] == "dropped")
        else:
            is_query = not row.unlisted and (row.label != "" or (row.split, row.video_id) not in with_label)
        if query_id is not None and is_query and query_id not in found:
            found.add(query_id)
            yield query_id, row


def training_labels(annotations: list[Annotation], splits: Collection[str]) -> Iterator[tuple[str, Annotation]]:
    """(query id, row) of the labels of `splits`, as in `queries`, and one row without label of each other video."""
    others = set()
    for query_id, row in queries(annotations, "keep"):
        if row.split in splits:
            yield query_id, row
        elif (row.video_id, row.split) not in others:
            others.add((row.video_id, row.split))
            yield f"{row.video_id}#{row.split}", replace(row, label="", start=None, end=None)


def digest(annotations: list[Annotation], beyond_duration: str) -> str:
    """SHA-256, hexadecimal, of everything that queries are made of. Moments count only if they decide about a row."""
    return _digest(queries(annotations, beyond_duration))


def labels_digest(annotations: list[Annotation], splits: Collection[str]) -> str:
    """SHA-256, hexadecimal, of everything that `training_labels` are made of."""
    return _digest(training_labels(annotations, splits))


def _digest(found: Iterable[tuple[str, Annotation]]) -> str:
    total = hashlib.sha256()  # a label is in its query's id
    for query_id, row in found:
        total.update(json.dumps([query_id, row.video_id, row.split, row.sentence, annotated_duration(row)]).encode())
    return total.hexdigest()


def moments_digest(annotations: list[Annotation], beyond_duration: str, splits: Collection[str]) -> str | None:
    """SHA-256, hexadecimal, of the moments of all queries of `splits`; None if none of them has a moment."""
    total, moments = hashlib.sha256(), 0
    asked = {query_id for query_id, row in queries(annotations, beyond_duration) if row.split in splits}
    for row, query_id in zip(annotations, query_ids(annotations), strict=True):
        if query_id in asked and row.start is not None:
            total.update(json.dumps([query_id, row.start, row.end, annotated_duration(row)]).encode())
            moments += 1
    return total.hexdigest() if moments else None
