"""The reader of Charades-STA, and of the durations beside it."""

import random
from pathlib import Path

import pytest

from conftest import data
from vidistill.base.stage import UserError
from vidistill.data.annotations import charades


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_a_line_becomes_an_annotation(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "\n46GP8 0.5 6##a person, cooks.  \r\nclips/X.mp4 1 nan##it's ## here\n\n")
    first, second = charades.read(path, "train")
    assert (first.video_id, first.sentence, first.split) == ("46GP8", "a person, cooks.", "train")
    assert (first.start, first.end, first.duration, first.file, first.line) == (0.5, 6.0, None, path, 2)
    assert (second.video_id, second.sentence, second.line) == ("X", "it's ## here", 3)
    assert second.end != second.end


def test_a_byte_order_mark_is_no_part_of_an_id(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfAB 0 1##x\n")
    assert charades.read(path, "test")[0].video_id == "AB"


def test_other_unicode_line_separators_do_not_end_a_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "AB 0 1##one\u2028two\x0bthree\n")
    assert [a.sentence for a in charades.read(path, "test")] == ["one\u2028two\x0bthree"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("AB 0 1##x\nAB 0 1 x", "line 2: 'AB 0 1 x' is not of the form 'video start end##sentence'"),
        ("AB 0##x", "line 1: 'AB 0##x' is not of the form"),
        ("AB 0 one##x", "line 1: the end is 'one'; give a number"),
        ("AB -1 1##x", "line 1: the start is '-1'; a number of seconds is not negative"),
        (b"AB 0 1##x\nAB 0 1##caf\xe9", "line 2: this is not UTF-8"),
        ("AB 0 1##x\n".encode("utf-16"), "line 1: this is not UTF-8"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, content: str | bytes, said: str) -> None:
    path = write(tmp_path / "a.txt", content)
    with pytest.raises(UserError) as error:
        charades.read(path, "train")
    assert f"{path}, {said}" in str(error.value)


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.txt does not exist"):
        charades.read(str(tmp_path / "none.txt"), "train")
    with pytest.raises(UserError, match="cannot be read"):
        charades.read(str(tmp_path), "train")


def test_malformed_lines_never_crash(tmp_path: Path) -> None:
    """Whatever is done to a sound file: rows or one sentence that names the file."""
    sound = b"AB12C 0.5 12.25##a person opens the door.\nXY 3 4##b\n"
    generator = random.Random(0)
    said = 0
    for _ in range(500):
        content = bytearray(sound)
        for _ in range(generator.randint(1, 4)):
            place = generator.randrange(len(content))
            other = generator.choices(range(256), k=generator.randint(0, 3))
            content[place : place + generator.randint(0, 3)] = bytes(other)
        path = write(tmp_path / "a.txt", bytes(content))
        try:
            assert all(a.video_id for a in charades.read(path, "train"))
        except UserError as error:
            said += path in str(error)
    assert said > 100


def test_durations_over_several_files(tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", 'id,script,length\nA,"He, who\nsaid ""no""",10.5\nB,x,\nC,x,0\n')
    b = write(tmp_path / "b.csv", "\ufefflength , ID\n3,D\n10.50,A\n")
    assert charades.durations([a, b]) == {"A": 10.5, "D": 3.0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,seconds\nA,1\n", "line 1: the column 'length' is missing"),
        ("id,length\nA,1\n\nA,2\n", "line 4: video A has the length 2.0, but 1.0 in "),
        ("id,length\nA,long\n", "line 2: the length is 'long'"),
        ("id,length\nA,-3\n", "line 2: the length is '-3'"),
        ("id,length\nA,1,2\n", "line 2: the row has 3 cells for 2 columns"),
        ('id,length\nA,"1\n', "line 2: this is not CSV"),
    ],
)
def test_broken_durations(tmp_path: Path, content: str, said: str) -> None:
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(UserError) as error:
        charades.durations([path])
    assert f"{path}, {said}" in str(error.value)


def test_the_real_files() -> None:
    found = {s: charades.read(str(data("charades-sta", f"charades_sta_{s}.txt")), s) for s in ("train", "test")}
    durations = charades.durations([str(data("charades-sta", f"Charades_v1_{s}.csv")) for s in ("train", "test")])
    assert {s: len(rows) for s, rows in found.items()} == {"train": 12_408, "test": 3_720}
    assert all(a.video_id in durations for rows in found.values() for a in rows)
    assert found["train"][0].sentence == "a person is putting a book on a shelf."
    assert (len(durations), durations["AO8RW"]) == (9_848, 33.67)
