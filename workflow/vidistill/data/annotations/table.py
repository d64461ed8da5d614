"""A user's own annotations: a table with one row per sentence or per segment of a label, as CSV or JSON.

Columns: `video` (id or file name), and `sentence` or `label`; optional: `start`, `end` and `duration` (seconds),
`split`.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.data.annotations.annotation import (
    Annotation,
    csv_rows,
    lines,
    parse_json,
    read_text,
    seconds,
    split_name,
    video_id,
)

log = logging.getLogger(__name__)
OPTIONAL = ("start", "end", "split", "duration")
Kind = Literal["sentence", "label"]  # the column beside video that a table must have
Row = tuple[str, int | None, dict[str, Any]]  # file and place, line (None where rows are no lines), column -> value


def read(path: str, split: str, kind: Kind = "sentence") -> list[Annotation]:
    """The rows of one file, in its order. `split` is the split of rows that name none.

    Files named .jsonl, .ndjson or .json are JSON, by line or as pandas writes it; all others are CSV.

    Raises:
        UserError: a column is missing, or a cell has the wrong type (the line or the row is named).
    """
    is_json = Path(path).suffix.lower() in (".jsonl", ".ndjson", ".json")
    required = ("video", kind)
    found, unknown = [], set()
    for place, line, row in _json_rows(path, required) if is_json else _csv_rows(path, required):
        if ("start" in row) != ("end" in row):
            raise UserError(f"{place}: only one of start and end is given; give both or neither.")
        unknown |= set(row) - {*required, *OPTIONAL}
        found.append(_annotation(row, path, place, line, split, kind))
    if unknown:
        known = ", ".join((*required, *OPTIONAL))
        log.warning("%s: columns %s are ignored; known are %s", path, ", ".join(sorted(unknown)), known)
    return found


def _annotation(row: dict[str, Any], path: str, place: str, line: int | None, split: str, kind: Kind) -> Annotation:
    video = video_id(_text(row, "video", place))
    if not video:
        raise UserError(f"{place}: the video is empty; name the video of every {kind}.")
    own_split, text = _text(row, "split", place), nfc(_text(row, kind, place))
    return Annotation(
        video_id=video,
        sentence=text if kind == "sentence" else "",
        split=split_name(own_split, place) if own_split else split,
        start=_time(row, "start", place),
        end=_time(row, "end", place),
        duration=_time(row, "duration", place),
        file=path,
        line=line,
        label=text if kind == "label" else None,
    )


def _text(row: dict[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    if name == "video" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # numeric ids easily lose their quotes
    if not isinstance(value, str | None):
        raise UserError(f"{place}: the {name} is {value!r}; give a text.")
    return (value or "").strip()


def _time(row: dict[str, Any], name: str, place: str) -> float | None:
    value = row.get(name)
    is_empty = value is None or (isinstance(value, str) and not value.strip())
    return None if is_empty else seconds(value, place, name)


def _csv_rows(path: str, required: tuple[str, ...]) -> Iterator[Row]:
    for line, row in csv_rows(path, required):
        yield f"{path}, line {line}", line, row


def _json_rows(path: str, required: tuple[str, ...]) -> Iterator[Row]:
    for place, line, row in _json_objects(path, required):
        if not isinstance(row, dict):
            raise UserError(f"{place}: this is not a JSON object; a row is an object with {' and '.join(required)}.")
        row = {name.strip().lower(): value for name, value in row.items()}
        if missing := [name for name in required if name not in row]:
            raise UserError(f"{place}: the key {missing[0]!r} is missing; a row needs {' and '.join(required)}.")
        yield place, line, row


def _json_objects(path: str, required: tuple[str, ...]) -> Iterator[Row]:
    """Objects: one per line, or, over any number of lines, an array or a table as pandas writes it."""
    numbered = [(f"{path}, line {line}", line, text.strip()) for line, text in lines(path)]
    if numbered and numbered[0][2].startswith("{") and numbered[0][2].endswith("}"):
        rows: list[Row] = [(place, line, parse_json(text, place)) for place, line, text in numbered]
        if len(rows) > 1 or not _is_nested(rows[0][2]):
            yield from rows
            return
    for number, row in enumerate(_of_whole(parse_json(read_text(path), path), path, required), 1):
        yield f"{path}, row {number}", None, row


def _of_whole(content: Any, path: str, required: tuple[str, ...]) -> list[Any]:
    if isinstance(content, list):
        return content
    if not _is_nested(content):
        return [content]
    if not {name.strip().lower() for name in content}.intersection(required):
        return list(content.values())  # rows by their names
    parts = {name: dict(enumerate(part)) if isinstance(part, list) else part for name, part in content.items()}
    index = next(iter(parts.values()))
    if any(part.keys() != index.keys() for part in parts.values()):
        raise UserError(f"{path}: its columns do not have the same rows; write the table again.")
    return [{name: part[row] for name, part in parts.items()} for row in index]


def _is_nested(content: Any) -> bool:
    """Whether this is a mapping of columns or of rows, rather than one row."""
    return isinstance(content, dict) and bool(content) and all(isinstance(p, dict | list) for p in content.values())
