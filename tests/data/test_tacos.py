"""The reader of TACoS, and its queries."""

import json
from pathlib import Path

import pytest

from conftest import data
from data_sets import check_damaged_copies
from vidistill.base.stage import UserError
from vidistill.data import moments, queries
from vidistill.data.annotations import tacos

ENTRY = {
    "timestamps": [[100, 250], [0, 510]],
    "sentences": ["He takes a pan. ", "He cooks."],
    "fps": 25,
    "num_frames": 500,
}


def write(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    return str(path)


def test_frames_become_seconds(tmp_path: Path) -> None:
    path = write(tmp_path / "train.json", json.dumps({"s1-d2.avi": ENTRY}))
    first, second = tacos.read(path, "train")
    assert (first.video_id, first.sentence, first.split) == ("s1-d2", "He takes a pan.", "train")
    assert (first.start, first.end, first.duration, first.file, first.line) == (4.0, 10.0, 20.0, path, None)
    assert (second.start, second.end) == (0.0, 20.4)


def test_repeated_rows_are_queries_of_their_own(tmp_path: Path) -> None:
    entry = ENTRY | {"timestamps": [[100, 250]] * 3, "sentences": ["He cooks."] * 3}
    rows = tacos.read(write(tmp_path / "train.json", json.dumps({"s1-d2.avi": entry})), "train")
    table = queries.build(rows, {}, "clamp")
    assert [name.rpartition("#")[2] for name in table["query_id"]] == ["0", "1", "2"]
    found, problems = moments.build(rows, {}, "clamp")
    assert found["start"].tolist() == [4.0] * 3
    assert not problems


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fps": 0}, ", video s.avi: the fps is 0; give the frames per second"),
        ({"fps": None}, ", video s.avi: the fps is None; give a number of frames per second"),
        ({"fps": float("nan")}, ", video s.avi: the fps is nan; give the frames"),
        ({"num_frames": "many"}, ", video s.avi: the num_frames is 'many'; give a number of frames"),
        ({"timestamps": [[0, "x"], [0, 1]]}, ", sentence 1: the end is 'x'; give a number of frames"),
        ({"timestamps": [[0, 1], [-1, 1]]}, ", sentence 2: the start is -1; a number of frames is not negative"),
        ({"timestamps": [[0, 1]]}, ": timestamps and sentences are not two lists of the same length"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    path = write(tmp_path / "train.json", json.dumps({"s.avi": ENTRY | changes}))
    with pytest.raises(UserError) as error:
        tacos.read(path, "train")
    assert f"{path}, video s.avi" in str(error.value)
    assert said in str(error.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    entry = {key: value for key, value in ENTRY.items() if key != "fps"}
    with pytest.raises(UserError, match=r"train\.json, video s\.avi: the key 'fps' is missing"):
        tacos.read(write(tmp_path / "train.json", json.dumps({"s.avi": entry})), "train")


def test_malformed_files_never_crash(tmp_path: Path) -> None:
    sound = json.dumps({"a.avi": ENTRY, "b.avi": ENTRY})
    check_damaged_copies(lambda path: tacos.read(path, "train"), tmp_path / "a.json", sound)


def test_the_real_files() -> None:
    found = {s: tacos.read(str(data("tacos", f"{s}.json")), s) for s in ("train", "val", "test")}
    assert [len(rows) for rows in found.values()] == [9_790, 4_436, 4_001]
    videos = [{row.video_id for row in rows} for rows in found.values()]
    assert [len(ids) for ids in videos] == [75, 27, 25]
    assert len(set.union(*videos)) == 75 + 27 + 25
    assert [sum(row.end > row.duration for row in rows) for rows in found.values()] == [43, 0, 5]
    rows = [row for part in found.values() for row in part]
    table = queries.build(rows, {}, "clamp")
    assert table["split"].value_counts().to_dict() == {"train": 9_790, "val": 4_436, "test": 4_001}
    assert table["query_id"].is_unique
    windows, problems = moments.build(rows, {}, "clamp")
    assert len(windows) == len(table)
    assert {problem.action for problem in problems} == {"clamped"}
    seconds = table.groupby("split").apply(lambda part: part.drop_duplicates("video_id")["duration"].mean())
    assert seconds.round().to_dict() == {"train": 224, "val": 387, "test": 367}
    share = (windows["end"] - windows["start"]) / windows["query_id"].map(table.set_index("query_id")["duration"])
    by_split = share.groupby(windows["query_id"].map(table.set_index("query_id")["split"])).mean()
    assert (100 * by_split).round().to_dict() == {"train": 10, "val": 8, "test": 9}
