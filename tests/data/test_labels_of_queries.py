"""What training sees of labels."""

from pathlib import Path

import pandas as pd
import pytest

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data import labels
from vidistill.data.queries import QUERIES

ROWS = [
    ("a#2#0", "a", "train", 9.0, None, "jump"),
    ("a#1#0", "a", "train", 9.0, None, "Dive"),
    ("b#1#0", "b", "test", None, None, "swim"),
    ("b#2#0", "b", "test", None, None, "jump"),
    ("c#1#0", "c", "val", 5.0, None, "fall"),
    ("d#0#0", "d", "train", 4.0, None, None),
]


def write(folder: Path, rows: list[tuple[object, ...]] = ROWS) -> Path:
    store.write_table(folder / "q.parquet", pd.DataFrame(rows, columns=QUERIES.names), QUERIES, ["query_id"])
    return folder / "q.parquet"


def test_labels_of_training_make_the_classes(tmp_path: Path) -> None:
    found = labels.read(write(tmp_path), ["train"], ["test"])
    assert found.to_dict("list") == {
        "query_id": ["a#1#0", "a#2#0"],
        "video_id": ["a", "a"],
        "split": ["train", "train"],
        "label": ["Dive", "jump"],
    }
    assert labels.classes(found) == ("Dive", "jump")
    assert labels.classes(labels.read(write(tmp_path), ["train", "val"], ["test"])) == ("Dive", "fall", "jump")


def test_labels_of_test_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="labels of the split test are refused"):
        labels.read(write(tmp_path), ["train", "test"], ["test"])
    with pytest.raises(UserError, match="no video of the splits val has a label"):
        labels.read(write(tmp_path, ROWS[:3]), ["val"], ["test"])


def test_other_test_labels_change_nothing_that_training_and_prediction_see(tmp_path: Path) -> None:
    other = [("b#9#0", "b", "test", None, None, "walk")]
    (tmp_path / "other").mkdir()
    one, two = write(tmp_path), write(tmp_path / "other", [*ROWS[:2], *other, *ROWS[4:]])
    pd.testing.assert_frame_equal(labels.read(one, ["train"], ["test"]), labels.read(two, ["train"], ["test"]))
    pd.testing.assert_frame_equal(labels.videos(one), labels.videos(two))
    assert set(labels.videos(one)["video_id"]) == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("CricketBowling", "cricket bowling"),
        ("CleanAndJerk", "clean and jerk"),
        ("Drinking beer", "drinking beer"),
        ("cut_tomato", "cut tomato"),
        ("TVRepair", "tv repair"),
        ("c098", "c098"),
        ("slides left", "slides left"),
        ("Ü_Öffnen", "ü öffnen"),
    ],
)
def test_a_label_is_a_sentence(label: str, words: str) -> None:
    assert labels.as_sentence(label) == words


def test_queries_have_sentences_of_their_own_or_of_their_labels() -> None:
    columns = {"query_id": ["a", "b", "c"], "sentence": ["A man jumps.", None, None], "label": [None, "HighJump", None]}
    found = labels.with_sentences(pd.DataFrame(columns))
    assert found[["query_id", "sentence"]].to_numpy().tolist() == [["a", "A man jumps."], ["b", "high jump"]]
    alone = pd.DataFrame({"query_id": ["a"], "sentence": ["x"], "label": pd.Series([None], dtype=object)})
    assert labels.with_sentences(alone)["sentence"].tolist() == ["x"]
