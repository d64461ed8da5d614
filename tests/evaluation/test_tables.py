"""The tables beside the paper's, made from results that the evaluation wrote."""

import csv
import json
import re
from pathlib import Path

import pandas as pd
import pytest

import evaluated
from evaluated import Runs
from vidistill.base.stage import UserError
from vidistill.evaluation import cost, tables
from vidistill.evaluation.published import FILE, published, sources

MODELS = {"baseline": [], "student": ["baseline"]}
TABLES = {"Table 1": ["baseline", "student"], "Table 9": ["student"]}


@pytest.fixture
def written(tmp_path, config):
    """Run the stage over the results of two models, of which the student is the better one."""

    def command(
        dataset: str, wanted: dict[str, list[str]] = TABLES, moments: int | None = None
    ) -> tuple[pd.DataFrame, str]:
        runs = Runs(tmp_path)
        for seed in runs.seeds:
            runs.tables["student", seed] = runs.predict(seed, 0.5)
        truth = runs.moments
        paths = []
        for model, others in MODELS.items():
            runs.supervision = {"baseline": ("full", 1234)}
            runs.moments = truth if model == "student" else truth.iloc[:moments]
            about = {"model": model, "compare_with": others, "dataset": dataset}
            result = evaluated.evaluate(runs.only(model, *others), config["evaluate"], **about)
            paths.append(tmp_path / f"{model}.json")
            paths[-1].write_text(json.dumps(result))
        settings = {"dataset": dataset, "tables": wanted}
        outputs = ["--csv", str(tmp_path / "t.csv"), "--markdown", str(tmp_path / "t.md")]
        outputs += ["--efficiency", str(tmp_path / "efficiency.json")]
        arguments = ["--settings", json.dumps(settings), "--results", *map(str, paths), *outputs]
        tables.main([*arguments])
        return pd.read_csv(tmp_path / "t.csv"), (tmp_path / "t.md").read_text()

    return command


def cell(rows: pd.DataFrame, **wanted: str) -> pd.Series:
    """The one row of the CSV file with these entries, a model's own unless `minus` names another."""
    found = rows[(rows[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    found = found if "minus" in wanted else found[found["minus"].isna()]
    assert len(found) == 1
    return found.iloc[0]


def test_numbers_are_those_of_the_results(written, tmp_path: Path):
    table, text = written("charades-cpl")
    result = json.loads((tmp_path / "student.json").read_text())
    ours = cell(table, table="Table 1", row="student", metric="R@0.5")
    metric = result["metrics"]["R@0.5"]
    assert (ours["value"], ours["std"], ours["seeds"]) == (metric["mean"], metric["std"], 2)
    assert [ours["low"], ours["high"]] == metric["interval"]
    assert ours["queries"] == result["queries"] == evaluated.TEST
    assert (ours["published"], ours["published_on"]) == (53.29, "charades-cpl")
    assert f"{metric['mean']:.0f} ± {metric['std']:.0f} [53.29]" in text
    constant = cell(table, table="Table 9", row="constant interval", metric="R@0.3")
    assert constant["value"] == result["video_free"]["constant"]["R@0.3"]


def test_differences_say_whether_they_are_resolved(written, tmp_path: Path):
    table, text = written("charades-cpl")
    compared = json.loads((tmp_path / "student.json").read_text())["comparisons"]["baseline"]["metrics"]["mIoU"]
    paired = cell(table, table="Table 1", row="student", minus="baseline", metric="mIoU")
    assert paired["value"] == compared["difference"]
    assert paired["resolved"] == compared["resolved"]
    assert compared["resolved"]
    assert "student minus baseline" in text
    alone = table[table["table"] == "Table 9"]
    assert set(alone["minus"].dropna()) == {"best without video"}  # the baseline is not in that table
    equal = cell(table, table="Table 1", row="baseline", minus="best without video", metric="mIoU")
    assert (", within noise" in text) == (not table["resolved"].dropna().astype(bool).all())
    assert equal["low"] < equal["value"] < equal["high"]


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("charades-cpl", "published numbers. Main Results, by its loss rule (https://github.com/minghangz/cpl"),
        ("charades", "best on the test split; for charades-cpl, which has other queries."),
        ("demo", None),
    ],
)
def test_published_numbers_are_named_by_their_queries(written, dataset: str, said: str | None):
    table, text = written(dataset)
    assert (said in text) if said else ("published" not in text and table["published"].isna().all())
    assert ("CPL" in set(table["row"])) == bool(said)


def test_a_model_that_cannot_be_scored_is_said(written):
    table, text = written("charades-cpl", moments=0)
    assert set(table["row"]) == {"CPL", "constant interval", "whole video", "student"}
    assert "baseline cannot be scored:" in text
    table, text = written("charades-cpl", {"all": ["baseline"]}, moments=0)
    assert table.empty
    assert "##" not in text


def test_a_model_without_a_result_is_named(written):
    with pytest.raises(UserError, match="results of teacher"):
        written("demo", {"Table 1": ["teacher"]})


def test_each_model_stands_with_its_supervision_and_cost(written):
    table, text = written("demo")
    rows = table[table["minus"].isna() & table["seeds"].notna()]
    assert set(rows["row"]) == {"baseline", "student"}
    costs = {row["row"]: [row[name] for name in cost.COLUMNS] for _, row in rows.iterrows()}
    assert costs == {
        "baseline": ["full", 1234, 1000, 999, 20.0],
        "student": ["weak", 0, 673650, 49_300_000, 3.21],
    }
    assert table.loc[table["seeds"].isna(), list(cost.COLUMNS)].isna().all(axis=None)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert lines[0][-5:] == list(cost.HEADER)
    by_label = {line[0]: line[-5:] for line in lines[:6]}
    assert by_label["student"] == ["weak", "0", "673,650", "49.3 M", "3.21"]
    assert by_label["baseline"] == ["full", "1,234", "1,000", "999", "20"]
    assert by_label["whole video"] == [""] * 5
    assert "9 queries on a processor, 1 thread." in text


def test_models_that_were_not_measured_together_are_named(written, tmp_path: Path):
    written("demo")
    measured = json.loads((tmp_path / "efficiency.json").read_text())
    del measured["models"]["student"]
    (tmp_path / "efficiency.json").write_text(json.dumps(measured))
    with pytest.raises(UserError, match=r"efficiency\.json has no measurement of student"):
        cost.read(tmp_path / "efficiency.json", ["baseline", "student"])


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (49_300_000, "49.3 M"),
        (999_400_000, "999 M"),
        (999_900_000, "1 G"),
        (52_040_000_000, "52 G"),
    ],
)
def test_large_counts_have_three_digits(count: int, text: str):
    assert (
        cost.texts(
            {"supervision": "weak", "training_moments": 0, "parameters": 1, "multiply_adds": count, "latency_ms": 1.0}
        )[3]
        == text
    )


def test_every_paper_is_named_for_the_models_that_are_shown():
    assert "2D-TAN" not in sources("charades", ["seqpan", "student"])
    assert "VMRFrame" in sources("charades", ["seqpan"])  # on all of Charades-STA
    assert "which has other queries" not in sources("charades", ["seqpan"])
    assert sources("charades-cpl", ["seqpan", "emtm"]).endswith("; for charades, which has other queries")
    assert sources("demo", ["seqpan"]) == sources("tacos", ["seqpan", "student"]) == ""
    assert published("activitynet")["seqpan"].metrics["mIoU"] == 45.11
    assert published("charades")["map2d"].metrics == {"R@0.5": 40.94, "R@0.7": 22.85}
    assert published("charades")["student"].dataset == published("charades-cpl")["student"].dataset == "charades-cpl"
    assert not any("emtm" in published(dataset) for dataset in ("charades", "charades-cpl", "activitynet", "tacos"))


def test_every_published_number_names_where_it_can_be_read(config):
    with open(FILE, newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["source"].startswith(("https://", "http://")), row
        assert all(row[name] for name in ("method", "features", "place")), row
        assert row["dataset"] in config["datasets"], row
        assert row["model"] in ("", *config["models"]), row
        assert row["supervision"] in ("weak", "full", "none"), row
        assert row["protocol"] in ("", "W-TALC", "not stated"), row
        assert re.fullmatch(r"R@0\.[1357]|mIoU|mAP(@0\.\d+)?", row["metric"]), row
        assert 0 < float(row["value"]) < 100, row
    keys = [(row["dataset"], row["method"], row["metric"]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_what_is_published_has_a_table_with_features_and_sources(written):
    _, text = written("charades-cpl")
    lines = [line for line in text.partition("## Published")[2].splitlines() if line.startswith("|")]
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines}
    assert cells["PPS"][:5] == ["weak", "RGB I3D of LGI", "69.06", "51.49", "26.16"]
    assert "github.com/sunoh-kim/pps" in cells["PPS"][-1]
    assert "## Published" not in written("demo")[1]
