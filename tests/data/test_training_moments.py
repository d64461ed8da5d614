"""Stage `training_moments`: moments of the training splits alone, and the digest by which it reruns."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data import queries, rows, training_moments
from vidistill.data.annotations.annotation import Annotation

HEADER = "video,sentence,split,start,end\n"
TABLE = (
    "a,the ball moves,train,1,2\na,the ball stops,train,,\nb,the ball moves,val,2,3\nc,the ball moves,test,3,4\n"
    "c,a dog runs,train,5,4\n"  # which no query comes of
)


@pytest.fixture
def made(tmp_path: Path):
    """Both stages on a table of annotations: the moments by query id, and the queries."""

    def make(text: str, splits: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        (tmp_path / "own.csv").write_text(HEADER + text)
        s: dict[str, Any] = {"dataset": "own", "format": "table", "annotations": {"train": [str(tmp_path / "own.csv")]}}
        s |= {"durations": [], "beyond_duration": "clamp"}
        files = ["--queries", str(tmp_path / "q.parquet")]
        queries.main(["--settings", json.dumps(s), *files])
        wanted = ["--settings", json.dumps({**s, "train_splits": splits})]
        training_moments.main([*wanted, *files, "--output", str(tmp_path / "t.parquet")])
        return store.read_table(tmp_path / "t.parquet"), store.read_table(tmp_path / "q.parquet")

    return make


@pytest.mark.parametrize(("splits", "starts"), [(["train"], [1.0]), (["train", "val"], [1.0, 2.0])])
def test_no_query_of_another_split_is_in_the_table(made, splits: list[str], starts: list[float]) -> None:
    found, asked = made(TABLE, splits)
    assert sorted(found["start"]) == starts
    assert list(found.columns) == ["query_id", "start", "end"]
    of = asked.set_index("query_id").loc[found["query_id"], "split"]
    assert set(of) == set(splits)
    assert len(asked) == 4


def test_without_a_training_moment_the_user_is_told(made) -> None:
    with pytest.raises(UserError, match=r"no usable moment in its training splits \(train\).*supervision: pseudo"):
        made("a,the ball moves,train,,\nc,the ball moves,test,3,4\n", ["train"])


def test_of_several_windows_the_earliest_counts() -> None:
    table = pd.DataFrame(
        [("q", 5.0, 6.0), ("q", 1.0, 9.0), ("q", 1.0, 2.0), ("p", 3.0, 4.0)], columns=["query_id", "start", "end"]
    )
    asked = pd.DataFrame({"query_id": ["q", "p"], "split": ["train", "test"]})
    found = training_moments.select(table, asked, ("train",))
    assert found.to_numpy().tolist() == [["q", 1.0, 2.0]]


def test_the_digest_follows_the_moments_of_its_splits_alone() -> None:
    def digest(*given: tuple[str, float | None]) -> str | None:
        made = [
            Annotation(f"v{n}", "a ball", split, start, start and start + 1, 9.0, "a.csv", n)
            for n, (split, start) in enumerate(given)
        ]
        return rows.moments_digest(made, "clamp", ("train",))

    first = digest(("train", 1.0), ("test", 1.0))
    assert first == digest(("train", 1.0), ("test", 2.0)) == digest(("train", 1.0), ("test", None))
    assert first != digest(("train", 1.5), ("test", 1.0))
    assert first != digest(("train", 1.0), ("train", 1.0))
    assert digest(("train", None), ("test", 1.0)) is None
