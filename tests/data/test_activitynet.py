"""The reader of ActivityNet Captions."""

import json
from pathlib import Path

import pytest

from conftest import data
from data_sets import check_damaged_copies
from vidistill.base.stage import UserError
from vidistill.data.annotations import activitynet

ENTRY = {"duration": 82.73, "timestamps": [[0.83, 19.86], [17, 90.0]], "sentences": ["A woman. ", " She dances."]}


def write(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    return str(path)


def test_an_entry_becomes_annotations(tmp_path: Path) -> None:
    path = write(tmp_path / "train.json", "\ufeff" + json.dumps({"v_a": ENTRY}))
    first, second = activitynet.read(path, "train")
    assert (first.video_id, first.sentence, first.start, first.end, first.duration) == (
        "v_a",
        "A woman.",
        0.83,
        19.86,
        82.73,
    )
    assert (second.sentence, second.start, second.end, second.file, second.line) == (
        "She dances.",
        17.0,
        90.0,
        path,
        None,
    )


def test_a_video_that_stands_there_twice_keeps_both_entries(tmp_path: Path) -> None:
    entry = json.dumps(ENTRY)
    path = write(tmp_path / "train.json", f'{{"v_a": {entry}, "v_b": {entry}, "v_a": {entry}}}')
    assert [a.video_id for a in activitynet.read(path, "train")] == ["v_a", "v_a", "v_b", "v_b", "v_a", "v_a"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"v_a": {\n"duration": 1,\n', ", line 3: this is not JSON"),
        ("[]", " is not one JSON object"),
        ('{"v_a": []}', ", video v_a: the entry is not an object"),
        ('{"v_a": {"duration": 1, "sentences": []}}', ", video v_a: the key 'timestamps' is missing"),
        (
            '{"v_a": {"duration": 1, "sentences": ["x"], "timestamps": []}}',
            ", video v_a: timestamps and",
        ),
        ('{"v_a": {"duration": 1, "sentences": "x", "timestamps": [[0, 1]]}}', ", video v_a: timestamps and sentences"),
        (
            '{"v_a": {"duration": 1, "sentences": ["x"], "timestamps": [[0, 1, 2]]}}',
            ", video v_a, sentence 1: the timestamp",
        ),
        (
            '{"v_a": {"duration": 1, "sentences": ["x"], "timestamps": [[0, "b"]]}}',
            ", video v_a, sentence 1: the end is 'b'",
        ),
        ('{"v_a": {"duration": 1, "sentences": ["x"], "timestamps": [[null, 1]]}}', ", sentence 1: the start is None"),
        ('{"v_a": {"duration": 1, "sentences": ["x"], "timestamps": [[-1, 1]]}}', ", sentence 1: the start is -1"),
        (
            '{"v_a": {"duration": 1, "sentences": [3], "timestamps": [[0, 1]]}}',
            ", video v_a, sentence 1: the sentence is not",
        ),
        ('{"v_a": {"duration": true, "sentences": [], "timestamps": []}}', ", video v_a: the duration is True"),
        ('{"v_a": {"duration": ' + "9" * 5000 + "}}", ": this JSON cannot be read"),
        ("[" * 100_000, ": this JSON cannot be read"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = write(tmp_path / "train.json", content)
    with pytest.raises(UserError) as error:
        activitynet.read(path, "train")
    assert said in str(error.value)
    assert path in str(error.value)


def test_malformed_files_never_crash(tmp_path: Path) -> None:
    sound = json.dumps({"v_a": ENTRY, "v_b": ENTRY})
    check_damaged_copies(lambda path: activitynet.read(path, "train"), tmp_path / "a.json", sound)


def test_the_real_files() -> None:
    rows = {
        name: activitynet.read(str(data("activitynet-captions", f"{name}.json")), "x")
        for name in ("train", "val_1", "val_2")
    }
    assert {name: len(found) for name, found in rows.items()} == {"train": 37_421, "val_1": 17_505, "val_2": 17_031}
    assert sum(a.start >= a.end for a in rows["train"]) == 4
    assert sum(a.end > a.duration for a in rows["val_2"]) == 111
    assert len({a.video_id for a in rows["train"]}) == 10_009
