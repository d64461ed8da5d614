"""The stage, run as its command on small tables of segments."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import localised
import small_videos
from conftest import ROOT, parse
from evaluated import PROBLEMS
from localised import CLASSES, EPOCHS, TEST, LocalisedRuns, plain
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data.moments import MOMENTS
from vidistill.evaluation import average_precision, efficiency
from vidistill.settings.localisation import LocalisationSection, LocalisationSettings
from vidistill.training.detections import ALL

TIOUS = [0.1, 0.3, 0.5]
NAMES = ["mAP@0.1", "mAP@0.3", "mAP@0.5", "mAP"]


@pytest.fixture
def runs(tmp_path: Path) -> LocalisedRuns:
    return LocalisedRuns(tmp_path)


@pytest.fixture
def localise() -> Callable[..., dict[str, Any]]:
    """`localised.localise` with the default settings and three thresholds."""
    section = LocalisationSection().model_dump(mode="json")
    return partial(localised.localise, section={**section, "tious": TIOUS})


def truth(runs: LocalisedRuns, videos: list[str] | None = None) -> pd.DataFrame:
    """The segments of the test videos, or of some."""
    found = runs.moments.merge(runs.queries[runs.queries["split"] == "test"], on="query_id")
    return found if videos is None else found[found["video_id"].isin(videos)]


def by_hand(runs: LocalisedRuns, model: str, seed: int, *, stream: str = ALL, epoch: int = EPOCHS[-1]) -> list[float]:
    table = runs.tables[model, seed]
    table = table[(table["stream"] == stream) & (table["epoch"] == epoch)].dropna(subset="start")
    values = [plain(truth(runs), table, tiou) for tiou in TIOUS]
    return [*values, float(np.mean(values))]


def test_numbers_are_those_of_a_plain_evaluator(runs: LocalisedRuns, localise):
    result = localise(runs)
    for stream, metrics in {ALL: result["metrics"], **result["streams"]}.items():
        seeds = np.array([by_hand(runs, "mmsd", seed, stream=stream) for seed in runs.seeds])
        for m, name in enumerate(NAMES):
            assert metrics[name]["per_seed"] == pytest.approx({"0": seeds[0, m], "1": seeds[1, m]}, abs=1e-4)
            assert metrics[name]["std"] == pytest.approx(seeds[:, m].std(ddof=1), abs=1e-4)
    assert list(result["metrics"]) == NAMES
    assert list(result["streams"]) == ["flow", "rgb"]
    low, high = result["metrics"]["mAP"]["interval"]
    assert low < result["metrics"]["mAP"]["mean"] < high
    assert (result["videos"], result["segments"]) == (TEST, len(truth(runs)))


def test_classes_have_their_own_numbers_whose_mean_is_that_of_all(runs: LocalisedRuns, localise):
    result = localise(runs)
    segments = truth(runs)
    assert {label: about["segments"] for label, about in result["classes"].items()} == (
        segments["label"].value_counts().sort_index().to_dict()
    )
    assert result["classes"]["a"]["videos"] == segments[segments["label"] == "a"]["video_id"].nunique()
    for name in NAMES:
        mean = np.mean([about[name.removeprefix("m")] for about in result["classes"].values()])
        assert mean == pytest.approx(result["metrics"][name]["mean"], abs=1e-3)


def test_classification_ranks_videos(runs: LocalisedRuns, localise):
    found = localise(runs)["classification"]
    labels = runs.queries[runs.queries["split"] == "test"]
    for seed in runs.seeds:
        table = runs.tables["mmsd", seed]
        scores = table[(table["stream"] == ALL) & (table["epoch"] == EPOCHS[-1])]
        scores = scores.drop_duplicates(["video_id", "label"]).sort_values("video_score", ascending=False)
        areas = []
        for label in CLASSES:
            own = set(labels.loc[labels["label"] == label, "video_id"])
            hits = scores.loc[scores["label"] == label, "video_id"].isin(own).to_numpy()
            precision = hits.cumsum() / np.arange(1, len(hits) + 1)
            areas.append(sum(hit * max(precision[n:]) for n, hit in enumerate(hits)) / len(own))
        assert found["per_seed"][str(seed)] == pytest.approx(100 * np.mean(areas), abs=1e-4)
    assert found["interval"][0] < found["mean"] < found["interval"][1]


def test_a_better_model_is_resolved_and_an_equal_one_is_not(runs: LocalisedRuns, localise):
    runs.tables |= {("mmsd", seed): runs.predict(seed, 0.9) for seed in runs.seeds}
    compared = localise(runs)["comparisons"]
    for other in ("mmsd-base", "video_free"):
        found = compared[other]["metrics"]["mAP@0.5"]
        assert found["resolved"]
        assert found["interval"][0] > 0
        assert found["difference"] == pytest.approx(found["ours"] - found["theirs"], abs=1e-3)
    assert compared["mmsd-base"]["alone"]["mAP"]["mean"] == compared["mmsd-base"]["metrics"]["mAP"]["theirs"]
    runs.tables |= {("mmsd", seed): runs.tables["mmsd-base", seed] for seed in runs.seeds}
    found = localise(runs)["comparisons"]["mmsd-base"]["metrics"]["mAP"]
    assert (found["difference"], found["interval"], found["resolved"]) == (0.0, [0.0, 0.0], False)


def test_a_comparison_is_on_the_videos_that_both_predict(runs: LocalisedRuns, localise):
    for seed in runs.seeds:
        table = runs.tables["mmsd-base", seed]
        runs.tables["mmsd-base", seed] = table[table["video_id"] < "v10"]
    found = localise(runs)["comparisons"]["mmsd-base"]
    some = sorted(v for v in runs.seconds if v < "v10")
    assert found["segments"] == len(truth(runs, some))
    tables = [runs.tables["mmsd", seed] for seed in runs.seeds]
    tables = [t[(t["stream"] == ALL) & (t["epoch"] == EPOCHS[-1])].dropna(subset="start") for t in tables]
    expected = np.mean([plain(truth(runs, some), t[t["video_id"].isin(some)], 0.3) for t in tables])
    assert found["metrics"]["mAP@0.3"]["ours"] == pytest.approx(expected, abs=1e-4)


def test_baselines_see_no_video(runs: LocalisedRuns, localise):
    """Segments of training videos in the first third of each: that interval is found, and it is the best."""
    in_training = runs.moments["query_id"].isin(runs.queries.loc[runs.queries["split"] == "train", "query_id"])
    seconds = runs.moments["query_id"].map(runs.queries.set_index("query_id")["duration"])
    runs.moments.loc[in_training, "start"] = 0.0
    runs.moments.loc[in_training, "end"] = 0.35 * seconds
    tious = [0.3, 0.9]
    result = localise(runs, tious=tious)
    assert result["fitted"]["interval"] == [0.0, 0.35]
    assert list(result["video_free"]) == ["whole_video", "interval", "grid", "grid_of_all"]
    segments = truth(runs)
    told = segments[["video_id", "label"]].drop_duplicates()
    ends = told["video_id"].map(runs.seconds)
    for name, end in (("whole_video", ends), ("interval", 0.35 * ends)):
        found = told.assign(start=0.0, end=end, score=-ends)
        for tiou in tious:
            assert result["video_free"][name][f"mAP@{tiou}"] == pytest.approx(plain(segments, found, tiou), abs=1e-4)
    best = result["comparisons"]["video_free"]["metrics"]["mAP@0.3"]
    assert best["theirs"] == max(metrics["mAP@0.3"] for metrics in result["video_free"].values())
    assert best["theirs"] == result["video_free"][best["baseline"]]["mAP@0.3"]


def test_without_training_segments_the_whole_video_is_the_only_baseline(runs: LocalisedRuns, localise):
    runs.moments = truth(runs)[["query_id", "start", "end"]]
    result = localise(runs)
    assert result["fitted"] is None
    assert list(result["video_free"]) == ["whole_video"]


def test_excluded_videos_are_in_the_protocol_of_wtalc_alone(runs: LocalisedRuns, localise, tmp_path: Path):
    whole = localise(runs, wtalc_rate=2.0)
    assert whole["wtalc"]["segments"] == whole["segments"]
    excluded = sorted(set(truth(runs)["video_id"]))[:2]
    result = localise(runs, exclude_videos=excluded, wtalc_rate=2.0)
    assert result["videos"] == TEST - 2
    assert result["segments"] == len(truth(runs)[~truth(runs)["video_id"].isin(excluded)])
    assert result["wtalc"] == whole["wtalc"]
    covered = result["coverage"]["splits"]["test"]["queries"]
    asked = runs.queries["video_id"].isin(excluded).sum()
    assert covered["not_used"] == {"excluded by exclude_videos": asked}
    kept = [v for v in runs.seconds if v not in excluded]
    table = runs.tables["mmsd", 0]
    table = table[(table["stream"] == ALL) & (table["epoch"] == EPOCHS[-1])].dropna(subset="start")
    expected = plain(truth(runs, kept), table[table["video_id"].isin(kept)], 0.3)
    assert result["metrics"]["mAP@0.3"]["per_seed"]["0"] == pytest.approx(expected, abs=1e-4)
    # An ambiguous segment over a whole video takes away all that is predicted in it.
    (tmp_path / "ambiguous.txt").write_text("".join(f"{video} 0 99\n" for video in runs.seconds))
    nothing = localise(runs, wtalc_rate=2.0, ambiguous=str(tmp_path / "ambiguous.txt"))["wtalc"]
    assert nothing["metrics"]["mAP"]["mean"] == nothing["video_free"]["whole_video"]["mAP"] == 0.0
    assert localise(runs)["wtalc"] is None


def test_selection_reports_the_last_epoch(runs: LocalisedRuns, localise):
    for seed in runs.seeds:
        skilled, table = runs.predict(seed, 1.0), runs.tables["mmsd", seed]
        runs.tables["mmsd", seed] = pd.concat([skilled[skilled["epoch"] == 10], table[table["epoch"] == 20]])
    runs.history["held_out_loss"] = np.arange(20.0)  # lowest at epoch 1, which is not predicted
    result = localise(runs)
    selection = result["selection"]
    assert (selection["reported"], selection["last"]["epoch"]) == ("last", {"0": 20, "1": 20})
    assert selection["oracle"]["epoch"] == selection["held_out"]["epoch"] == {"0": 10, "1": 10}
    assert selection["by_epoch"]["epoch"] == [10, 20]
    assert selection["by_epoch"]["mAP"][1] == pytest.approx(result["metrics"]["mAP"]["mean"], abs=1e-3)
    values = [by_hand(runs, "mmsd", seed, epoch=10)[-1] for seed in runs.seeds]
    assert selection["oracle"]["metrics"]["mAP"]["mean"] == pytest.approx(np.mean(values), abs=1e-3)


def test_coverage_says_why_a_video_does_not_count(runs: LocalisedRuns, localise):
    runs.states["flow"]["v00"] = ("bad", "no video stream")
    del runs.states["rgb"]["v01"]
    for key, table in runs.tables.items():
        runs.tables[key] = table[~table["video_id"].isin(["v00", "v01", "v02"])]
    result = localise(runs)
    counts = runs.queries["video_id"].value_counts()
    assert result["videos"] == TEST - 3
    assert result["coverage"]["splits"]["test"]["queries"]["not_used"] == {
        "not predicted": counts["v02"],
        "video bad": counts["v00"],
        "video missing": counts["v01"],
    }
    assert result["coverage"]["bad_videos"] == {"v00": "no video stream"}


def test_a_video_without_segments_counts(runs: LocalisedRuns, localise):
    """Its rows have scores of classes alone; what it has cannot be found."""
    before = localise(runs)
    for key, table in runs.tables.items():
        mine = (table["video_id"] == "v00") & (table["epoch"] == EPOCHS[-1])
        table = table[~mine | (table["stream"] == ALL)].copy()
        table.loc[mine, ["rank", "start", "end", "score"]] = None
        runs.tables[key] = table
    result = localise(runs)
    assert (result["videos"], result["segments"]) == (before["videos"], before["segments"])
    assert result["metrics"]["mAP@0.1"]["mean"] < before["metrics"]["mAP@0.1"]["mean"]


def test_a_stream_that_finds_nothing_with_a_seed_has_0_there(runs: LocalisedRuns, localise):
    before = localise(runs)["streams"]
    runs.tables["mmsd", 1] = runs.tables["mmsd", 1][runs.tables["mmsd", 1]["stream"] != "rgb"]
    found = localise(runs)["streams"]
    assert found["rgb"]["mAP"]["per_seed"] == {"0": before["rgb"]["mAP"]["per_seed"]["0"], "1": 0.0}
    assert found["flow"] == before["flow"]


@pytest.mark.parametrize("known", ["labels", "nothing"])
def test_without_a_segment_to_find_the_result_has_no_numbers(runs: LocalisedRuns, localise, caplog, known: str):
    caplog.set_level("INFO")
    tested = runs.queries["split"] == "test"
    runs.moments = runs.moments[~runs.moments["query_id"].isin(runs.queries.loc[tested, "query_id"])]
    if known == "nothing":
        runs.queries.loc[tested, "label"] = None
    result = localise(runs)
    assert (result["metrics"], result["segments"], result["selection"]) == (None, 0, None)
    assert result["comparisons"] == {}
    assert (result["classification"] is None) == (known == "nothing")
    assert "Nothing can be scored" in caplog.text


def test_the_terminal_shows_streams_baselines_and_noise(runs: LocalisedRuns, localise, caplog):
    caplog.set_level("INFO")
    result = localise(runs, wtalc_rate=1.5625)
    lines = "\n".join(caplog.messages).splitlines()
    assert max(map(len, [f"12:34:56 {lines[0]}", *lines])) < 80
    text = " ".join(" ".join(lines).split())
    assert f"{result['segments']} segments in {TEST} of {TEST} videos, 2 seeds" in text
    for said in ("rgb alone", "grid, labels told", "by W-TALC", "mmsd minus mmsd-base", "classification: mAP"):
        assert said in text
    assert "(within noise)" in text


def test_the_keys_that_are_described_are_those_of_the_result(runs: LocalisedRuns, localise):
    text = (ROOT / "docs/outputs.md").read_text(encoding="utf-8")
    parts = [text[: text.index("/predictions.jsonl`: ")], text[text.index("## Results for actions") :]]
    shared, own = (
        {
            key
            for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", part, re.MULTILINE)
            for key in row.strip("`").split("`, `")
        }
        for part in (parts[0], parts[1][: parts[1].index("## Intermediate files")])
    )
    assert own <= set(localise(runs)) <= shared | own


def test_equal_runs_write_equal_bytes(runs: LocalisedRuns, localise):
    localise(runs)
    first = (runs.root / "result.json").read_bytes()
    for key, table in runs.tables.items():
        runs.tables[key] = table.sample(frac=1, random_state=1)
    localise(runs)
    assert (runs.root / "result.json").read_bytes() == first


def edit(**columns: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A change to the first segment of the last epoch."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.reset_index(drop=True)
        row = table.index[(table["epoch"] == EPOCHS[-1]) & (table["stream"] == ALL) & table["start"].notna()][0]
        for name, value in columns.items():
            table.loc[row, name] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edit(start=np.nan), "segments without start, end or score"),
        (edit(score=np.inf), "segments without start, end or score"),
        (lambda table: pd.concat([table, table.assign(video_score=0.123)]), "two scores of a class in a video"),
        (lambda table: table[table["video_id"] != "v00"], "other videos than seed 0"),
        (lambda table: table[table["split"] != "test"], "other videos than seed 0"),
        (lambda table: table.assign(video_id="x" + table["video_id"]), "other videos than seed 0"),
    ],
)
def test_predictions_that_do_not_fit(runs: LocalisedRuns, localise, change: Any, words: str):
    runs.tables["mmsd", 1] = change(runs.tables["mmsd", 1])
    with pytest.raises(UserError, match=words):
        localise(runs)


def test_predictions_of_another_data_set_are_refused(runs: LocalisedRuns, localise):
    runs.tables = {key: table.assign(video_id="x" + table["video_id"]) for key, table in runs.tables.items()}
    with pytest.raises(UserError, match=r"has videos that .* lacks; train mmsd on this data set"):
        localise(runs)


def test_settings_name_the_metrics():
    rest = {"dataset": "d", "model": "m", "compare_with": [], "seeds": [0], "max_bad_share": 0.2}
    names = parse(LocalisationSettings, rest, tious=[0.5, 0.55, 0.95]).names
    assert names == ["mAP@0.5", "mAP@0.55", "mAP@0.95", "mAP"]
    with pytest.raises(UserError, match="tious"):
        parse(LocalisationSettings, rest, tious=[0.0])


def test_resamples_are_of_videos(runs: LocalisedRuns, localise):
    """The interval is that of means over whole resampled videos, drawn one after the other."""
    result = localise(runs, bootstrap_samples=40, confidence=0.5, compare_with=[])
    videos, rng = sorted(v for v in runs.seconds if v < f"v{TEST}"), np.random.default_rng(0)
    tables = [runs.tables["mmsd", seed] for seed in runs.seeds]
    tables = [t[(t["stream"] == ALL) & (t["epoch"] == EPOCHS[-1])].dropna(subset="start") for t in tables]
    ranked = [average_precision.rank(truth(runs), table, videos, [0.3]) for table in tables]
    drawn = []
    for row in rng.integers(TEST, size=(40, TEST)):
        weights = np.bincount(row, minlength=TEST)[None]
        drawn.append(np.mean([average_precision.mean_average_precision(one, weights) for one in ranked]))
    assert result["metrics"]["mAP@0.3"]["interval"] == pytest.approx(np.percentile(drawn, [25, 75]), abs=1e-4)


class Trained:
    """What MMSD's own stages write for a small data set, in the place of `LocalisedRuns`."""

    def __init__(self, root: Path):
        self.root, self.seeds = small_videos.write(root), [0]
        self.files: dict[str, list[str]] = {"--predictions": [], "--models": [], "--histories": []}
        for model in ("mmsd", "mmsd-rgb"):
            about = small_videos.section(model, held_out=0.3)
            made = small_videos.run(root, about, model)
            predictions, _ = small_videos.localised(root, made, about["streams"])
            for option, path in zip(self.files, (predictions, made["model"], made["history"]), strict=True):
                self.files[option].append(f"{model}:0={path}")

    def write(self) -> dict[str, list[str]]:
        labels = store.read_table(self.root / "queries.parquet").dropna(subset="label")
        moments = labels[["query_id"]].assign(start=1.0, end=labels["duration"] / 2)
        store.write_table(self.root / "moments.parquet", moments, MOMENTS, ["query_id"])
        pd.DataFrame(columns=PROBLEMS).to_csv(self.root / "problems.csv", index=False)
        tables = {"--queries": "queries.parquet", "--moments": "moments.parquet", "--problems": "problems.csv"}
        tables["--efficiency"] = "efficiency.json"
        self.measure()
        return {
            **{option: [str(self.root / name)] for option, name in tables.items()},
            "--features": [f"{stream}={self.root / stream}.h5" for stream in ("rgb", "flow")],
            **self.files,
        }

    def measure(self) -> None:
        """Stage `efficiency`."""
        files = {item.partition(":")[0]: item.partition("=")[2] for item in self.files["--models"]}
        settings = {"dataset": "small", "methods": dict.fromkeys(files, "mmsd"), "device": "cpu"}
        settings |= {"threads": 1, "warm_up": 1, "queries": 3}
        options = {"--queries": self.root / "queries.parquet", "--output": self.root / "efficiency.json"}
        words = [str(word) for option in options.items() for word in option]
        models = [f"{model}={file}" for model, file in files.items()]
        efficiency.main(["--settings", json.dumps(settings), *words, "--models", *models])


def test_what_mmsd_writes_can_be_evaluated(tmp_path: Path, localise):
    """The files between the stages: models without a vocabulary, snapshots' epochs, streams, held-out losses."""
    trained = Trained(tmp_path)
    result = localise(trained, compare_with=["mmsd-rgb"])
    assert (result["videos"], result["segments"]) == (3, 4)
    assert set(result["streams"]) == {"rgb", "flow", "fused"}
    assert result["selection"]["by_epoch"]["epoch"] == [2, 4, 6]
    history = store.read_table(tmp_path / "mmsd" / "history.parquet").set_index("epoch")["held_out_loss"]
    assert result["selection"]["held_out"]["epoch"] == {"0": int(history.loc[[2, 4, 6]].idxmin())}
    assert result["comparisons"]["mmsd-rgb"]["segments"] == 4
    assert result["coverage"]["splits"]["train"]["queries"]["not_used"] == {"no label": 1}
    assert result["models"]["mmsd-rgb"]["settings"]["streams"] == ["rgb"]
    measured = result["efficiency"]["models"]
    assert measured["mmsd-rgb"]["multiply_adds"] < measured["mmsd"]["multiply_adds"]
    assert result["models"]["mmsd"]["training_moments"] == {"0": 0}
    assert 0 <= result["classification"]["mean"] <= 100
