"""Videos and sentences alone, as a person would begin: a dry run, a run, a result without numbers, and a question."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

import own_videos
from own_videos import RESULT
from workflow_runs import ROOT, TINY, run

IDS = own_videos.IDS[:4]
ANSWERS = "results/mine/student/predictions.jsonl"


def configured(folder: Path, table: str) -> list[Path]:
    """The files of a data set whose table is this text."""
    changes = own_videos.write(folder, IDS, shards=1)
    (folder / "mine.csv").write_text(table)
    changes["datasets"]["mine"]["annotations"] = {"train": ["mine.csv"]}
    (folder / "mine.yaml").write_text(yaml.safe_dump(changes))
    return [TINY, folder / "mine.yaml"]


def notes(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("note: ")]


def test_videos_and_sentences_are_enough_from_table_to_answer(tmp_path: Path) -> None:
    rows = [f"{video},{sentence}" for video in IDS for sentence in ("a red ball moves", "the ball stops")]
    config = configured(tmp_path, "\n".join(["video,sentence", *rows]) + "\n")
    dry = run(tmp_path, RESULT, config=config, dry=True)
    assert dry.status == 0, dry.text
    assert len(notes(dry.text)) == 1
    assert "mine: no row of the split test has start and end" in dry.text

    outcome = run(tmp_path, RESULT, config=config)
    assert outcome.status == 0, outcome.text
    assert len(notes(outcome.text)) == 1
    assert "Nothing can be scored" in outcome.text
    result = json.loads((tmp_path / RESULT).read_text())
    assert result["metrics"] is None
    assert result["answered"] == {"train": len(rows)}
    lines = [json.loads(line) for line in (tmp_path / ANSWERS).read_text().splitlines()]
    assert sorted(f"{line['vid']},{line['query']}" for line in lines) == sorted(rows)
    assert all(0 <= start <= end < 3 for line in lines for start, end, _ in line["pred_relevant_windows"])

    words = ["ground", f"videos/{IDS[0]}.mp4", "a red ball moves", "--model", RESULT]
    asked = subprocess.run(
        [sys.executable, "-m", "vidistill", *words],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert "0:00" in asked.stdout


def test_one_moment_of_four_test_sentences_is_scored_and_all_are_answered(tmp_path: Path) -> None:
    """With durations in milliseconds, in place of which those of the clips count."""
    duration = 2000
    rows = [f"{video},{text},train,,,{duration}" for video in IDS[:3] for text in ("a ball moves", "the ball stops")]
    tested = [f"{IDS[3]},a {colour} ball moves,test,,,{duration}" for colour in ("red", "blue", "green")]
    tested.append(f"{IDS[3]},the ball stops,test,0.2,1.1,{duration}")
    config = configured(tmp_path, "\n".join(["video,sentence,split,start,end,duration", *rows, *tested]) + "\n")
    target = "results/baseline_mine.json"
    assert notes(run(tmp_path, target, config=config, dry=True).text) == []
    outcome = run(tmp_path, target, config=config)
    assert outcome.status == 0, outcome.text
    assert "1 of 4 queries on 1 of 1 video, 1 seed" in outcome.text
    lines = (tmp_path / "results/mine/baseline/predictions.jsonl").read_text().splitlines()
    assert len(lines) == len(tested)
    assert all(end < 3 for line in lines for _, end, _ in json.loads(line)["pred_relevant_windows"])
    found = json.loads((tmp_path / target).read_text())["coverage"]["durations"]
    assert found["videos"] == len(IDS)
    assert "annotated duration" in outcome.text
