"""What a person sees: a line a job, one sentence for a target that is none, and nothing of it lost."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from workflow_runs import TINY, run

WRONG = [
    (
        "results/studnt_demo.json",
        "unknown model 'studnt', did you mean results/student_demo.json; models are baseline",
    ),
    ("results/student_demoo.json", "unknown data set 'demoo', did you mean results/student_demo.json; models are"),
    ("results/x_y.json", "unknown model 'x' and data set 'y'; models are"),
    ("results/tables_charade.md", "unknown data set 'charade', did you mean results/tables_charades.md; models"),
    ("download_charade", "unknown download 'charade', did you mean download_charades; downloads are glove"),
]


@pytest.mark.parametrize(("target", "said"), WRONG, ids=[row[0] for row in WRONG])
def test_a_target_that_is_none_is_said_in_one_sentence(tmp_path: Path, target: str, said: str) -> None:
    outcome = run(tmp_path, target, dry=True)
    assert outcome.status == 1
    assert len(outcome.errors) == 1, outcome.text
    assert outcome.errors[0].startswith(said)
    assert "Exception" not in outcome.text
    assert "Traceback" not in outcome.text


def test_a_run_is_a_line_a_job_and_its_log_has_everything(tmp_path: Path) -> None:
    target = "results/videos/demo/frames/0.h5"
    outcome = run(tmp_path, target, config=[TINY])
    assert outcome.status == 0, outcome.text
    lines = [line for line in outcome.text.splitlines() if line.strip()]
    assert sum("decode: collection demo, frames frames, shard 0 (results/logs/decode/" in line for line in lines) == 1
    assert "2 of 2 steps (100%) done" in outcome.text
    assert "Execute" not in outcome.text
    jobs = outcome.text[outcome.text.index("demo (results/logs/demo.log)") : outcome.text.index("2 of 2 steps")]
    assert "\n\n" not in jobs  # a line a job
    assert "python -m" not in outcome.text
    assert max(map(len, lines)) < 200
    (log,) = (tmp_path / ".snakemake" / "log").iterdir()
    kept = log.read_text()
    assert "python -m vidistill.data.demo.demo --settings" in kept
    assert all(f"demo-000{n}" in kept for n in range(9))


def test_a_dry_run_tells_commands_and_inputs_and_not_hundreds_of_outputs(tmp_path: Path) -> None:
    outcome = run(tmp_path, dry=True)
    assert "python -m vidistill.data.demo.demo --settings" in outcome.text
    made = next(line for line in outcome.text.splitlines() if line.startswith("    output: results/demo/videos"))
    assert made.endswith(", and 316 more")
    assert len(outcome.inputs("evaluate")[0]) > 10


def test_a_job_that_fails_shows_its_log_and_command(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    for number in range(9):
        np.save(tmp_path / f"features/v{number}.npy", np.full((5, 4), np.nan if number == 3 else 1.0))
    rows = "".join(f"v{number},a ball,train\n" for number in range(9))
    (tmp_path / "own.csv").write_text(f"video,sentence,split\n{rows}")
    streams = {"rgb": {"extractor": "external", "source": "features"}}
    changes = {
        "collections": {"own": {"shards": 1, "streams": streams}},
        "datasets": {"own": {"collection": "own", "annotations": {"train": ["own.csv"]}}},
    }
    outcome = run(tmp_path, "results/features/own/rgb/0.h5", changes=changes)
    assert outcome.status == 1
    assert len(outcome.errors) == 1
    assert "'v3'" in outcome.errors[0]
    assert "Error in rule external:" in outcome.text
    assert "python -m vidistill.features.external" in outcome.text
    assert "v0.npy, " in outcome.text
    assert ", and 4 more" in outcome.text


def ended(text: str) -> list[str]:
    """What stands between the last job and Snakemake's own last lines."""
    lines = text[text.rindex("(100%) done") :].partition("Complete log")[0].splitlines()[1:]
    return [line for line in lines if not line.startswith("Removing temporary output")]


def test_a_run_ends_with_what_can_be_done_with_its_result(tmp_path: Path) -> None:
    results = ("results/student_demo.json", "results/tables_demo.csv")
    assert "ground VIDEO" not in run(tmp_path, *results, config=[TINY], dry=True).text
    outcome = run(tmp_path, results[0], config=[TINY])
    assert outcome.status == 0, outcome.text
    lines = ended(outcome.text)
    assert 3 <= len(lines) <= 6
    assert results[0] in lines[0]
    video = next((tmp_path / "results/demo/videos").iterdir())

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        words = line.partition(":")[2].replace("VIDEO", str(video)).replace("a sentence", "the ball moves")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(
            words, shell=True, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
        )

    asked = shell(next(line for line in lines if "ground VIDEO" in line))
    assert asked.returncode == 0, asked.stderr
    assert '"the ball moves"' in asked.stdout
    report = shell(next(line for line in lines if "results/report_student_demo.html" in line))
    assert report.returncode == 0, report.stderr
    assert (tmp_path / "results/report_student_demo.html").exists()
    assert any("open results/report_student_demo.html" in line for line in ended(report.stderr))

    target = "results/features/demo/rgb/0.h5"
    (tmp_path / target).unlink()
    features = run(tmp_path, target, config=[TINY])
    assert features.status == 0, features.text
    assert ended(features.text) == [], "nothing for what is no result"
