"""Stage `queries`: annotation files -> the tables of queries and of moments, and the list of flawed rows."""

import collections
import csv
import hashlib
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
import pyarrow as pa

from mmdist import settings as settings_module
from mmdist import store
from mmdist.data import sources
from mmdist.data.annotation import VIDEO_SUFFIXES, Annotation, video_id
from mmdist.data.sources import QueriesSettings
from mmdist.pace import Pace
from mmdist.stage import UserError, arguments, run
from mmdist.video import source
from mmdist.video.source import BadVideoError

log = logging.getLogger(__name__)

QUERIES = pa.schema(
    [
        ("query_id", pa.string()),
        ("video_id", pa.string()),
        ("split", pa.string()),
        ("duration", pa.float64()),
        ("sentence", pa.string()),
        ("label", pa.string()),
    ]
)
MOMENTS = pa.schema([("query_id", pa.string()), ("start", pa.float64()), ("end", pa.float64())])


Action = Literal["clamped", "dropped", "kept"]
_REPEATED: tuple[str, Action] = ("the same row stands above", "dropped")


class Problem(NamedTuple):
    """A row of `problems.csv`."""

    file: str
    line: int | None
    split: str
    video_id: str
    sentence: str
    problem: str
    action: Action


@dataclass(frozen=True)
class Tables:
    """What the stage writes."""

    queries: pd.DataFrame
    moments: pd.DataFrame
    problems: list[Problem]


def query_ids(annotations: Iterable[Annotation]) -> Iterator[str | None]:
    """An id a row: video id, 12 digits of the sentence's SHA-256, number of the occurrence; None for a repeated row.

    Nothing else counts, so ids are the same in every split definition and stay when other rows are inserted. Rows
    that are dropped later count too: data sets that differ in what they drop agree on the ids.
    """
    occurrences: collections.Counter[str] = collections.Counter()
    seen = set()
    for row in annotations:
        # repr, since NaN differs from itself.
        content = (row.split, row.video_id, row.sentence, repr(row.start), repr(row.end))
        if content in seen:
            yield None
            continue
        seen.add(content)
        stem = f"{row.video_id}#{hashlib.sha256(row.sentence.encode()).hexdigest()[:12]}"
        yield f"{stem}#{occurrences[stem]}"
        occurrences[stem] += 1


def build(annotations: list[Annotation], videos: Mapping[str, Path], beyond_duration: str) -> Tables:
    """The tables from rows as they stand in the files; a flawed row is mended or left out, and listed.

    Args:
        videos: id -> file, asked for a duration that the annotations lack.
        beyond_duration: `clamp` a moment to the video's duration, or `drop` its query.
    """
    durations = _Durations(videos)
    queries, moments, problems = [], [], []
    for row, query_id in zip(annotations, query_ids(annotations), strict=True):
        duration, unknown = durations.of(row)
        if unknown:
            problems.append(_problem(row, unknown, "kept"))
        flaw = _flaw(row, duration, beyond_duration) if query_id else _REPEATED
        if flaw:
            problems.append(_problem(row, *flaw))
            if problems[-1].action == "dropped":
                continue
        queries.append((query_id, row.video_id, row.split, duration, row.sentence, None))
        if row.start is not None:
            moments.append((query_id, row.start, duration if flaw else row.end))
    problems.sort(key=lambda p: (p.file, p.line or 0))
    return Tables(pd.DataFrame(queries, columns=QUERIES.names), pd.DataFrame(moments, columns=MOMENTS.names), problems)


def _problem(row: Annotation, problem: str, action: Action) -> Problem:
    return Problem(row.file, row.line, row.split, row.video_id, row.sentence, problem, action)


def _flaw(row: Annotation, duration: float | None, beyond_duration: str) -> tuple[str, Action] | None:
    """What is wrong with a row and what to do about it; None when it is sound."""
    start, end = row.start, row.end
    if not row.sentence:
        return "the sentence is empty", "dropped"
    if start is None and end is None:
        return None
    if start is None or end is None:
        return "of start and end only one is given", "dropped"
    if not math.isfinite(start) or not math.isfinite(end):
        return f"start {start:g} or end {end:g} is not finite", "dropped"
    if start >= end:
        return f"start {start:g} is not before end {end:g}", "dropped"
    if duration is None or end <= duration:
        return None
    if start >= duration:
        return f"start {start:g} is not before the end of the video, {duration:g}", "dropped"
    return f"end {end:g} is beyond the duration {duration:g}", "clamped" if beyond_duration == "clamp" else "dropped"


class _Durations:
    """Durations of rows, and of videos where rows lack one; each video without any is told once."""

    def __init__(self, videos: Mapping[str, Path]):
        self.videos = videos
        self.found: dict[str, float | None] = {}
        self.pace = Pace("durations asked of video files", len(videos))

    def of(self, row: Annotation) -> tuple[float | None, str]:
        """(seconds or None, why it is unknown or empty)."""
        if row.duration is not None and 0 < row.duration < math.inf:
            return row.duration, ""
        if row.video_id in self.found:
            return self.found[row.video_id], ""
        reason = "the duration is unknown: no annotation gives it and no video file is there"
        self.found[row.video_id] = None
        if path := self.videos.get(row.video_id):
            try:
                self.found[row.video_id] = float(source.duration(path))
                self.pace.at(len(self.found))
                return self.found[row.video_id], ""
            except BadVideoError as error:
                reason = f"the duration is unknown: {path.name}: {error}"
        return None, reason


def video_files(paths: Iterable[Path]) -> dict[str, Path]:
    """Video id -> file, of files and of folders of files: those of a data set may be more than a command line holds."""
    found = {}
    for path in paths:
        if path.is_dir():
            files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in VIDEO_SUFFIXES]
        else:
            files = [path]
        found.update({video_id(file.name): file for file in files})
    return found


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """CSV with a header; `line` is empty for rows of JSON files."""
    with store.atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Problem._fields)
        writer.writerows(problems)


def _report(tables: Tables, dataset: str) -> None:
    for split, rows in tables.queries.groupby("split"):
        log.info("%s, %s: %d queries on %d videos", dataset, split, len(rows), rows["video_id"].nunique())
    for action, count in sorted(collections.Counter(p.action for p in tables.problems).items()):
        log.warning("%s: %d flawed rows were %s, see the list of problems", dataset, count, action)
    videos = tables.queries.groupby("split")["video_id"].agg(set)
    if shared := videos.get("train", set()) & videos.get("test", set()):
        log.warning("%s: %d videos are both in train and test, for example %s", dataset, len(shared), min(shared))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--videos", type=Path, nargs="*", default=[], help="files or folders, for durations not annotated"
    )
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--moments", type=Path, required=True)
    parser.add_argument("--problems", type=Path, required=True)
    args = parser.parse_args()
    settings = settings_module.parse(QueriesSettings, args.settings)
    annotations = sources.read(settings)
    tables = build(annotations, video_files(args.videos), settings.beyond_duration)
    if tables.queries.empty:
        raise UserError(f"datasets.{settings.dataset} has no sound query in {len(annotations)} rows; check its files.")
    _report(tables, settings.dataset)
    files = {file: store.file_digest(file) for file in sorted({a.file for a in annotations} | set(settings.durations))}
    metadata = {
        "dataset": settings.dataset,
        "settings": json.dumps(asdict(settings), sort_keys=True),
        "files": json.dumps(files, sort_keys=True),
    }
    store.write_table(args.queries, tables.queries, QUERIES, ["query_id"], **metadata)
    store.write_table(args.moments, tables.moments, MOMENTS, ["query_id", "start", "end"], **metadata)
    write_problems(args.problems, tables.problems)


if __name__ == "__main__":
    run(main)
