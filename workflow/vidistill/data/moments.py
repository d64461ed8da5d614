"""Stage `moments`: annotation files -> the table of moments, which only evaluation reads, and the flawed rows."""

import collections
import csv
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.stage import arguments, run
from vidistill.base.wording import plural
from vidistill.data import rows
from vidistill.data.annotations import sources
from vidistill.data.annotations.annotation import Annotation
from vidistill.data.annotations.sources import QueriesSettings
from vidistill.data.rows import Action

log = logging.getLogger(__name__)

MOMENTS = pa.schema([("query_id", pa.string()), ("start", pa.float64()), ("end", pa.float64())])


class Problem(NamedTuple):
    """A row of `problems.csv`; `sentence` is the label if the row has one."""

    file: str
    line: int | None
    split: str
    video_id: str
    sentence: str
    problem: str
    action: Action


def build(
    annotations: list[Annotation], durations: Mapping[str, float], beyond_duration: str
) -> tuple[pd.DataFrame, list[Problem]]:
    """The table of moments of the rows of annotation files, and the flawed rows.

    Args:
        durations: query id -> seconds, from the table of queries. A moment beyond a duration that is not annotated is
            left out or clamped and its query is kept. A video of unknown duration is listed once.
        beyond_duration: `clamp` a moment to the annotated duration, `drop` it (with the query, if it is a sentence),
            or `keep` it.
    """
    moments, problems, undated = [], [], set()
    labelled = rows.labelled(annotations)
    for row, query_id in zip(annotations, rows.query_ids(annotations), strict=True):
        annotated = rows.annotated_duration(row)
        duration = durations.get(query_id or "") if annotated is None else annotated
        if query_id and duration is None and row.video_id not in undated:
            undated.add(row.video_id)
            problems.append(_problem(row, "the duration is unknown: no annotation and no video file gives it", "kept"))
        if row.label == "" and (row.split, row.video_id) in labelled:
            own: tuple[str, Action] | None = rows.NO_LABEL
        else:
            own = rows.flaw(row, annotated, beyond_duration) if query_id else rows.REPEATED
        flaw = own or rows.flaw(row, duration, beyond_duration)
        action = flaw[1] if flaw else "kept"
        if query_id and row.start is not None and action != "dropped":
            moments.append((query_id, row.start, duration if action == "clamped" else row.end))
        if flaw and action == "dropped" and not own:
            flaw = f"{flaw[0]}: the moment is left out", "kept"
        if flaw:
            problems.append(_problem(row, *flaw))
    problems.sort(key=lambda p: (p.file, p.line or 0))
    return pd.DataFrame(moments, columns=MOMENTS.names), problems


def _problem(row: Annotation, problem: str, action: Action) -> Problem:
    return Problem(row.file, row.line, row.split, row.video_id, row.label or row.sentence, problem, action)


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """Write a CSV with a header; `line` is empty for rows of JSON files."""
    with store.atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Problem._fields)
        writer.writerows(problems)


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    for option in ("--queries", "--moments", "--problems"):
        parser.add_argument(option, type=Path, required=True)
    args = parser.parse_args(argv)
    settings = settings_module.parse(QueriesSettings, args.settings)
    annotations = sources.read(settings)
    table = store.read_table(args.queries, ["query_id", "duration"]).dropna()
    durations = dict(zip(table["query_id"], table["duration"], strict=True))
    moments, problems = build(annotations, durations, settings.beyond_duration)
    for action, count in sorted(collections.Counter(p.action for p in problems).items()):
        log.warning("%s: %s %s, see the list of problems", settings.dataset, plural(count, "flawed row"), action)
    files = sorted({annotation.file for annotation in annotations} | set(settings.durations))
    store.write_table(
        args.moments,
        moments,
        MOMENTS,
        ["query_id", "start", "end"],
        dataset=settings.dataset,
        settings=json.dumps(settings.model_dump(), sort_keys=True),
        files=json.dumps({name: store.file_digest(name) for name in files}, sort_keys=True),
    )
    write_problems(args.problems, problems)


if __name__ == "__main__":
    run(main)
