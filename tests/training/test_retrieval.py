"""Where the right video ranks, and which others are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vidistill.training import retrieval, samples
from vidistill.training.samples import Samples


def queries(sentences: list[str], videos: list[int]) -> Samples:
    found = samples.of_sentences([torch.zeros(1, 4, 2)], sentences)
    return replace(
        found,
        query_ids=[f"q{n}" for n in range(len(sentences))],
        video_ids=[f"v{v}" for v in videos],
        splits=["test"] * len(sentences),
        video_index=torch.tensor(videos),
    )


def test_ranks_and_refusals_by_hand() -> None:
    asked = queries(["a", "b", "c", "a"], [2, 5, 7, 5])
    fits = np.array([[3.0, 4.0, 1.0], [2.0, 2.0, 2.0], [0.0, 0.5, 9.0], [1.0, 0.0, -1.0]])
    found = retrieval.table(fits, np.array([2, 5, 7]), asked, asked, bar=2.0)
    assert found["rank"].tolist() == [2, 2, 1, 2]  # the second: three equally good ones
    assert found["fit"].tolist() == [3.0, 2.0, 9.0, 0.0]
    assert found["refused"].tolist() == [False, False, False, True]
    assert found["others"].tolist() == [1, 2, 2, 1]  # "a" is annotated for two of the three videos
    assert found["others_refused"].tolist() == [1, 0, 2, 1]
    assert set(found["videos"]) == {3}
    without = retrieval.table(fits, np.array([2, 5, 7]), asked, asked, bar=None)
    assert without["refused"].isna().all()
    assert without["rank"].tolist() == found["rank"].tolist()


def test_some_queries_follow_from_their_ids() -> None:
    asked = queries(list("abcdefgh"), list(range(8)))
    some = retrieval.some(asked, 3)
    assert len(some) == 3
    backwards = queries(list("hgfedcba"), list(reversed(range(8))))
    backwards = replace(backwards, query_ids=[f"q{n}" for n in reversed(range(8))])
    assert sorted(retrieval.some(backwards, 3).query_ids) == sorted(some.query_ids)
    assert len(retrieval.some(asked, 0)) == 1
    assert retrieval.some(asked, 100).query_ids == asked.query_ids


@pytest.mark.parametrize("split", ["test", "none"])
def test_a_split_may_have_no_queries(split: str) -> None:
    assert len(retrieval.of_split(queries(["a"], [0]), split)) == (split == "test")
