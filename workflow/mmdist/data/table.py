"""People's own annotations: a table with a row a sentence, as CSV or as JSON lines.

Columns: `video` (its id or file name) and `sentence`; where known `start`, `end` and `duration` (seconds), `split`.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdist.data.annotation import Annotation, csv_rows, lines, nfc, parse_json, seconds, split_name, video_id
from mmdist.stage import UserError

log = logging.getLogger(__name__)
REQUIRED = ("video", "sentence")
OPTIONAL = ("start", "end", "split", "duration")


def read(path: str, split: str) -> list[Annotation]:
    """The sentences of one file, in its order; a row's own split counts, `split` is that of rows without.

    Files named .jsonl, .ndjson or .json hold JSON lines, all others CSV.

    Raises:
        UserError: a column is missing, or a cell is not what its column holds (the line is named).
    """
    is_json = Path(path).suffix.lower() in (".jsonl", ".ndjson", ".json")
    found, unknown = [], set()
    for line, row in _json_rows(path) if is_json else csv_rows(path, REQUIRED):
        if ("start" in row) != ("end" in row):
            raise UserError(f"{path}, line {line}: of start and end only one is there; give both or none.")
        unknown |= set(row) - {*REQUIRED, *OPTIONAL}
        found.append(_annotation(row, path, line, split))
    if unknown:
        known = ", ".join((*REQUIRED, *OPTIONAL))
        log.warning("%s: columns %s are ignored; known are %s", path, ", ".join(sorted(unknown)), known)
    return found


def _annotation(row: dict[str, Any], path: str, line: int, split: str) -> Annotation:
    place = f"{path}, line {line}"
    video = video_id(_text(row, "video", place))
    if not video:
        raise UserError(f"{place}: the video is empty; name the video of every sentence.")
    own_split = _text(row, "split", place)
    return Annotation(
        video_id=video,
        sentence=nfc(_text(row, "sentence", place)),
        split=split_name(own_split, place) if own_split else split,
        start=_time(row, "start", place),
        end=_time(row, "end", place),
        duration=_time(row, "duration", place),
        file=path,
        line=line,
    )


def _text(row: dict[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    if name == "video" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # ids that are numbers lose their quotes easily
    if not isinstance(value, str | None):
        raise UserError(f"{place}: the {name} is {value!r}; give a text.")
    return (value or "").strip()


def _time(row: dict[str, Any], name: str, place: str) -> float | None:
    value = row.get(name)
    is_empty = value is None or (isinstance(value, str) and not value.strip())
    return None if is_empty else seconds(value, place, name)


def _json_rows(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in lines(path):
        place = f"{path}, line {line}"
        row = parse_json(text, place)
        if not isinstance(row, dict):
            raise UserError(f"{place}: this is not a JSON object; write one object with video and sentence a line.")
        row = {name.strip().lower(): value for name, value in row.items()}
        if missing := [name for name in REQUIRED if name not in row]:
            raise UserError(f"{place}: the key {missing[0]!r} is missing; a line needs {' and '.join(REQUIRED)}.")
        yield line, row
