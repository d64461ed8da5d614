"""What a person sees: a line a job, one sentence for a target that is none, and nothing of it lost."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from screens import screen
from snakemake_logger_plugin_vidistill.reasons import shorter
from workflow_runs import TINY, clone, command, run

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
    assert sum("decode: demo, shard 0 (results/logs/decode/" in line for line in lines) == 1
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


def test_on_a_terminal_what_runs_stands_below_what_stays(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    words = command("results/demo/annotations.csv", config=[TINY])
    process = subprocess.Popen(words, cwd=tmp_path, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    written = ""
    try:
        while part := os.read(leader, 4096):
            written += part.decode()
    except OSError:  # so a terminal ends
        pass
    assert process.wait() == 0, written
    jobs = written[written.index("Job stats") :]
    assert re.search(r"\r\033\[J  demo +for \d+ s", jobs)
    shown = screen(jobs)
    assert max(len(line) for line in shown if not line.startswith("Complete log")) <= 80
    assert not any(re.search(r" for \d+ s$", line) for line in shown)
    assert any(line.endswith("1 of 1 steps (100%) done") for line in shown)


def test_a_dry_run_tells_commands_and_inputs_and_not_hundreds_of_outputs(tmp_path: Path) -> None:
    outcome = run(tmp_path, dry=True)
    assert "python -m vidistill.data.demo.demo --settings" in outcome.text
    made = next(line for line in outcome.text.splitlines() if line.startswith("    output: results/demo/videos"))
    assert made.endswith(", and 786 more")
    assert len(outcome.inputs("evaluate")[0]) > 10


def test_a_reason_that_cannot_be_read_is_shown_as_snakemake_has_it() -> None:
    text = "Params have changed since last execution: Union of exclusive params before and now across all output: "
    assert shorter(f"{text}before: ['a = 1', 'b = 2'] now: ['a = 1', 'b = 3'] ") == f"{text[:42]}b: 2 -> 3"
    for other in (f"{text}before: {{[ now: x", "Params have changed, in other words", "Forced execution"):
        assert shorter(other) == other


def test_the_terminal_imports_nothing_of_the_package() -> None:
    """It is imported first, and the clone that is run may be another than the installed one."""
    script = "import sys, snakemake_logger_plugin_vidistill; print('vidistill' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


FEATURES = "results/features/own/rgb/0.h5"


def with_features(folder: Path, bad: int | None = None) -> dict[str, Any]:
    """A configuration with the features of nine videos, one of them with NaN."""
    (folder / "features").mkdir()
    for number in range(9):
        np.save(folder / f"features/v{number}.npy", np.full((5, 4), np.nan if number == bad else 1.0))
    rows = "".join(f"v{number},a ball,train\n" for number in range(9))
    (folder / "own.csv").write_text(f"video,sentence,split\n{rows}")
    streams = {"rgb": {"extractor": "external", "source": "features"}}
    return {
        "collections": {"own": {"shards": 1, "streams": streams}},
        "datasets": {"own": {"collection": "own", "annotations": {"train": ["own.csv"]}}},
    }


def jobs_in_log(folder: Path, rule: str) -> int:
    """How often a rule's job began in the runs of a folder."""
    logs = (folder / ".snakemake" / "log").iterdir()
    return sum(len(re.findall(rf"^(?:local)?rule {rule}:$", log.read_text(), re.MULTILINE)) for log in logs)


def test_what_the_user_can_mend_is_a_sentence_said_once_and_the_job_is_not_tried_again(tmp_path: Path) -> None:
    outcome = run(tmp_path, FEATURES, changes=with_features(tmp_path, bad=3))
    assert outcome.status == 1
    said = re.findall("^error: .*$", outcome.text, re.MULTILINE)
    assert len(said) == 1
    assert "'v3'" in said[0]
    assert "results/logs/external/own/rgb/0.log" in outcome.text
    assert "python -m" not in outcome.text
    assert "same command goes on" in "".join(outcome.text.splitlines()[-2:])  # the last line but for that of the log
    assert jobs_in_log(tmp_path, "external") == 1


@pytest.mark.parametrize(("error", "jobs", "shown"), [("ValueError('a bug')", 3, True), ("MemoryError()", 3, False)])
def test_other_errors_are_tried_again_and_a_bug_shows_log_and_command(
    tmp_path: Path, error: str, jobs: int, shown: bool
) -> None:
    clone(tmp_path / "clone")
    stage = tmp_path / "clone" / "workflow" / "vidistill" / "features" / "external.py"
    text, call = stage.read_text(), "\n    run(main)\n"
    assert text.endswith(call)
    stage.write_text(f"{text.removesuffix(call)}\n\n    def fail() -> None:\n        raise {error}\n\n    run(fail)\n")
    outcome = run(tmp_path, FEATURES, changes=with_features(tmp_path), root=tmp_path / "clone")
    assert outcome.status == 1
    assert jobs_in_log(tmp_path, "external") == jobs
    assert ("python -m vidistill.features.external" in outcome.text) == shown
    assert ("ValueError: a bug" in outcome.text) == shown
    assert ("v0.npy, " in outcome.text and ", and 4 more" in outcome.text) == shown
    assert bool(outcome.errors) != shown


def test_ctrl_c_ends_in_a_few_lines(tmp_path: Path) -> None:
    words = command("results/student_demo.json", config=[TINY])
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    assert process.stderr
    before = []
    for line in process.stderr:
        before.append(line)
        if " extract: " in line:
            break
    os.killpg(process.pid, signal.SIGINT)  # once, as a terminal does, to jobs too
    after = list(process.stderr)
    assert process.wait() != 0, before
    assert len(after) <= 6, after
    assert "same command goes on" in "".join(after[-2:])
    assert run(tmp_path, "results/student_demo.json", config=[TINY], dry=True).status == 0


def test_a_job_that_ends_by_ctrl_c_before_snakemake_hears_of_it_is_no_error(tmp_path: Path) -> None:
    clone(tmp_path / "clone")
    stage = tmp_path / "clone/workflow/vidistill/data/demo/demo.py"
    stage.write_text(
        stage.read_text().replace(
            "    parser = stage.arguments", "    raise KeyboardInterrupt\n    parser = stage.arguments"
        )
    )
    outcome = run(tmp_path, "results/demo/annotations.csv", config=[TINY], root=tmp_path / "clone")
    assert outcome.status != 0
    assert "Error in rule" not in outcome.text
    assert "same command goes on" in outcome.text


@pytest.mark.parametrize("missing", ["snakemake_logger_plugin_vidistill", "restart_times"])
def test_without_what_is_beyond_snakemakes_interface_runs_are_the_same(tmp_path: Path, missing: str) -> None:
    """A plain clone has no plugin, another version of Snakemake other internals: comforts are lost, and no run."""
    clone(tmp_path / "clone")
    profile, internals = (tmp_path / "clone" / name for name in ("profiles/default/config.yaml", "rules/internals.smk"))
    for file in (profile, internals):
        text = file.read_text()
        file.write_text(
            text.replace(f'"{missing}"', '"no_such_name"').replace("getattr(part, name", "getattr(part, 'no'")
        )
    outcome = run(tmp_path, "results/demo/annotations.csv", config=[TINY], root=tmp_path / "clone")
    assert outcome.status == 0, outcome.text
    assert ("demo (results/logs/demo.log)" in outcome.text) == (missing == "restart_times")


def ended(text: str) -> list[str]:
    """What stands after the last job, without Snakemake's own lines."""
    lines = text[text.rindex("(100%) done") :].splitlines()[1:]
    return [
        line for line in lines if not line.startswith(("Removing temporary output", "Complete log", "Elapsed time"))
    ]


def test_a_run_ends_with_what_can_be_done_with_its_result(tmp_path: Path, tiny_results: Path) -> None:
    shutil.copytree(tiny_results.parent, tmp_path, dirs_exist_ok=True)
    results = ("results/student_demo.json", "results/tables_demo.csv")
    (tmp_path / results[0]).unlink()
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
