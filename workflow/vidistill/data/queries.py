"""Stage `queries`: annotation files -> the table of queries, without moments (see stage `moments`)."""

import argparse
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.progress import Pace
from vidistill.base.stage import UserError, arguments, run
from vidistill.base.wording import plural
from vidistill.data import rows
from vidistill.data.annotations import sources
from vidistill.data.annotations.annotation import VIDEO_SUFFIXES, Annotation, video_id
from vidistill.data.annotations.sources import QueriesSettings
from vidistill.video import source
from vidistill.video.source import BadVideoError

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


def build(annotations: list[Annotation], videos: Mapping[str, Path], beyond_duration: str) -> pd.DataFrame:
    """The table of queries of the rows of annotation files.

    Args:
        videos: id -> file, read for durations that the annotations lack.
        beyond_duration: `drop`: the query of a sentence whose moment ends after the annotated duration is left out.
    """
    return as_table(list(rows.queries(annotations, beyond_duration)), videos)


def as_table(found: list[tuple[str, Annotation]], videos: Mapping[str, Path]) -> pd.DataFrame:
    """The table of queries of pairs (query id, row); `videos` as in `build`."""
    undated = dict.fromkeys(row.video_id for _, row in found if rows.annotated_duration(row) is None)
    asked = ask_durations({name: videos[name] for name in undated if name in videos})
    table = [
        (
            *(query_id, row.video_id, row.split, rows.annotated_duration(row) or asked.get(row.video_id)),
            *((row.sentence, None) if row.label is None else (None, row.label or None)),
        )
        for query_id, row in found
    ]
    return pd.DataFrame(table, columns=QUERIES.names)


def ask_durations(videos: Mapping[str, Path]) -> dict[str, float]:
    """Video id -> seconds, for readable files; the others are logged."""
    found: dict[str, float] = {}
    pace = Pace("durations read from video files", len(videos))
    for number, (name, path) in enumerate(videos.items(), 1):
        try:
            found[name] = float(source.duration(path))
        except BadVideoError as error:
            log.warning("the duration of %s is unknown: %s: %s", name, path, error)
        pace.at(number)
    return found


def video_files(paths: Iterable[Path]) -> dict[str, Path]:
    """Video id -> file, from files and folders: a data set may have more files than a command line can hold."""
    found = {}
    for path in paths:
        if path.is_dir():
            files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in VIDEO_SUFFIXES]
        else:
            files = [path]
        found.update({video_id(file.name): file for file in files})
    return found


def arguments_with_videos(description: str | None) -> argparse.ArgumentParser:
    """A parser with `--videos`."""
    parser = arguments(description)
    parser.add_argument(
        "--videos", type=Path, nargs="*", default=[], help="files or folders, for durations not annotated"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments_with_videos(__doc__)
    parser.add_argument("--queries", type=Path, required=True)
    args = parser.parse_args(argv)
    settings = settings_module.parse(QueriesSettings, args.settings)
    annotations = sources.read(settings)
    queries = build(annotations, video_files(args.videos), settings.beyond_duration)
    if queries.empty:
        count = plural(len(annotations), "row")
        raise UserError(f"datasets.{settings.dataset} has no usable query in {count}; check its files.")
    for split, part in queries.groupby("split"):
        log.info("%s, %s: %d queries on %d videos", settings.dataset, split, len(part), part["video_id"].nunique())
    about = {"dataset": settings.dataset, "settings": json.dumps(settings.model_dump(), sort_keys=True)}
    store.write_table(args.queries, queries, QUERIES, ["query_id"], **about)


if __name__ == "__main__":
    run(main)
