"""The stage, run as its command on small tables."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import evaluated
import small
from conftest import parse
from evaluated import EPOCHS, PROBLEMS, TEST, TRAIN, K, Runs
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.evaluation import efficiency, predictions
from vidistill.evaluation import evaluate as stage
from vidistill.evaluation.metrics import iou
from vidistill.mmdist import train


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


@pytest.fixture
def evaluate(config: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """`evaluated.evaluate` with the configuration's settings."""
    return partial(evaluated.evaluate, section=config["evaluate"])


def by_hand(runs: Runs, table: pd.DataFrame, threshold: float, best_of: int = 1) -> float:
    """R@threshold of the last epoch, one query after the other."""
    last = table[table["epoch"] == EPOCHS]
    hits = []
    for query_id, proposals in last.groupby("query_id"):
        best = proposals.sort_values("score", ascending=False).head(best_of)
        moments = runs.moments[runs.moments["query_id"] == query_id][["start", "end"]].to_numpy()
        found = [iou(w, m) for w in best[["start", "end"]].to_numpy(np.float32).astype(float) for m in moments]
        hits.append(max(found) >= threshold)
    return 100 * float(np.mean(hits))


def test_numbers_are_those_of_a_naive_evaluator(runs: Runs, evaluate):
    result = evaluate(runs)
    for name, best_of in (("R", 1), ("R5", 5)):
        for m in (0.3, 0.5, 0.7):
            seeds = [by_hand(runs, runs.tables["student", seed], m, best_of) for seed in runs.seeds]
            found = result["metrics"][f"{name}@{m}"]
            assert found["per_seed"] == pytest.approx({"0": seeds[0], "1": seeds[1]}, abs=1e-4)
            assert found["mean"] == pytest.approx(np.mean(seeds), abs=1e-4)
            assert found["std"] == pytest.approx(np.std(seeds, ddof=1), abs=1e-4)
            assert found["interval"][0] <= found["mean"] <= found["interval"][1]


def test_labels_are_queries_whose_sentences_are_their_words(runs: Runs, evaluate):
    expected = evaluate(runs)
    runs.queries = runs.queries.assign(label=runs.queries["sentence"].str.replace(" ", "_"), sentence=None)
    runs.queries.loc[len(runs.queries)] = ["none#0", "none", "test", 9.0, None, None]  # a video without labels
    found = evaluate(runs)
    assert found["metrics"] == expected["metrics"]
    assert found["queries"] == expected["queries"]
    lines = (runs.root / "lines.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["query"] == "a person does the 0th thing."


def test_any_of_several_moments_counts(runs: Runs, evaluate):
    before = evaluate(runs)["metrics"]["mIoU"]["mean"]
    more = runs.moments.iloc[:TEST:3].assign(start=0.0, end=20.0)
    runs.moments = pd.concat([runs.moments, more], ignore_index=True)
    result = evaluate(runs)
    assert result["metrics"]["mIoU"]["mean"] > before
    assert result["metrics"]["R@0.5"]["per_seed"]["0"] == pytest.approx(by_hand(runs, runs.tables["student", 0], 0.5))


def test_equal_runs_write_equal_bytes(runs: Runs, evaluate):
    files = ("result.json", "lines.jsonl")
    evaluate(runs)
    first = [(runs.root / name).read_bytes() for name in files]
    for table in runs.tables.values():
        table[:] = table.sample(frac=1, random_state=1).to_numpy()  # rows in another order
    evaluate(runs)
    assert [(runs.root / name).read_bytes() for name in files] == first


def test_one_seed_has_no_spread(runs: Runs, evaluate):
    runs.seeds = [1]
    found = evaluate(runs)["metrics"]["R@0.5"]
    assert found["std"] is None
    assert found["per_seed"] == {"1": found["mean"]}


def test_a_result_says_what_its_models_read_and_cost(runs: Runs, evaluate, caplog):
    caplog.set_level("INFO")
    runs.supervision = {"baseline": ("full", TRAIN)}
    result = evaluate(runs)
    read = {name: (about["supervision"], about["training_moments"]) for name, about in result["models"].items()}
    assert read == {"student": ("weak", {"0": 0, "1": 0}), "baseline": ("full", {"0": TRAIN, "1": TRAIN})}
    assert result["efficiency"] == evaluated.EFFICIENCY
    said = "student: supervision weak, 0 training moments read; 673,650 parameters, 49.3 M multiply-adds, 3.21 ms"
    assert said in " ".join(caplog.text.split())
    runs.tables |= {("third", seed): runs.tables["student", seed] for seed in runs.seeds}
    runs.streams["third"] = ["rgb"]
    with pytest.raises(UserError, match="has no measurement of third"):
        evaluate(runs, compare_with=["third"])


def test_better_model_is_resolved_and_equal_one_is_not(runs: Runs, evaluate):
    runs.tables |= {("student", seed): runs.predict(seed, 0.9) for seed in runs.seeds}
    compared = evaluate(runs)["comparisons"]
    for other in ("baseline", "video_free"):
        found = compared[other]["metrics"]["R@0.5"]
        assert found["resolved"]
        assert found["interval"][0] > 0
        assert found["difference"] == pytest.approx(found["ours"] - found["theirs"], abs=1e-3)
    runs.tables |= {("student", seed): runs.tables["baseline", seed] for seed in runs.seeds}
    found = evaluate(runs)["comparisons"]["baseline"]["metrics"]["mIoU"]
    assert (found["difference"], found["interval"], found["resolved"]) == (0.0, [0.0, 0.0], False)


def test_comparison_is_on_common_queries(runs: Runs, evaluate):
    """A teacher whose second stream lacks videos predicts fewer queries; both are compared on these."""
    for seed in runs.seeds:
        table = runs.tables["baseline", seed]
        runs.tables["baseline", seed] = table[table["query_id"] < "q010"]
    compared = evaluate(runs)["comparisons"]["baseline"]
    assert compared["queries"] == 10
    some = {seed: t[t["query_id"] < "q010"] for (model, seed), t in runs.tables.items() if model == "student"}
    expected = np.mean([by_hand(runs, table, 0.3) for table in some.values()])
    assert compared["metrics"]["R@0.3"]["ours"] == pytest.approx(expected, abs=1e-4)


def test_video_free_baselines_use_their_split(runs: Runs, evaluate):
    truth = runs.moments["query_id"] >= f"q{TEST:03d}"
    seconds = runs.queries.set_index("query_id").loc[runs.moments["query_id"], "duration"].to_numpy()
    runs.moments.loc[truth, "start"] = 0.2 * seconds[truth]
    runs.moments.loc[truth, "end"] = 0.6 * seconds[truth]
    result = evaluate(runs)
    assert result["constant_intervals"]["mIoU"] == [0.2, 0.6]
    test = runs.moments[~truth]
    durations = seconds[~truth]
    windows = np.stack([0.2 * durations, 0.6 * durations], axis=1)
    expected = 100 * iou(windows, test[["start", "end"]].to_numpy()).mean()
    assert result["video_free"]["constant"]["mIoU"] == pytest.approx(expected, abs=1e-3)
    expected = 100 * ((test["end"] - test["start"]).to_numpy() / durations >= 0.5).mean()
    assert result["video_free"]["whole_video"]["R@0.5"] == pytest.approx(expected, abs=1e-3)
    best = result["comparisons"]["video_free"]["metrics"]["R@0.5"]
    assert best["theirs"] == max(result["video_free"][name]["R@0.5"] for name in ("constant", "whole_video"))
    assert best["theirs"] == result["video_free"][best["baseline"]]["R@0.5"]


def test_without_training_moments_there_is_no_constant(runs: Runs, evaluate):
    runs.moments = runs.moments.iloc[:TEST]
    result = evaluate(runs)
    assert result["video_free"]["constant"] is None
    assert result["constant_intervals"] is None
    assert result["comparisons"]["video_free"]["metrics"]["mIoU"]["baseline"] == "whole_video"


def test_a_bad_training_video_of_unknown_duration_stops_nothing(runs: Runs, evaluate):
    whole = evaluate(runs)
    runs.queries.loc[TEST + 4 : TEST + 5, "duration"] = np.nan
    for states in runs.states.values():
        states["v022"] = ("bad", "no such file")
    result = evaluate(runs)
    assert result["coverage"]["bad_videos"] == {"v022": "no such file"}
    assert result["video_free"]["constant"] is not None
    assert result["metrics"] == whole["metrics"]


def test_selection_reports_the_last_epoch(runs: Runs, evaluate):
    for seed, best in ((0, 2), (1, 1)):
        skilled, table = runs.predict(seed, 1.0), runs.tables["student", seed]
        runs.tables["student", seed] = table.where(table["epoch"] != best, skilled)
    result = evaluate(runs)
    selection = result["selection"]
    assert (selection["reported"], selection["last"]["epoch"]) == ("last", {"0": EPOCHS, "1": EPOCHS})
    assert selection["oracle"]["epoch"] == {"0": 2, "1": 1}
    assert selection["oracle"]["metrics"]["mIoU"]["mean"] == pytest.approx(100, abs=0.1)
    assert "do not report" in selection["oracle"]["note"]
    assert result["metrics"]["mIoU"]["mean"] < 60
    assert selection["held_out"] is None
    assert selection["by_epoch"]["epoch"] == [1, 2, 3]
    assert selection["by_epoch"]["mIoU"][2] == result["metrics"]["mIoU"]["mean"]


def test_held_out_loss_selects_its_epoch(runs: Runs, evaluate):
    runs.history["held_out_loss"] = [3.0, 1.0, 2.0]
    held_out = evaluate(runs)["selection"]["held_out"]
    assert held_out["epoch"] == {"0": 2, "1": 2}
    table = runs.tables["student", 0].copy()
    table["epoch"] = table["epoch"].map({1: 1, 2: 3, 3: 2})
    assert held_out["metrics"]["R@0.3"]["per_seed"]["0"] == pytest.approx(by_hand(runs, table, 0.3), abs=1e-4)


def test_rules(runs: Runs, evaluate):
    """Reconstruction errors that mirror the scores: the loss rule is the score rule; without errors there is none."""
    for table in runs.tables.values():
        table["reconstruction_error"] = -table["score"]
    result = evaluate(runs)
    score = {name: m["per_seed"] for name, m in result["metrics"].items()}
    assert {name: m["per_seed"] for name, m in result["rules"]["loss"].items()} == score
    assert {name: m["per_seed"] for name, m in result["rules"]["vote"].items()} != score
    for table in runs.tables.values():
        table["reconstruction_error"] = np.nan
    rules = evaluate(runs)["rules"]
    assert [rule for rule, found in rules.items() if found] == ["oracle"]


def test_the_map_alone_and_the_best_proposal(runs: Runs, evaluate):
    """Scores as a map of the proposal's number and random errors give them."""
    random = np.random.default_rng(0)
    for table in runs.tables.values():
        table["reconstruction_error"] = random.uniform(size=len(table))
        table["score"] = table["proposal_index"] - table["reconstruction_error"]
    by_map = evaluate(runs)["rules"]["map"]
    for table in runs.tables.values():
        table["score"] = table["proposal_index"].astype(float)
    result = evaluate(runs)
    assert {name: m["per_seed"] for name, m in by_map.items()} == {
        name: m["per_seed"] for name, m in result["metrics"].items()
    }
    for name, best in result["rules"]["oracle"].items():
        assert best["mean"] >= result["metrics"][name]["mean"]
    assert result["rules"]["oracle"]["mIoU"]["mean"] > result["metrics"]["mIoU"]["mean"]


def test_coverage_says_why(runs: Runs, evaluate):
    """One test video each is missing, bad and partial, one query is wordless, one has no moment, two were dropped."""
    del runs.states["rgb"]["v000"]
    runs.states["rgb"]["v001"] = ("bad", "no video stream")
    runs.states["rgb"]["v002"] = ("partial", "ends at frame 20")
    runs.states["flow"] = {v: ("bad", "of no concern to a model that reads rgb") for v in runs.states["flow"]}
    runs.wordless = ["q006"]
    runs.moments = runs.moments[runs.moments["query_id"] != "q008"]
    text = "end {} is beyond the duration {}"
    runs.problems = [
        ("a.txt", 1, "test", "v009", "x", text.format(31.5, 30.2), "dropped"),
        ("a.txt", 2, "test", "v099", "y", text.format(9, 8), "dropped"),
        ("b.txt", 3, "train", "v030", "z", text.format(9, 8), "clamped"),
        ("b.txt", 4, "train", "v030", "z", "clip-0003.mkv cannot be read", "kept"),
    ]
    for key, table in runs.tables.items():
        runs.tables[key] = table[~table["query_id"].isin(["q000", "q001", "q002", "q003", "q006"])]
    result = evaluate(runs)
    found = result["coverage"]
    assert found["splits"]["test"]["queries"] == {
        "annotated": TEST + 2,
        "used": TEST - 6,
        "not_used": {
            "dropped in the annotations": 2,
            "no moment": 1,
            "no word of the vocabulary": 1,
            "video bad": 2,
            "video missing": 2,
        },
    }
    assert found["splits"]["train"]["queries"] == {"annotated": TRAIN, "used": TRAIN, "not_used": {}}
    counts = {"annotated": TEST // 2, "used": TEST // 2 - 2, "missing": 1, "bad": 1, "partial": 1}
    assert found["splits"]["test"]["videos"] == counts
    assert found["bad_videos"] == {"v001": "no video stream"}
    assert found["partial_videos"] == {"v002": "ends at frame 20"}
    assert found["missing_videos"] == {"v000": "rgb"}
    assert found["annotation_problems"] == [
        {"file": "a.txt", "action": "dropped", "problem": text.format("N", "N"), "rows": 2},
        {"file": "b.txt", "action": "clamped", "problem": text.format("N", "N"), "rows": 1},
        {"file": "b.txt", "action": "kept", "problem": "clip-0003.mkv cannot be read", "rows": 1},  # a name stays
    ]
    assert result["comparisons"]["baseline"]["queries"] == TEST - 6
    # The sentence without a moment is answered like the others.
    assert len((runs.root / "lines.jsonl").read_text().splitlines()) == TEST - 5


def test_lists_are_capped_and_counts_are_not(runs: Runs, evaluate):
    runs.states["rgb"] |= {f"v{i:03d}": ("bad", "broken") for i in range(20, 25)}
    found = evaluate(runs, list_at_most=2)["coverage"]
    assert found["videos"]["bad"] == 5
    assert list(found["bad_videos"]) == ["v020", "v021"]


def test_features_say_what_they_are(runs: Runs, evaluate):
    found = evaluate(runs)["features"]
    assert found["rgb"]["provenance"] == {"extractor": "i3d", "pretrained": True}
    assert (found["rgb"]["pretrained"], found["flow"]["pretrained"]) == (True, False)
    digest = found["rgb"]["digest"]
    runs.states["rgb"]["v030"] = ("bad", "broken")
    assert evaluate(runs)["features"]["rgb"]["digest"] != digest


def test_json_lines_give_the_same_number(runs: Runs, evaluate):
    """Read back as the field's evaluators do: the first window of each line beside the moment."""
    result = evaluate(runs)
    truth = runs.moments.set_index("query_id")
    hits = []
    for line in (runs.root / "lines.jsonl").read_text().splitlines():
        entry = json.loads(line)
        assert set(entry) == {"qid", "query", "vid", "pred_relevant_windows"}
        windows = np.array(entry["pred_relevant_windows"])
        assert windows.shape == (K, 3)
        assert (np.diff(windows[:, 2]) <= 0).all()
        hits.append(iou(windows[0, :2], truth.loc[entry["qid"]].to_numpy()) >= 0.5)
    assert 100 * np.mean(hits) == pytest.approx(result["metrics"]["R@0.5"]["per_seed"]["0"], abs=1e-4)


def test_terminal_names_what_is_within_noise(runs: Runs, evaluate, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    result = evaluate(runs)
    lines = "\n".join(caplog.messages).splitlines()
    assert max(map(len, [f"12:34:56 {lines[0]}", *lines])) < 80
    text = " ".join(" ".join(lines).split())
    assert f"{TEST} of {TEST} queries on {TEST // 2} of {TEST // 2} videos" in text
    mean, std = (result["metrics"]["R@0.5"][key] for key in ("mean", "std"))
    assert f"{mean:.0f} ± {std:.0f}" in text
    assert not result["comparisons"]["baseline"]["metrics"]["R@0.3"]["resolved"]
    assert "student minus baseline: R@0.3" in text
    assert "(within noise)" in text


@pytest.mark.parametrize("split", ["test", "val"])
def test_without_a_query_to_score_the_result_has_no_numbers_and_all_answers(runs: Runs, evaluate, caplog, split: str):
    caplog.set_level("INFO")
    runs.moments = runs.moments.iloc[TEST:]
    result = evaluate(runs, split=split)
    assert (result["metrics"], result["queries"], result["selection"]) == (None, 0, None)
    assert result["comparisons"] == {}
    assert result["answered"] == {"test": TEST}
    assert result["coverage"]["splits"][split]["queries"]["not_used"] == (
        {"no moment": TEST} if split == "test" else {}
    )
    assert set(result["models"]) == {"student", "baseline"}
    assert len((runs.root / "lines.jsonl").read_text().splitlines()) == TEST
    assert "Nothing can be scored" in caplog.text


def test_one_query_is_counted_and_has_no_decimals(runs: Runs, evaluate, caplog):
    caplog.set_level("INFO")
    runs.seeds = [0]
    runs.moments = runs.moments.iloc[[0]]
    result = evaluate(runs)
    assert result["queries"] == 1
    text = "\n".join(caplog.messages)
    assert f"1 of {TEST} queries on 1 of {TEST // 2} videos, 1 seed" in text
    table = text[text.index("R@0.3") : text.index("student: supervision")]
    assert not re.search(r"\d\.\d\d", table.replace("R@0.", ""))
    assert len((runs.root / "lines.jsonl").read_text().splitlines()) == TEST


def without_moments(runs: Runs) -> None:
    runs.moments = runs.moments.iloc[:0]


@pytest.mark.parametrize("prepare", [without_moments, lambda runs: None])
def test_other_queries_of_a_compared_model_or_seed_are_noticed(runs: Runs, evaluate, caplog, prepare):
    prepare(runs)
    whole = dict(runs.tables)
    runs.tables = {k: t[t["query_id"] != "q000"] if k[0] == "baseline" else t for k, t in whole.items()}
    evaluate(runs)
    assert f"baseline does not answer 1 of the {TEST} queries" in caplog.text
    runs.tables = {**whole, ("student", 1): whole["student", 1][whole["student", 1]["query_id"] != "q000"]}
    with pytest.raises(UserError, match="other queries than seed 0"):
        evaluate(runs)


def test_models_without_a_scored_query_in_common_are_not_compared(runs: Runs, evaluate):
    first = runs.queries["query_id"][0]
    runs.moments = runs.moments[runs.moments["query_id"] == first]
    runs.tables = {k: t[t["query_id"] != first] if k[0] == "baseline" else t for k, t in runs.tables.items()}
    result = evaluate(runs)
    assert result["metrics"] is not None
    assert result["comparisons"]["baseline"] == {"queries": 0, "metrics": {}, "alone": {}}


def test_other_splits_are_answered_after_the_last_epoch(runs: Runs, evaluate):
    """Training predicts `val` once; its own queries only where there are no others."""
    for key, table in runs.tables.items():
        last = table[table["epoch"] == EPOCHS]
        renamed = last.assign(query_id=last["query_id"].map(lambda q: f"q{int(q[1:]) + TEST:03d}"), split="train")
        renamed = renamed[renamed["query_id"] < f"q{TEST + TRAIN:03d}"]
        renamed.loc[renamed["query_id"] < f"q{TEST + 4:03d}", "split"] = "val"
        runs.tables[key] = pd.concat([table, renamed], ignore_index=True)
    runs.queries.loc[TEST : TEST + 3, "split"] = "val"
    assert evaluate(runs)["answered"] == {"test": TEST, "val": 4}
    runs.tables = {key: table[table["split"] == "train"] for key, table in runs.tables.items()}
    assert evaluate(runs)["answered"] == {"train": TRAIN - 4}


def test_the_duration_of_the_features_counts_and_a_difference_is_said(runs: Runs, evaluate, caplog):
    caplog.set_level("INFO")
    plain = evaluate(runs)
    runs.queries.loc[:1, "duration"] *= 1000  # milliseconds
    runs.queries.loc[4:5, "duration"] += 0.3  # as containers differ
    runs.queries.loc[6:7, "duration"] += 9
    runs.states["rgb"]["v003"] = ("partial", "decoded less")
    runs.moments.loc[8, ["start", "end"]] = runs.seconds["v004"] + np.array([-1.0, 2.0])
    runs.moments.loc[9, ["start", "end"]] = runs.seconds["v004"] + np.array([1.0, 2.0])
    result = evaluate(runs)
    found = result["coverage"]
    seconds = pytest.approx(runs.seconds["v000"], abs=1e-3)
    assert found["durations"]["videos"] == 1
    assert found["durations"]["listed"]["v000"]["video"] == seconds
    assert found["durations"]["listed"]["v000"]["annotated"] == pytest.approx(1000 * runs.seconds["v000"], abs=1e-2)
    assert (found["beyond"]["queries"], found["beyond"]["wholly"]) == (2, 1)
    assert [row["query_id"] for row in found["beyond"]["listed"]] == ["q008", "q009"]
    assert "duration of 1 video " in caplog.text
    assert plain["coverage"]["durations"]["videos"] == plain["coverage"]["beyond"]["queries"] == 0
    runs.moments = runs.moments.drop([8, 9])
    without = evaluate(runs)["video_free"]["whole_video"]
    runs.queries["duration"] = [runs.seconds[video] for video in runs.queries["video_id"]]
    assert evaluate(runs)["video_free"]["whole_video"] == without


def test_test_data_that_was_trained_on_is_said(runs: Runs, evaluate, caplog):
    caplog.set_level("INFO")
    assert evaluate(runs)["coverage"]["shared"]["videos"] == 0
    assert "unseen" not in caplog.text
    runs.queries.loc[TEST : TEST + 2, "video_id"] = ["v001", "v001", "v002"]
    runs.queries.loc[TEST, "sentence"] = runs.queries.loc[2, "sentence"].upper()
    found = evaluate(runs)["coverage"]["shared"]
    assert found == {"with": ["train"], "videos": 2, "rows": 1, "listed": ["v001", "v002"]}
    assert "2 videos of the split test are also in training (train), with 1 equal row" in caplog.text


def edit(**columns: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A change to the first row of a table."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.copy()
        for name, value in columns.items():
            table.loc[0, name] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edit(start=np.nan), "without start, end or score"),
        (edit(score=np.inf), "without start, end or score"),
        (edit(query_id="q001"), "number of proposals differs"),
        (lambda table: table.iloc[1:], "number of proposals differs"),
        (lambda table: table[table["query_id"] != "q000"], "other queries than seed 0"),
        (lambda table: table.assign(query_id="x" + table["query_id"]), "has queries that .* lacks"),
    ],
)
def test_predictions_that_do_not_fit(runs: Runs, evaluate, change: Callable[[pd.DataFrame], pd.DataFrame], words: str):
    runs.tables["student", 1] = change(runs.tables["student", 1])
    with pytest.raises(UserError, match=words):
        evaluate(runs)


def test_files_that_do_not_fit(runs: Runs, evaluate):
    with pytest.raises(UserError, match="--predictions has no file for model 'student', seed 7"):
        evaluate(runs, seeds=[7])
    runs.streams["student"] = ["rgb", "clip"]
    with pytest.raises(UserError, match="stream 'clip'"):
        evaluate(runs)


class Trained:
    """What the training stage itself writes for a small data set, in the place of `Runs`."""

    def __init__(self, root: Path, config: dict[str, Any]):
        self.root, self.seeds = small.write(root), [0]
        self.files: dict[str, list[str]] = {"--predictions": [], "--models": [], "--histories": []}
        names = {"--predictions": "p.parquet", "--models": "m.safetensors", "--histories": "h.parquet"}
        for model in ("baseline", "teacher"):
            out = root / model
            for option, name in names.items():
                self.files[option].append(f"{model}:0={out / name}")
            section = small.train_section(config, model, held_out=0.4)
            outputs = [
                "--model",
                "m.safetensors",
                "--history",
                "h.parquet",
                "--predictions",
                "p.parquet",
                "--work",
                "w",
            ]
            paths = [word if word.startswith("--") else str(out / word) for word in outputs]
            train.main(["--settings", json.dumps(section), *small.inputs(root), *paths])

    def write(self) -> dict[str, list[str]]:
        queries = store.read_table(self.root / "queries.parquet")
        moments = queries[["query_id"]].assign(start=1.0, end=queries["duration"] / 2)
        schema = pa.schema([("query_id", pa.string()), ("start", pa.float64()), ("end", pa.float64())])
        store.write_table(self.root / "moments.parquet", moments, schema, ["query_id"])
        pd.DataFrame(columns=PROBLEMS).to_csv(self.root / "problems.csv", index=False)
        models = [f"{model}={self.root / model / 'm.safetensors'}" for model in ("baseline", "teacher")]
        settings = {"dataset": "small", "methods": dict.fromkeys(("baseline", "teacher"), "mmdist"), "device": "cpu"}
        settings |= {"threads": 1, "warm_up": 1, "queries": 2}
        files = ["--queries", str(self.root / "queries.parquet"), "--output", str(self.root / "efficiency.json")]
        efficiency.main(["--settings", json.dumps(settings), "--models", *models, *files])
        tables = {"--queries": "queries.parquet", "--moments": "moments.parquet", "--problems": "problems.csv"}
        tables["--efficiency"] = "efficiency.json"
        return {
            **{option: [str(self.root / name)] for option, name in tables.items()},
            "--features": [f"{stream}={self.root / stream}.h5" for stream in ("rgb", "flow")],
            **self.files,
        }


def test_what_training_writes_can_be_evaluated(tmp_path: Path, config: dict[str, Any], evaluate):
    """The files between the two stages: models, histories with a held-out loss, predictions of both splits."""
    trained = Trained(tmp_path, config)
    result = evaluate(trained, model="teacher", compare_with=["baseline"])
    queries = store.read_table(tmp_path / "queries.parquet")
    in_test = int((queries["split"] == "test").sum())
    assert result["coverage"]["splits"]["test"]["queries"]["used"] == in_test
    assert result["comparisons"]["baseline"]["queries"] == in_test
    history = store.read_table(tmp_path / "teacher" / "h.parquet")
    lowest = int(history.loc[history["held_out_loss"].idxmin(), "epoch"])
    assert result["selection"]["held_out"]["epoch"] == {"0": lowest}
    assert result["models"]["teacher"]["settings"]["streams"] == ["rgb", "flow"]
    assert result["features"]["flow"]["provenance"] == {"extractor": "random", "pretrained": False}
    assert result["rules"]["vote"] is not None
    assert result["models"]["teacher"]["supervision"] == "weak"
    assert result["models"]["teacher"]["training_moments"] == {"0": 0}
    measured = result["efficiency"]["models"]
    assert measured["teacher"]["multiply_adds"] > measured["baseline"]["multiply_adds"] > 10_000
    assert measured["teacher"]["latency_ms"] > 0


def test_settings_are_checked(config: dict[str, Any]):
    rest = {"dataset": "d", "model": "m", "compare_with": [], "seeds": [0], "max_bad_share": 0.2}
    settings = parse(stage.EvaluateSettings, config["evaluate"], **rest)
    assert settings.names == ["R@0.3", "R@0.5", "R@0.7", "mIoU", "R5@0.3", "R5@0.5", "R5@0.7"]
    with pytest.raises(UserError, match=r"'R@0\.1'; supported values are R@0\.3"):
        parse(stage.EvaluateSettings, config["evaluate"], **rest, oracle_metric="R@0.1")
    with pytest.raises(UserError, match="thresholds"):
        parse(stage.EvaluateSettings, config["evaluate"], **rest, thresholds=[30])


def test_moments_are_padded_with_one_of_their_own():
    padded = predictions.pad([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])])
    assert padded.tolist() == [[[1, 2], [1, 2]], [[3, 4], [5, 6]]]
