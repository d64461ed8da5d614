"""Numbers of retrieval beside naive ones, and in a result."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaluated
from evaluated import Runs
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.evaluation import retrieval
from vidistill.settings.evaluate import Reporting
from vidistill.training.retrieval import RETRIEVAL

VIDEOS = 12


def rows(seed: int, *, bar: bool = True) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    count = 30
    owners = np.sort(np.random.default_rng(9).integers(VIDEOS, size=count))
    refused = random.integers(VIDEOS, size=count)
    return pd.DataFrame(
        {
            "query_id": [f"q{n:02d}" for n in range(count)],
            "video_id": [f"v{v}" for v in owners],
            "split": "test",
            "videos": VIDEOS,
            "rank": random.integers(1, VIDEOS + 1, size=count),
            "fit": random.normal(size=count),
            "refused": random.uniform(size=count) < 0.3 if bar else None,
            "others": VIDEOS - 1,
            "others_refused": refused if bar else 0,
        }
    )


def write(path: Path, table: pd.DataFrame) -> Path:
    store.write_table(path, table, RETRIEVAL, ["query_id"])
    return path


def test_numbers_are_those_of_a_naive_count(tmp_path: Path) -> None:
    tables = {seed: rows(seed) for seed in (0, 1)}
    files = {seed: write(tmp_path / f"{seed}.parquet", table) for seed, table in tables.items()}
    found = retrieval.of_model(Reporting(bootstrap_samples=400), files)
    assert found is not None
    assert (found["queries"], found["videos"]) == (30, VIDEOS)
    for k in (1, 5):
        seeds = [100 * float((table["rank"] <= k).mean()) for table in tables.values()]
        assert found[f"recall@{k}"]["mean"] == pytest.approx(np.mean(seeds), abs=1e-3)
        assert found["chance"][f"recall@{k}"] == pytest.approx(100 * k / VIDEOS, abs=1e-3)
    assert found["median_rank"]["mean"] == np.mean([table["rank"].median() for table in tables.values()])
    assert found["chance"]["median_rank"] == 6.5
    own = np.mean([100 * table["refused"].mean() for table in tables.values()])
    others = np.mean([100 * table["others_refused"].sum() / table["others"].sum() for table in tables.values()])
    assert found["refused"]["own"]["mean"] == pytest.approx(own, abs=1e-3)
    assert found["refused"]["others"]["mean"] == pytest.approx(others, abs=1e-3)
    for number in (found["recall@5"], found["median_rank"], *found["refused"].values()):
        assert number["interval"][0] < number["mean"] < number["interval"][1]


def test_medians_of_resamples_are_those_of_repeated_queries() -> None:
    random = np.random.default_rng(0)
    ranks, times = random.integers(1, 50, (3, 41)).astype(float), random.integers(0, 4, (25, 41))
    expected = [np.mean([np.median(np.repeat(row, draw)) for row in ranks]) for draw in times]
    np.testing.assert_allclose(retrieval._medians(ranks, times), expected)


def test_what_there_is_not_is_none(tmp_path: Path) -> None:
    files = {0: write(tmp_path / "a.parquet", rows(0, bar=False))}
    found = retrieval.of_model(Reporting(), files)
    assert found is not None
    assert "refused" not in found
    assert retrieval.of_model(Reporting(), {0: write(tmp_path / "b.parquet", rows(0)[:0])}) is None
    with pytest.raises(UserError, match="other queries"):
        retrieval.of_model(Reporting(), {**files, 1: write(tmp_path / "c.parquet", rows(1)[1:])})


def test_a_result_has_the_numbers_of_the_models_whose_tables_are_given(
    tmp_path: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(tmp_path)
    assert evaluated.evaluate(runs, config["evaluate"])["retrieval"] == {}
    given = [f"student:{seed}={write(tmp_path / f'{seed}.parquet', rows(seed))}" for seed in runs.seeds]
    options = runs.write()
    monkeypatch.setattr(runs, "write", lambda: options | {"--retrievals": given})
    result = evaluated.evaluate(runs, config["evaluate"])
    assert set(result["retrieval"]) == {"student"}
    assert result["retrieval"]["student"]["recall@1"]["per_seed"].keys() == {"0", "1"}
