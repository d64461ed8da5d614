"""What training sees of labels."""

import json
from pathlib import Path

import pandas as pd
import pytest

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data import labels, queries, rows, training_labels
from vidistill.data.annotations import sources
from vidistill.data.queries import QUERIES
from vidistill.settings.queries import QueriesSettings

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


TABLE = """video,label,start,end,split,duration
a,jump,1,2,train,9
a,dive,2,3,train,9
b,swim,1,2,test,8
b,jump,3,4,test,8
c,fall,1,2,val,
d,,,,train,5
"""


def seen(folder: Path, text: str, **changes: object) -> pd.DataFrame:
    """What the stage writes of a table of labels."""
    (folder / "labels.csv").write_text(text)
    settings = {"dataset": "own", "task": "localization", "annotations": {"train": [str(folder / "labels.csv")]}}
    settings |= {"train_splits": ["train"], **changes}
    training_labels.main(["--settings", json.dumps(settings), "--output", str(folder / "seen.parquet")])
    return store.read_table(folder / "seen.parquet")


def test_models_of_actions_see_all_videos_and_labels_of_training_alone(tmp_path: Path) -> None:
    found = seen(tmp_path, TABLE)
    rows = found[["video_id", "split", "label"]].fillna("").itertuples(index=False, name=None)
    assert sorted(rows) == [
        *[("a", "train", "dive"), ("a", "train", "jump")],
        *[("b", "test", ""), ("c", "val", ""), ("d", "train", "")],
    ]
    assert found.set_index("video_id")["duration"].dropna().to_dict() == {"a": 9.0, "b": 8.0, "d": 5.0}
    whole = queries.build(sources.read(settings_of(tmp_path)), {}, "keep")
    assert set(found.dropna(subset="label")["query_id"]) < set(whole["query_id"])
    prefixed = seen(tmp_path, TABLE, id_prefix="v_")
    assert set(prefixed["video_id"]) == {"v_a", "v_b", "v_c", "v_d"}


def settings_of(folder: Path) -> QueriesSettings:
    return QueriesSettings(
        dataset="own", task="localization", format="table", annotations={"train": (str(folder / "labels.csv"),)}
    )


def test_only_what_models_of_actions_see_is_in_their_digest(tmp_path: Path) -> None:
    def digest(old: str = "", new: str = "") -> str:
        (tmp_path / "labels.csv").write_text(TABLE.replace(old, new))
        return rows.labels_digest(sources.read(settings_of(tmp_path)), ["train"])

    before = digest()
    for old, new in (("b,swim", "b,run"), ("b,jump,3,4,test,8\n", ""), ("jump,1,2", "jump,1,5"), ("c,fall", "c,rise")):
        assert digest(old, new) == before, old
    for old, new in (("a,dive", "a,run"), ("a,dive,2,3,train,9\n", ""), ("c,fall", "e,fall"), ("test,8", "test,7")):
        assert digest(old, new) != before, old


def test_training_splits_without_a_label_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"datasets\.own has no label in its training splits \(train\)"):
        seen(tmp_path, TABLE.replace(",train,", ",val,"))
