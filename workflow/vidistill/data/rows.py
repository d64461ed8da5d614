"""Which annotated rows become queries, and their ids.

Standard library only: Snakemake also calls this while it parses the rules, to see what training would see.
"""

import collections
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from vidistill.data.annotations.annotation import Annotation

Action = Literal["clamped", "dropped", "kept"]
REPEATED: tuple[str, Action] = ("the same row stands above", "dropped")


def query_ids(annotations: Iterable[Annotation]) -> Iterator[str | None]:
    """The id of each row: video id, 12 digits of the sentence's SHA-256, occurrence; None for a row that only repeats.

    Ids depend on nothing else, so they are the same in every split definition and survive the insertion of other
    rows. Rows that are dropped later count, too, so that data sets that drop different rows agree on ids.
    """
    occurrences: collections.Counter[str] = collections.Counter()
    seen = set()
    for row in annotations:
        # repr, since NaN is not equal to itself.
        content = (row.split, row.video_id, row.sentence, repr(row.start), repr(row.end))
        if content in seen and not row.repeats:
            yield None
            continue
        seen.add(content)
        stem = f"{row.video_id}#{hashlib.sha256(row.sentence.encode()).hexdigest()[:12]}"
        yield f"{stem}#{occurrences[stem]}"
        occurrences[stem] += 1


def annotated_duration(row: Annotation) -> float | None:
    """Seconds; None if the annotation is missing or impossible."""
    return row.duration if row.duration is not None and 0 < row.duration < math.inf else None


def flaw(row: Annotation, duration: float | None, beyond_duration: str) -> tuple[str, Action] | None:
    """What is wrong with a row, and what to do with it; None for a sound row.

    Args:
        duration: of the video, seconds.
        beyond_duration: `clamp` a moment to the video's duration, or `drop` its query.
    """
    start, end = row.start, row.end
    if not row.sentence:
        return "the sentence is empty", "dropped"
    if start is None and end is None:
        return None
    if start is None or end is None:
        return "only one of start and end is given", "dropped"
    if not math.isfinite(start) or not math.isfinite(end):
        return f"start {start:g} or end {end:g} is not finite", "dropped"
    if start >= end:
        return f"start {start:g} is not before end {end:g}", "dropped"
    if duration is None or end <= duration:
        return None
    if start >= duration:
        return f"start {start:g} is not before the end of the video, {duration:g}", "dropped"
    return f"end {end:g} is beyond the duration {duration:g}", "clamped" if beyond_duration == "clamp" else "dropped"


def queries(annotations: list[Annotation], beyond_duration: str) -> Iterator[tuple[str, Annotation]]:
    """(query id, row) of all rows that become queries.

    The annotations alone decide. The duration of a video file can cost a query its moment, but does not drop it.
    """
    for row, query_id in zip(annotations, query_ids(annotations), strict=True):
        found = flaw(row, annotated_duration(row), beyond_duration)
        if query_id is not None and not (found and found[1] == "dropped"):
            yield query_id, row


def digest(annotations: list[Annotation], beyond_duration: str) -> str:
    """SHA-256, hexadecimal, of everything that queries are made of. Moments count only if they decide about a row."""
    total = hashlib.sha256()
    for query_id, row in queries(annotations, beyond_duration):
        total.update(json.dumps([query_id, row.video_id, row.split, row.sentence, annotated_duration(row)]).encode())
    return total.hexdigest()


def moments_digest(annotations: list[Annotation], beyond_duration: str, splits: Collection[str]) -> str | None:
    """SHA-256, hexadecimal, of the moments of all queries of `splits`; None if none of them has a moment."""
    total, moments = hashlib.sha256(), 0
    for query_id, row in queries(annotations, beyond_duration):
        if row.split in splits and row.start is not None:
            total.update(json.dumps([query_id, row.start, row.end, annotated_duration(row)]).encode())
            moments += 1
    return total.hexdigest() if moments else None
