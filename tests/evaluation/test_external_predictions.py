"""Predictions that were made elsewhere: which rows fit, and the numbers, which are those of a trained model's own."""

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import evaluated
import localised
from evaluated import EPOCHS, Runs
from localised import LocalisedRuns
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.evaluation import evaluate, external_predictions, localisation
from vidistill.training.detections import ALL, write_json

SETTINGS = {
    **{"dataset": "toy", "model": "mine", "task": "grounding", "split": "test", "id_prefix": "", "list_at_most": 50},
    **{"train_splits": ["train"], "supervision": None},
}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def lines_of(runs: Runs, table: pd.DataFrame) -> list[dict[str, Any]]:
    """The last epoch of a model's predictions, as any program would write them: with ids of its own."""
    last = table[table["epoch"] == EPOCHS].sort_values("score", ascending=False)
    rows = runs.queries.set_index("query_id")
    return [
        {
            "qid": number,
            "query": f" {rows.loc[query_id, 'sentence']} ".upper(),
            "vid": f"{rows.loc[query_id, 'video_id']}.mp4",
            "pred_relevant_windows": part[["start", "end", "score"]].astype(np.float32).to_numpy(float).tolist(),
        }
        for number, (query_id, part) in enumerate(last.groupby("query_id"))
    ]


def write(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def imported(runs: Runs, source: Path, seed: int = 0, **changes: Any) -> tuple[Path, list[dict[str, str]]]:
    """Run the stage; the table, and the rows of its list of flaws."""
    options = runs.write()
    table, flaws = runs.root / f"mine-{seed}.parquet", runs.root / f"mine-{seed}.csv"
    arguments = ["--queries", options["--queries"][0], "--source", str(source), "--predictions", str(table)]
    external_predictions.main(["--settings", json.dumps(SETTINGS | changes), *arguments, "--flaws", str(flaws)])
    with open(flaws, newline="") as file:
        return table, list(csv.DictReader(file))


def evaluated_with(
    stage: Any, output: str, runs: Runs, tables: dict[int, Path], section: dict[str, Any], **changes: Any
) -> dict[str, Any]:
    """The result of the imported predictions, compared with a model that is trained here."""
    options = runs.write()
    options["--predictions"] += [f"mine:{seed}={path}" for seed, path in tables.items()]
    settings = {**section, "max_bad_share": 0.2, "dataset": "toy", "model": "mine", "seeds": list(tables), **changes}
    options[output] = [str(runs.root / "mine.json")]
    if stage is evaluate:
        options["--predictions-out"] = [str(runs.root / "mine.jsonl")]
    stage.main(["--settings", json.dumps(settings), *(a for name, values in options.items() for a in (name, *values))])
    found: dict[str, Any] = json.loads((runs.root / "mine.json").read_text())
    return found


@pytest.fixture
def result_of(config: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    section = config["evaluate"] | {"bootstrap_samples": 500, "compare_with": ["baseline"]}
    return partial(evaluated_with, evaluate, "--result", section=section)


def test_the_numbers_are_those_of_the_same_predictions_of_a_trained_model(runs: Runs, config, result_of):
    expected = evaluated.evaluate(runs, config["evaluate"])
    tables = {}
    for seed in runs.seeds:
        source = write(runs.root / f"{seed}.jsonl", lines_of(runs, runs.tables["student", seed]))
        tables[seed], flaws = imported(runs, source, seed)
        assert flaws == []
    found = result_of(runs, tables)
    assert found["metrics"] == expected["metrics"]
    for part in ("video_free", "constant_intervals", "queries"):
        assert found[part] == expected[part]
    for other in ("video_free", "baseline"):
        assert found["comparisons"][other] == expected["comparisons"][other]
    assert found["coverage"]["splits"] == expected["coverage"]["splits"]
    assert found["unanswered"] is None
    assert found["selection"] is None  # there are no epochs to choose from
    about = found["models"]["mine"]["predictions"]
    assert (about["rows"], about["used"], about["left_out"]) == (evaluated.TEST, evaluated.TEST, 0)
    assert (runs.root / "mine.jsonl").read_text() == (runs.root / "lines.jsonl").read_text()


def test_one_file_is_compared_with_all_seeds_of_a_model(runs: Runs, result_of):
    source = write(runs.root / "one.jsonl", lines_of(runs, runs.tables["student", 0]))
    found = result_of(runs, {0: imported(runs, source)[0]})
    theirs = [runs.tables["baseline", seed] for seed in runs.seeds]
    assert found["seeds"] == [0]
    assert found["comparisons"]["baseline"]["alone"]["mIoU"]["per_seed"].keys() == {"0", "1"}
    assert len(theirs) == 2


def test_each_row_that_does_not_fit_is_listed_and_the_others_count(runs: Runs, result_of):
    lines = lines_of(runs, runs.tables["student", 0])
    wrong: list[Any] = [
        "not JSON",
        lines[0],  # its query has a row
        lines[1] | {"vid": "nowhere"},
        lines[1] | {"query": "a sentence of another data set"},
        lines[1] | {"pred_relevant_windows": []},
        {"qid": 7, "pred_relevant_windows": [[0, 1, 1]]},
    ]
    lines[5]["pred_relevant_windows"][3] = [1.0, float("nan"), 0.1]
    lines[6]["pred_relevant_windows"].reverse()  # the best one last
    source = write(runs.root / "p.jsonl", [*lines[:-2], *wrong])
    table, flaws = imported(runs, source)
    first = len(lines) - 1
    assert [(int(flaw["line"]), flaw["used"]) for flaw in flaws] == [
        *((6, "yes"), (7, "yes")),
        *((line, "no") for line in range(first, first + len(wrong))),
    ]
    assert "not a JSON object" in flaws[2]["problem"]
    assert "has a row above" in flaws[3]["problem"]
    assert "no query on the video 'nowhere'" in flaws[4]["problem"]
    assert "no such query" in flaws[5]["problem"]
    found = result_of(runs, {0: table})
    assert found["queries"] == evaluated.TEST - 2
    assert found["unanswered"]["queries"] == 2
    share = found["queries"] / evaluated.TEST
    assert found["unanswered"]["metrics"]["mIoU"] == pytest.approx(share * found["metrics"]["mIoU"]["mean"], abs=1e-4)
    assert found["coverage"]["splits"]["test"]["queries"]["not_used"] == {"not predicted": 2}
    assert found["models"]["mine"]["predictions"]["left_out"] == len(wrong)


def test_numbers_by_hand(runs: Runs, result_of):
    """Windows at rank 1 and 2 of two queries with one moment each; the others have no moment."""
    runs.moments = pd.DataFrame({"query_id": ["q000", "q001"], "start": [2.0, 10.0], "end": [6.0, 14.0]})
    rows = runs.queries.set_index("query_id")
    windows = {"q000": [[2, 10, 0.9]], "q001": [[0, 4], [10, 14], [11, 15]]}  # IoU 0.5; 0, 1, 0.6
    lines = [
        {"qid": query_id, "query": rows.loc[query_id, "sentence"], "vid": rows.loc[query_id, "video_id"]}
        | {"pred_relevant_windows": own}
        for query_id, own in windows.items()
    ]
    table, _ = imported(runs, write(runs.root / "p.jsonl", lines))
    found = result_of(runs, {0: table}, window_tious=[0.5, 0.75])["metrics"]
    numbers = {name: metric["mean"] for name, metric in found.items()}
    assert numbers == {
        **{"R@0.3": 50.0, "R@0.5": 50.0, "R@0.7": 0.0, "mIoU": 25.0},
        **{"R5@0.3": 100.0, "R5@0.5": 100.0, "R5@0.7": 50.0},
        **{"mAP@0.5": 75.0, "mAP@0.75": 25.0, "mAP": 50.0},  # the second query's moment has rank 2
    }


def test_rows_with_the_same_sentence_are_its_queries_in_their_order(runs: Runs):
    runs.queries.loc[:2, ["video_id", "sentence"]] = ["v000", "the same"]
    runs.queries.loc[:2, "query_id"] = ["v000#a#2", "v000#a#10", "v000#a#9"]
    lines = [{"qid": n, "query": "the same", "vid": "v000", "pred_relevant_windows": [[n, n + 1, 1]]} for n in range(4)]
    table, flaws = imported(runs, write(runs.root / "p.jsonl", lines))
    found = store.read_table(table).set_index("query_id")["start"].to_dict()
    assert found == {"v000#a#2": 0.0, "v000#a#9": 1.0, "v000#a#10": 2.0}
    assert [flaw["line"] for flaw in flaws] == ["4"]


def test_nothing_that_fits_is_an_error(runs: Runs):
    line = {"qid": 1, "query": "x", "vid": "other", "pred_relevant_windows": [[0, 1, 1]]}
    with pytest.raises(UserError, match=r"nothing in .*p.jsonl fits the data set toy \(for example line 1, 1: "):
        imported(runs, write(runs.root / "p.jsonl", [line]))
    with pytest.raises(UserError, match="has no row"):
        imported(runs, write(runs.root / "p.jsonl", []))


def test_detections_give_the_numbers_of_the_model_that_found_them(tmp_path: Path, config):
    runs = LocalisedRuns(tmp_path)
    section = config["localisation"] | {"bootstrap_samples": 200}  # as in `localised`
    expected = localised.localise(runs, section)
    tables = {}
    for seed in runs.seeds:
        table = runs.tables["mmsd", seed]
        last = table[(table["epoch"] == table["epoch"].max()) & (table["stream"] == ALL)]
        source = tmp_path / f"{seed}.json"
        write_json(source, last, last["video_id"].unique(), "a test")
        content = json.loads(source.read_text())
        content["results"]["elsewhere"] = [{"label": "a", "score": 1, "segment": [0, 1]}]
        found_in = content["results"]["v00"]
        found_in += [{"label": "unheard of", "score": 1, "segment": [0, 1]}, {"label": "a", "segment": [0]}]
        source.write_text(json.dumps(content))
        tables[seed], flaws = imported(runs, source, seed, task="localization")
        assert [(flaw["row"], flaw["used"]) for flaw in flaws] == [*[("v00", "no")] * 2, ("elsewhere", "no")]
    options = {"compare_with": ["mmsd-base"]}
    found = evaluated_with(localisation, "--output", runs, tables, section, **options)
    assert found["metrics"] == expected["metrics"]
    assert found["video_free"] == expected["video_free"]
    assert found["comparisons"]["mmsd-base"] == expected["comparisons"]["mmsd-base"]
    assert found["models"]["mine"]["predictions"]["left_out"] == 3
