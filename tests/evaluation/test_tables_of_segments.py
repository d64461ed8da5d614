"""The tables of models of actions, made from results that the evaluation wrote."""

import json
from pathlib import Path

import pandas as pd
import pytest

import localised
from evaluated import EFFICIENCY
from localised import LocalisedRuns
from vidistill.base import store
from vidistill.evaluation import tables

TIOUS = [round(0.1 * n, 1) for n in range(1, 8)]
MODELS = {"mmsd-base": [], "mmsd": ["mmsd-base"]}


@pytest.fixture
def written(tmp_path: Path, config):
    """Run the stage over the results of two models."""

    def command(dataset: str, **changes) -> tuple[pd.DataFrame, str, dict]:
        runs = LocalisedRuns(tmp_path)
        for seed in runs.seeds:
            runs.tables["mmsd", seed] = runs.predict(seed, 0.7)
        results = {}
        for model, others in MODELS.items():
            about = {"model": model, "compare_with": others, "dataset": dataset, **changes}
            results[model] = localised.localise(runs.only(model, *others), config["localisation"], **about)
            (tmp_path / f"{model}.json").write_text(json.dumps(results[model]))
        store.write_json(tmp_path / "efficiency.json", EFFICIENCY)
        files = {"--efficiency": "efficiency.json", "--csv": "t.csv", "--markdown": "t.md"}
        words = [word for option, name in files.items() for word in (option, str(tmp_path / name))]
        settings = json.dumps({"dataset": dataset, "tables": {"MMSD": list(MODELS)}})
        tables.main(["--settings", settings, "--results", *(str(tmp_path / f"{m}.json") for m in MODELS), *words])
        return pd.read_csv(tmp_path / "t.csv"), (tmp_path / "t.md").read_text(), results

    return command


def shown(text: str) -> dict[str, list[str]]:
    """Row -> its cells, of the first table."""
    lines = text.split("## ")[1].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    return {row[0]: row[1:] for row in reversed(rows)}


def test_published_numbers_stand_beside_those_of_their_protocol(written) -> None:
    table, text, results = written("thumos14", tious=TIOUS, wtalc_rate=1.5625)
    rows = shown(text)
    by_wtalc = results["mmsd"]["wtalc"]["metrics"]["mAP"]
    assert rows["mmsd, protocol of W-TALC"][7] == f"{by_wtalc['mean']:.0f} ± {by_wtalc['std']:.0f} [43.70]"
    ours = results["mmsd"]["metrics"]["mAP"]
    assert rows["mmsd"][7] == f"{ours['mean']:.0f} ± {ours['std']:.0f}"
    theirs = (67.5, 61.2, 52.3, 43.4, 33.7, 22.9, 12.1, 41.9)
    assert rows["UM, protocol of W-TALC"][:8] == [f"[{x:.2f}]" for x in theirs]
    assert rows["RSKP, protocol of W-TALC"][7] == "[45.10]"
    assert rows["grid, labels told"][7] == f"{results['mmsd']['video_free']['grid']['mAP']:.0f}"
    baseline = results["mmsd"]["wtalc"]["video_free"]["whole_video"]["mAP"]
    assert rows["whole video, labels told, protocol of W-TALC"][7] == f"{baseline:.0f}"
    assert "github.com/LeonHLJ/MMSD" in text
    assert not any(label.startswith("TSCN") for label in rows)
    assert rows["mmsd"][-5:] == ["weak", "0", "6,364,160", "4.6 G", "70.2"]
    assert table["queries"].isna().all()
    assert set(table["segments"].dropna()) == {results["mmsd"]["segments"]}


def test_differences_are_of_the_same_videos(written) -> None:
    table, text, results = written("toy", tious=TIOUS)
    compared = results["mmsd"]["comparisons"]["mmsd-base"]["metrics"]["mAP"]
    paired = table[(table["minus"] == "mmsd-base") & (table["metric"] == "mAP")].iloc[0]
    assert (paired["value"], paired["resolved"]) == (compared["difference"], compared["resolved"])
    assert [paired["low"], paired["high"]] == compared["interval"]
    assert f"Percent of {results['mmsd']['segments']} segments" in text
    assert "of one video of 64 snippets" not in text  # these measurements are of sentences
    assert "protocol of W-TALC" not in "".join(shown(text))


def test_numbers_for_activitynet_stand_below_their_thresholds(written) -> None:
    tious = [round(0.5 + 0.05 * n, 2) for n in range(10)]
    _, text, _ = written("activitynet-1.3", tious=tious)
    header, rows = shown(text)[""], shown(text)
    assert header[:11] == [*(f"mAP@{tiou:g}" for tiou in tious), "mAP"]
    assert [cell for cell in rows["TSCN"] if cell] == ["[35.30]", "[21.40]", "[5.30]", "[21.70]"]
    assert rows["UM"][header.index("mAP@0.75")] == "[23.90]"
    assert rows["mmsd"][10].count("[") == 0
