"""A method that is not of this project: its predictions stand in results, tables and report, and by hand."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest
import yaml

import own_videos
from vidistill.commands import evaluate_cli
from workflow_runs import Run, run

RESULT, REPORT, TABLES = "results/guess_mine.json", "results/report_guess_mine.html", "results/tables_mine.md"
CHANGES = {
    "seeds": ["0..1"],
    "models": {"guess": {"predictions": "guess/{dataset}.jsonl", "supervision": "none", "compare_with": ["baseline"]}},
    "tables": {"Guesses": ["baseline", "guess"]},
}


def guesses(folder: Path) -> list[dict[str, object]]:
    """The first half and the whole of each test video, and a row that fits no query."""
    table = pd.read_csv(folder / "test.csv")
    rows = zip(table["video"], table["sentence"], strict=True)
    windows = [[0.0, 1.0, 0.9], [0.0, own_videos.SECONDS, 0.1]]
    lines = [{"qid": n, "query": s, "vid": v, "pred_relevant_windows": windows} for n, (v, s) in enumerate(rows)]
    return [*lines, {**lines[0], "vid": "elsewhere"}]


def write(path: Path, lines: list[dict[str, object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guess")
    configured = own_videos.write(folder, shards=1)
    tables = yaml.safe_load((own_videos.TINY.parents[1] / "config" / "config.yaml").read_text())["tables"]
    changes = {**CHANGES, "tables": {**{name: [] for name in tables}, **CHANGES["tables"]}}
    (folder / "mine.yaml").write_text(yaml.safe_dump({**configured, **changes}))
    write(folder / "guess/mine.jsonl", guesses(folder))
    outcome = asked(folder, RESULT, REPORT, TABLES)
    assert outcome.status == 0, outcome.text
    return folder


def asked(folder: Path, *targets: str, dry: bool = False) -> Run:
    return run(folder, *targets, config=[own_videos.TINY, folder / "mine.yaml"], dry=dry)


@pytest.mark.whole_run
def test_its_numbers_stand_beside_those_of_models(finished: Path) -> None:
    result = json.loads((finished / RESULT).read_text())
    assert result["queries"] == 4
    assert result["metrics"]["R@0.5"]["mean"] == 50.0  # moments are 0.2 to 1.1 s and 1.0 to 1.9 s of 2 s
    assert result["seeds"] == [0]
    assert result["comparisons"]["baseline"]["alone"]["mIoU"]["per_seed"].keys() == {"0", "1"}
    assert result["efficiency"]["models"].keys() == {"baseline"}
    assert result["models"]["guess"]["predictions"]["left_out"] == 1
    table = pd.read_csv(finished / "results/tables_mine.csv")
    row = table[(table["row"] == "guess") & table["minus"].isna()].set_index("metric").loc["R@0.5"]
    assert (row["value"], row["seeds"], row["supervision"]) == (50.0, 1, "none")
    assert set(table["minus"].dropna()) == {"best without video", "baseline"}
    text = (finished / TABLES).read_text()
    assert "1 row of 5 in guess/mine.jsonl cannot be used (line 5" in text
    assert "over the seeds 0, 1 (guess: 1 seed)" in text
    assert "guess on mine" in (finished / REPORT).read_text()
    assert "curve:guess" in (finished / "results/report/mine/guess/recall.svg").read_text()


@pytest.mark.whole_run
def test_the_command_gives_the_result_of_the_workflow(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished)
    options = ["--dataset", "mine", "--name", "by-hand", "--compare-with", "baseline", "--json", "by-hand.json"]
    options += ["--configfile", str(own_videos.TINY), "mine.yaml", "--flaws", "flaws.csv"]
    evaluate_cli.main(["guess/mine.jsonl", *options])
    said = capsys.readouterr().out
    assert "4 of 4 queries on 2 of 2 videos" in said
    assert "not used: guess/mine.jsonl, line 5, 0: the data set has no query on the video 'elsewhere'" in said
    found, expected = json.loads(Path("by-hand.json").read_text()), json.loads(Path(RESULT).read_text())
    for part in ("metrics", "comparisons", "video_free", "constant_intervals", "queries", "features", "coverage"):
        assert found[part] == expected[part], part
    assert found["models"]["baseline"] == expected["models"]["baseline"]
    assert Path("flaws.csv").read_text().count("\n") == 2


@pytest.mark.whole_run
def test_a_changed_file_reruns_its_evaluation_alone(finished: Path) -> None:
    assert asked(finished, RESULT, dry=True).jobs == {}
    path = finished / "guess/mine.jsonl"
    lines, times = path.read_bytes(), path.stat()
    write(path, guesses(finished)[:3])
    os.utime(path, (0, 0))  # moved in, with an older date
    assert asked(finished, RESULT, dry=True).jobs == {"external_predictions": 1, "evaluate": 1}
    path.unlink()
    (said,) = asked(finished, RESULT, dry=True).errors
    assert said == "guess/mine.jsonl is missing (set by models.guess.predictions); correct the key."
    path.write_bytes(lines)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.whole_run
def test_what_the_command_is_not_given_is_said(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    for options, said in (
        (["--dataset", "mime"], "unknown data set 'mime'; did you mean 'mine'?"),
        (
            ["--dataset", "mine", "--compare-with", "student"],
            "student has no predictions on mine in results/mine/student",
        ),
        (["--dataset", "mine", "--name", "baseline"], "baseline is a model of the configuration"),
        (["--dataset", "mine", "--compare-with", "basline"], "did you mean 'baseline'?"),
    ):
        with pytest.raises(SystemExit, match=said.replace("?", r"\?")):
            evaluate_cli.main(["guess/mine.jsonl", *options, "--configfile", str(own_videos.TINY), "mine.yaml"])
