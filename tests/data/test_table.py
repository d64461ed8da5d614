"""The reader of people's own tables."""

import json
import logging
import random
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from vidistill.base.stage import UserError
from vidistill.data.annotations import table


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_csv_with_all_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        "\ufeffVideo, sentence ,start,end,split,duration\r\n"
        'clips\\a.MP4,"He says ""no"", then\nleaves.",1,2.5,Testing,9\r\n'
        "b.c,two,,,,\r\n,,,,,\r\nc,three,0,1,validation,\r\n",
    )
    a, b, c = table.read(path, "train")
    assert (a.video_id, a.sentence, a.start, a.end, a.split, a.duration) == (
        "a",
        'He says "no", then\nleaves.',
        1.0,
        2.5,
        "test",
        9.0,
    )
    assert (b.video_id, b.sentence, b.start, b.end, b.split, b.duration) == ("b.c", "two", None, None, "train", None)
    assert (c.split, c.line, a.line, b.line) == ("val", 6, 2, 4)


def test_csv_with_two_columns(tmp_path: Path) -> None:
    (row,) = table.read(write(tmp_path / "a.csv", "sentence,video\nx,v\n"), "test")
    assert (row.video_id, row.sentence, row.start, row.end, row.split, row.duration) == (
        "v",
        "x",
        None,
        None,
        "test",
        None,
    )


def test_json_lines_are_the_same(tmp_path: Path) -> None:
    rows = [
        {"video": "a.mp4", "sentence": " x ", "start": 1, "end": "2.5", "split": "test", "duration": 9},
        {"video": 7, "sentence": "y", "start": None, "end": None},
        {"Video": "c", "sentence": "z", "start": float("nan"), "end": 1},
    ]
    path = write(tmp_path / "a.jsonl", "\n\n".join(map(json.dumps, rows)))
    a, b, c = table.read(path, "train")
    assert (a.video_id, a.sentence, a.start, a.end, a.split, a.duration, a.line) == ("a", "x", 1.0, 2.5, "test", 9.0, 1)
    assert (b.video_id, b.start, b.split, b.line) == ("7", None, "train", 3)
    assert c.video_id == "c"
    assert c.start != c.start


PANDAS = ("records", "columns", "index")


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("orient", PANDAS)
def test_what_pandas_writes_is_read(tmp_path: Path, orient: str, indent: int | None) -> None:
    rows = pd.DataFrame(
        {
            "video": ["a.mp4", "b", unicodedata.normalize("NFD", "é")],
            "sentence": ["x", "y/z", unicodedata.normalize("NFD", "größer")],
            "start": [1, None, 0.5],
            "end": [2.5, None, 3],
        }
    )
    rows.to_json(tmp_path / "a.json", orient=orient, indent=indent)
    found = table.read(str(tmp_path / "a.json"), "train")
    assert [(a.video_id, a.sentence) for a in found] == [("a", "x"), ("b", "y/z"), ("é", "größer")]
    assert [(a.start, a.end) for a in found] == [(1.0, 2.5), (None, None), (0.5, 3.0)]


def test_lists_and_single_rows_are_read(tmp_path: Path) -> None:
    for content in (
        {"video": ["a", "b"], "sentence": ["x", "y"]},
        [{"video": "a", "sentence": "x"}, {"Video": "b", "sentence": "y"}],
    ):
        found = table.read(write(tmp_path / "a.json", json.dumps(content, indent=1)), "train")
        assert [(a.video_id, a.sentence) for a in found] == [("a", "x"), ("b", "y")]
    for text in ('{"video": "a", "sentence": "x"}', '\n{"video":\n "a",\n\n "sentence": "x"}\n'):
        assert len(table.read(write(tmp_path / "a.json", text), "train")) == 1


def test_unknown_columns_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        table.read(write(tmp_path / "a.csv", "video,sentence,begin\nv,x,1\n"), "train")
    assert "columns begin are ignored" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", " is empty; its first line must name the columns video, sentence"),
        ("a.csv", "video,query\nv,x\n", ", line 1: the column 'sentence' is missing, the header is 'video,query'"),
        ("a.csv", "video;sentence\nv;x\n", ", line 1: the column 'video' is missing, the header is 'video;sentence'"),
        ("a.csv", "video,sentence,video\nv,x,v\n", ", line 1: the column 'video' appears twice"),
        ("a.csv", "video,sentence,start\nv,x,1\n", ", line 2: only one of start and end"),
        (
            "a.csv",
            "video,sentence\nv,x\nv,he sits, then stands\n",
            ", line 3: the row has 3 cells for 2 columns",
        ),
        ("a.csv", "video,sentence\nv,x\nv\n", ", line 3: the row has 1 cell for 2 columns"),
        ("a.csv", "video,sentence,start,end\nv,x,0:10,1\n", ", line 2: the start is '0:10'"),
        ("a.csv", "video,sentence,start,end\nv,x,1_0,11\n", ", line 2: the start is '1_0'"),
        ("a.csv", "video,sentence,start,end\nv,x,-1,1\n", ", line 2: the start is '-1'"),
        ("a.csv", "video,sentence,split\nv,x,holdout\n", ", line 2: the split is 'holdout'; supported values are"),
        ("a.csv", "video,sentence\n,x\n", ", line 2: the video is empty"),
        ("a.csv", 'video,sentence\nv,x\nv,"x\nv,y\n', ", line 3: this is not CSV"),
        ("a.csv", b"video,sentence\nv,caf\xe9\n", ", line 2: this is not UTF-8"),
        ("a.csv", "video,sentence\nv," + "x" * 200_000, ", line 2: this is not CSV"),
        ("a.jsonl", '{"video": "v", "sentence": "x"}\n{"video": "v"', ", line 2: this is not JSON"),
        ("a.json", '[{"video": "v", "sentence": "x"},\n {"video": "v", "sentence": 5}]', ", row 2: the sentence is 5"),
        ("a.json", '[{"video": "v", "sentence": "x"},\n ["v", "y"]]', ", row 2: this is not a JSON object"),
        ("a.json", '[{"video": "v", "sentence": "x"},\n {"video": "v"', ", line 2: this is not JSON"),
        (
            "a.json",
            '{"video": {"0": "v"}, "sentence": {"0": "x", "1": "y"}}',
            ": its columns do not have the same rows",
        ),
        (
            "a.json",
            '{"video": {"0": "v"}, "sentence": {"0": ""}, "start": {"0": 1}}',
            ", row 1: only one of start and end",
        ),
        ("a.json", '{"annotations":\n [{"video": "v", "sentence": "x"}]}', ", row 1: "),
        ("a.json", '"v"', ", row 1: this is not a JSON object"),
        ("a.jsonl", '{"video": "v", "sentence": "x"}\n["v", "x"]', ", line 2: this is not a JSON object"),
        ("a.jsonl", '{"video": "v", "text": "x"}', ", line 1: the key 'sentence' is missing"),
        ("a.jsonl", '{"video": "v", "sentence": ["x"]}', ", line 1: the sentence is ['x']; give a text"),
        ("a.jsonl", '{"video": "v", "sentence": "x", "start": [1], "end": 2}', ", line 1: the start is [1]"),
        ("a.jsonl", '{"video": true, "sentence": "x"}', ", line 1: the video is True"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(UserError) as error:
        table.read(path, "train")
    assert f"{path}{said}" in str(error.value)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_malformed_rows_never_crash(tmp_path: Path, suffix: str) -> None:
    sound = {
        ".csv": b'video,sentence,start,end,split\na.mp4,"one, two",0.5,1.5,test\nb,three,,,\n',
        ".jsonl": b'{"video": "a", "sentence": "x", "start": 0.5, "end": 2}\n{"video": "b", "sentence": "y"}\n',
        ".json": b'{"video": {"0": "a", "1": 7}, "sentence": {"0": "x", "1": "y"},\n "split": {"0": "val", "1": null}}',
    }[suffix]
    generator = random.Random(0)
    said = 0
    for _ in range(500):
        content = bytearray(sound)
        place = generator.randrange(len(content))
        other = generator.choices(range(256), k=generator.randint(0, 3))
        content[place : place + generator.randint(0, 4)] = bytes(other)
        path = write(tmp_path / f"a{suffix}", bytes(content))
        try:
            assert all(a.video_id for a in table.read(path, "train"))
        except UserError as error:
            said += path in str(error)
    assert said > 100
