"""Moments as tables, subtitles and edit lists."""

import csv
import io
from fractions import Fraction
from pathlib import Path

from vidistill.commands import formats
from vidistill.commands.formats import Row

VIDEO = Path("clips/a, b.mp4")
ROWS = [
    Row(VIDEO, "a person\nopens & shuts <it>", 1, 61.25, 3723.0004, 0.5),
    Row(VIDEO, 'says "hi, you"', 1, 0.0, 1.9996, -1.25),
]


def test_csv_is_read_back_as_it_was() -> None:
    read = list(csv.DictReader(io.StringIO(formats.as_csv(ROWS))))
    assert [row["sentence"] for row in read] == [row.sentence for row in ROWS]
    assert [row["video"] for row in read] == ["clips/a, b.mp4"] * 2
    assert [(row["rank"], row["start"], row["end"], row["score"]) for row in read] == [
        ("1", "61.250", "3723.000", "0.5"),
        ("1", "0.000", "2.000", "-1.25"),
    ]


def test_subtitles_are_in_order_of_time() -> None:
    assert formats.as_srt(ROWS) == (
        '1\n00:00:00,000 --> 00:00:02,000\nsays "hi, you"\n\n'
        "2\n00:01:01,250 --> 01:02:03,000\na person opens & shuts <it>\n"
    )
    assert formats.as_vtt(ROWS) == (
        'WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nsays "hi, you"\n\n'
        "00:01:01.250 --> 01:02:03.000\na person opens &amp; shuts &lt;it&gt;\n"
    )


def test_an_edit_list_counts_frames() -> None:
    lines = formats.as_edl(ROWS, Fraction(25)).splitlines()
    events = [line for line in lines if line[:3].isdigit()]
    assert events == [
        "001  AX       V     C        00:00:00:00 00:00:02:00 00:00:00:00 00:00:02:00",
        "002  AX       V     C        00:01:01:06 01:02:03:00 00:00:02:00 01:01:03:19",
    ]
    assert "* FROM CLIP NAME: a, b.mp4" in lines
    short = [Row(VIDEO, "blink", 1, 1.0, 1.001, 0.0)]
    assert "00:00:01:00 00:00:01:01" in formats.as_edl(short, Fraction(30000, 1001))
