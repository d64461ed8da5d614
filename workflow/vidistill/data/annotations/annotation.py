"""One annotated sentence or label, and what all readers share: text files, numbers, errors that name the line.

This module and the readers import neither NumPy nor pandas: Snakemake calls them while it parses.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.base.wording import plural

# Suffixes of video files, all of which FFmpeg reads. Any other suffix belongs to the id.
_SUFFIXES = """
    .3g2 .3gp .amv .asf .avi .divx .dv .f4v .flv .gif .m1v .m2t .m2ts .m2v .m4v .mjpeg .mjpg .mk3d .mkv .mod .mov
    .mp4 .mpe .mpeg .mpg .mpv .mts .mxf .nut .ogg .ogm .ogv .ogx .qt .rm .rmvb .tod .tp .trp .ts .vob .webm .wmv
    .wtv .xvid .y4m
"""
VIDEO_SUFFIXES = frozenset(_SUFFIXES.split())
_SPLITS = {"training": "train", "testing": "test", "valid": "val", "validation": "val", "dev": "val"}


@dataclass(frozen=True)
class Annotation:
    """A row of an annotation file, times in seconds; None where the file has no value.

    With a label it is a segment of an action, or, without times, says that the action is somewhere in the video. The
    label "" stands for a video without labels.
    """

    video_id: str
    sentence: str
    split: str
    start: float | None
    end: float | None
    duration: float | None
    file: str
    line: int | None  # from 1; None where the file has no lines (JSON)
    repeats: bool = False  # a query of its own even if it is equal to a row above
    label: str | None = None  # None: a sentence
    query: str | None = None  # the file's own id of a sentence; rows with the same are moments of one query
    unlisted: bool = False  # a segment in training whose label the video's own list of labels lacks


def video_id(name: str) -> str:
    """The id of a video: its file name without folder and video suffix. A name without such a suffix is an id.

    Ids are in NFC, so that both spellings of a name are one video.
    """
    name = nfc(name)
    stem, dot, suffix = name.replace("\\", "/").rpartition("/")[2].rpartition(".")
    return stem if stem and dot + suffix.lower() in VIDEO_SUFFIXES else name


def split_name(name: str, place: str) -> str:
    """`train`, `val` or `test`; common synonyms are accepted.

    Raises:
        UserError: any other name.
    """
    name = name.strip().lower()
    name = _SPLITS.get(name, name)
    if name not in ("train", "val", "test"):
        raise UserError(f"{place}: the split is {name!r}; supported values are train, val and test.")
    return name


def read_text(path: str) -> str:
    """A whole UTF-8 file, with or without byte order mark.

    Raises:
        UserError: it cannot be opened, or is not UTF-8 (the line is named).
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; correct the path in the configuration or get the file.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); it must be a file that you may read.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: this is not UTF-8 text; unpack the file or save it as UTF-8.") from None


def lines(path: str) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers from 1."""
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line


def csv_rows(path: str, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file as (line, column -> text); column names in lower case, empty rows omitted.

    Raises:
        UserError: no header, a required column missing, or a row with more or fewer cells than the header.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1  # where the row starts: a quoted cell may hold line breaks
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise UserError(f"{path}, line {line}: this is not CSV ({error}); close every quote in this row.") from None
        if not any(cell.strip() for cell in row):
            continue
        if header is None:
            header = _header(path, line, row, required)
        elif len(row) != len(header):
            raise UserError(
                f"{path}, line {line}: the row has {plural(len(row), 'cell')} for {plural(len(header), 'column')}; "
                "put sentences with commas in double quotes."
            )
        else:
            yield line, dict(zip(header, row, strict=True))
    if header is None:
        raise UserError(f"{path} is empty; its first line must name the columns {', '.join(required)}.")


def _header(path: str, line: int, row: list[str], required: tuple[str, ...]) -> list[str]:
    header = [cell.strip().lower() for cell in row]
    if missing := [name for name in required if name not in header]:
        raise UserError(
            f"{path}, line {line}: the column {missing[0]!r} is missing, the header is {','.join(row)!r}; "
            f"name the columns {', '.join(required)}, with commas between them."
        )
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise UserError(f"{path}, line {line}: the column {twice[0]!r} appears twice; remove one.")
    return header


def parse_json(text: str, place: str, **options: Any) -> Any:
    """A JSON text.

    Raises:
        UserError: it is not JSON.
    """
    try:
        return json.loads(text, **options)
    except json.JSONDecodeError as error:
        where = f"{place}, line {error.lineno}" if ", line " not in place else place
        raise UserError(f"{where}: this is not JSON ({error.msg}, column {error.colno}); correct the file.") from None
    except (ValueError, RecursionError):  # an integer of thousands of digits, nesting without end
        raise UserError(f"{place}: this JSON cannot be read; correct the file.") from None


def seconds(value: Any, place: str, name: str) -> float:
    """A time in seconds, as `number`."""
    return number(value, place, name, "seconds")


def number(value: Any, place: str, name: str, unit: str) -> float:
    """A time as a number. NaN passes: one flawed row should not stop the run.

    Raises:
        UserError: not a number, or negative.
    """
    try:
        if isinstance(value, bool) or (isinstance(value, str) and "_" in value):  # only Python reads these as numbers
            raise ValueError
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{place}: the {name} is {value!r}; give a number of {unit}.") from None
    if found < 0:
        raise UserError(f"{place}: the {name} is {value!r}; a number of {unit} is not negative, correct it.")
    return found
