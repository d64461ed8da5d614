"""The reader of ActivityNet-1.3's form."""

import json
import logging
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from conftest import data
from data_sets import check_damaged_copies
from vidistill.base.stage import UserError
from vidistill.data.annotations import activitynet13
from vidistill.data.annotations.annotation import Annotation

SUBSETS = {"train": "training", "test": "validation"}
ENTRY = {"subset": "training", "duration": 9.5, "annotations": [{"segment": [1, "2.5"], "label": " jump "}]}


def write(path: Path, database: Any, **more: Any) -> str:
    path.write_text(json.dumps({"version": "x", "database": database, **more}))
    return str(path)


def read(path: str, labels: Any = "file", **changes: Any) -> list[Annotation]:
    return activitynet13.read(path, {**SUBSETS, **changes}, labels)


def short(rows: list[Annotation]) -> list[tuple[Any, ...]]:
    return [(a.video_id, a.split, a.label, a.start, a.end) for a in rows]


def test_segments_of_the_wanted_subsets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    other = {**ENTRY, "subset": "validation", "duration": "12", "taxonomy": [], "url": "x"}
    decomposed = unicodedata.normalize("NFD", "é")
    path = write(tmp_path / "a.json", {"a.mp4": ENTRY, decomposed: other, "c": {**ENTRY, "subset": "testing"}})
    found = read(path)
    assert short(found) == [("a", "train", "jump", 1.0, 2.5), ("é", "test", "jump", 1.0, 2.5)]
    assert [(a.duration, a.sentence, a.unlisted, a.line) for a in found] == [
        (9.5, "", False, None),
        (12.0, "", False, None),
    ]
    assert "1 video of the subset testing left out" in caplog.text
    assert short(read(path, test="testing"))[1][0] == "c"


def test_a_list_of_labels_counts_in_training_and_is_united_with_the_segments_elsewhere(tmp_path: Path) -> None:
    listed = {**ENTRY, "labels": ["run", "run", "fall"]}
    path = write(tmp_path / "a.json", {"a": listed, "b": {**listed, "subset": "validation"}})
    found = read(path)
    assert [(a.video_id, a.label, a.start, a.unlisted) for a in found] == [
        ("a", "jump", 1.0, True),
        ("a", "run", None, False),
        ("a", "fall", None, False),
        ("b", "jump", 1.0, False),
        ("b", "run", None, False),
        ("b", "fall", None, False),
    ]
    assert short(read(path, "segments")) == [("a", "train", "jump", 1.0, 2.5), ("b", "test", "jump", 1.0, 2.5)]


@pytest.mark.parametrize(
    ("entry", "labels"),
    [
        ({"annotations": []}, [("", None)]),
        ({"annotations": [], "labels": []}, [("", None)]),
        ({"annotations": [], "labels": ["run"]}, [("run", None)]),
        ({"labels": []}, [("jump", 1.0), ("", None)]),  # the segment is unlisted
        ({"labels": ["jump"]}, [("jump", 1.0)]),
        ({"labels": None}, [("jump", 1.0)]),
    ],
)
def test_a_video_without_labels_has_a_row(tmp_path: Path, entry: dict[str, Any], labels: list[Any]) -> None:
    found = read(write(tmp_path / "a.json", {"a": {**ENTRY, **entry}}))
    assert [(a.label, a.start) for a in found] == labels


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ([], "a.json has no object 'database'"),
        (None, "a.json has no object 'database'"),
        ({"a": []}, "a.json, video a: the entry is not an object"),
        ({"a": {"annotations": []}}, "video a: the subset is None; give a text"),
        ({"a": {"subset": "training"}}, "video a: annotations is not a list"),
        ({"a": {**ENTRY, "duration": "long"}}, "video a: the duration is 'long'"),
        ({"a": {**ENTRY, "labels": "jump"}}, "video a: labels is not a list of texts"),
        ({"a": {**ENTRY, "annotations": [5]}}, "video a, segment 1: it is not an object"),
        ({"a": {**ENTRY, "annotations": [{"segment": [1, 2]}]}}, "segment 1: the label is None"),
        (
            {"a": {**ENTRY, "annotations": [{"segment": [1], "label": "x"}]}},
            "segment 1: the segment is not [start, end]",
        ),
        ({"a": {**ENTRY, "annotations": [{"segment": [-1, 2], "label": "x"}]}}, "segment 1: the start is -1"),
    ],
)
def test_a_malformed_entry_is_named(tmp_path: Path, database: Any, said: str) -> None:
    path = write(tmp_path / "a.json", database)
    with pytest.raises(UserError) as error:
        read(path)
    assert said in str(error.value)
    assert path in str(error.value)


def test_malformed_files_never_crash(tmp_path: Path) -> None:
    sound = json.dumps({"database": {"a": ENTRY, "b": {**ENTRY, "subset": "validation", "labels": ["run"]}}})
    check_damaged_copies(read, tmp_path / "a.json", sound)


def test_the_real_files() -> None:
    thumos = activitynet13.read(str(data("thumos14", "thumos14.json")), {"train": "validation", "test": "test"}, "file")
    segments = [a for a in thumos if a.start is not None]
    assert {split: sum(a.split == split for a in segments) for split in ("train", "test")} == {
        "train": 3_007,
        "test": 3_358,
    }
    assert len({a.video_id for a in segments if a.split == "train"}) == 200
    assert len({a.video_id for a in segments if a.split == "test"}) == 212
    assert sum(a.start >= a.duration for a in segments) == 30
    assert len({a.video_id for a in segments if a.unlisted}) == 7
    captions = activitynet13.read(str(data("activitynet-1.3", "activitynet_bmn.json")), SUBSETS, "file")
    assert [sum(a.split == split for a in captions) for split in ("train", "test")] == [14_859, 7_293]
    assert sum(a.start >= a.end for a in captions) == 12
