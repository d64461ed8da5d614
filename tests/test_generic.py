"""The profile for any scheduler: a whole run by a submit command of the test's own, what is asked of each scheduler."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow_runs import ROOT, TINY

PROFILE = ROOT / "profiles" / "generic"
RESULT = "results/baseline_demo.json"
# A scheduler: starts jobs in the background, and knows of each how it ended. One job it kills, as if out of memory.
SUBMIT = """#!/usr/bin/env bash
set -eu
rule=$1 attempt_memory=$2 minutes=$3 gpus=$4 script=$5
folder=$(cd "$(dirname "$0")" && pwd)
number=$$
echo "$number $rule $attempt_memory $minutes $gpus" >> "$folder/submitted"
if [ "$rule" = decode ] && mkdir "$folder/killed" 2> /dev/null; then
    echo failed > "$folder/$number"
else
    (if bash "$script" > "$folder/$number.log" 2>&1; then echo success; else echo failed; fi > "$folder/$number.new"
     mv "$folder/$number.new" "$folder/$number") > /dev/null 2>&1 < /dev/null &
fi
echo "$number"
"""
STATUS = """#!/usr/bin/env bash
cat "$(dirname "$0")/$1" 2> /dev/null || echo running
"""


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.slurm
def test_a_run_by_a_submit_command(tmp_path: Path) -> None:
    pytest.importorskip("snakemake_executor_plugin_cluster_generic")
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    scheduler = tmp_path / "a scheduler"
    scheduler.mkdir()
    submit, status = (executable(scheduler / n, t) for n, t in (("submit", SUBMIT), ("status", STATUS)))
    profile = tmp_path / "profiles" / "generic" / "config.yaml"
    settings = yaml.safe_load(profile.read_text())
    resources = "{rule} {resources.mem_mb} {resources.runtime} {resources.gpu}"
    settings["cluster-generic-submit-cmd"] = f"'{submit}' {resources}"
    settings["cluster-generic-status-cmd"] = f"'{status}'"
    profile.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), RESULT]
    command += ["--profile", "profiles/generic", "--jobs", "2", "--seconds-between-status-checks", "1"]
    command += ["--latency-wait", "5", "--configfile", str(TINY)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / RESULT).exists()
    rows = [line.split() for line in (scheduler / "submitted").read_text().splitlines()]
    decoded = sorted((int(memory), int(minutes)) for _, rule, memory, minutes, _ in rows if rule == "decode")
    assert decoded == [(2000, 240), (2000, 240), (4000, 480)]  # two shards, and once more the one that was killed
    assert {gpus for *_, gpus in rows} == {"0"}  # device: cpu


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        ({"qstat": "echo '    job_state = R'"}, "running"),
        ({"qstat": "printf '    job_state = F\\n    Exit_status = 0\\n'"}, "success"),
        ({"qstat": "printf '    job_state = F\\n    Exit_status = -29\\n'"}, "failed"),
        ({"qstat": "exit 153"}, "running"),  # the server did not answer
        ({"qacct": "exit 1", "qstat": "true"}, "running"),
        ({"qacct": "exit 1", "qstat": "exit 1"}, "running"),  # between the two
        ({"qacct": "printf 'failed       0\\nexit_status  0\\n'", "qstat": "exit 1"}, "success"),
        ({"qacct": "printf 'failed       0\\nexit_status  1\\n'", "qstat": "exit 1"}, "failed"),
        (
            {"qacct": "printf 'failed       100 : after job\\nexit_status  137\\n'", "qstat": "exit 1"},
            "failed",
        ),
        ({"bjobs": "echo PEND"}, "running"),
        ({"bjobs": "echo 'DONE '"}, "success"),
        ({"bjobs": "echo EXIT"}, "failed"),
    ],
)
def test_how_a_job_is(tmp_path: Path, programs: dict[str, str], expected: str) -> None:
    """What each scheduler answers is written here from its manual."""
    for name, line in programs.items():
        executable(tmp_path / name, f"#!/bin/sh\n{line}\n")
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.defpath}"}
    done = subprocess.run([PROFILE / "status.sh", "7"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{expected}\n"


def test_lsf_prints_a_number(tmp_path: Path) -> None:
    executable(
        tmp_path / "bsub",
        '#!/bin/sh\nprintf "%s " "$@" > asked\ncat > script\necho "Job <42> is submitted to queue <q>."\n',
    )
    (tmp_path / "job.sh").write_text("true\n")
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.defpath}"}
    command = [str(PROFILE / "bsub.sh"), "-n", "4", "-R", "span[hosts=1]", "job.sh"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"
    assert (tmp_path / "asked").read_text() == "-n 4 -R span[hosts=1] "
    assert (tmp_path / "script").read_text() == "true\n"
