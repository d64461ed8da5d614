"""Found moments in the forms of other programs: tables, subtitles, edit lists."""

import csv
import html
import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """A moment of a video, in seconds; `rank` counts from 1 for each sentence."""

    video: Path
    sentence: str
    rank: int
    start: float
    end: float
    score: float


def as_csv(rows: Iterable[Row]) -> str:
    """A row for each moment, with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows((*row[:3], f"{row.start:.3f}", f"{row.end:.3f}", f"{row.score:.6g}") for row in rows)
    return text.getvalue()


def as_srt(rows: Iterable[Row]) -> str:
    """Subtitles (SubRip): each moment shows its sentence."""
    blocks = (
        f"{number}\n{_clock(row.start, ',')} --> {_clock(row.end, ',')}\n{_line(row.sentence)}\n"
        for number, row in enumerate(_in_time(rows), 1)
    )
    return "\n".join(blocks)


def as_vtt(rows: Iterable[Row]) -> str:
    """Subtitles (WebVTT, W3C), as browsers show them."""
    blocks = (
        f"{_clock(row.start, '.')} --> {_clock(row.end, '.')}\n{html.escape(_line(row.sentence), quote=False)}\n"
        for row in _in_time(rows)
    )
    return "\n".join(["WEBVTT\n", *blocks])


def as_edl(rows: Iterable[Row], rate: Fraction) -> str:
    """An edit decision list (CMX 3600) of one video: the moments one after the other, each once.

    Args:
        rate: frames per second of the video; time codes count the nearest whole number of frames in a second.
    """
    lines, at = ["TITLE: vidistill", "FCM: NON-DROP FRAME"], 0
    for number, row in enumerate(_in_time(rows), 1):
        first = round(row.start * rate)
        count = max(round(row.end * rate) - first, 1)
        codes = (_timecode(frame, rate) for frame in (first, first + count, at, at + count))
        lines += ["", f"{number:03d}  AX       V     C        {' '.join(codes)}"]
        lines += [f"* FROM CLIP NAME: {_line(row.video.name)}", f"* COMMENT: {_line(row.sentence)}"]
        at += count
    return "\n".join([*lines, ""])


def _in_time(rows: Iterable[Row]) -> Sequence[Row]:
    return sorted(rows, key=lambda row: (row.start, row.end, row.rank))


def _line(text: str) -> str:
    return " ".join(text.split())


def _clock(seconds: float, point: str) -> str:
    """00:01:02,345"""
    rest, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}{point}{thousandths:03d}"


def _timecode(frame: int, rate: Fraction) -> str:
    """00:01:02:12"""
    seconds, frames = divmod(frame, max(round(rate), 1))
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"
