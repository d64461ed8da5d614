"""The tiny demo on a Slurm cluster of two nodes, with all that goes wrong on clusters going wrong on the way."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from cluster import NODES, Cluster, UnavailableError, cluster, said, wait
from workflow_runs import ROOT, TINY, run

pytestmark = pytest.mark.slurm

RESULT = "results/student_demo.json"
KINDS = ("*.json", "*.jsonl", "*.parquet", "*.safetensors", "*.csv")
CHANGES = {"collections": {"demo": {"shards": 3}}, "device": "auto"}  # jobs of networks ask for a GPU
PARTITIONS = {"partitions": {"cpu": {"max_threads": 4}, "gpu": {"max_threads": 4, "max_gpu": 2}}}
RUNTIMES = {"flow": 720, "extract": 240, "train": 720}  # minutes, in rules/
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}  # and compute on the CPU


class Run:
    """Snakemake as it runs on a cluster, and what becomes of its jobs."""

    def __init__(self, folder: Path, here: Cluster):
        self.cluster = here
        self.requeued = ""  # what Slurm says of the job whose node died
        self.seen: list[dict[str, str]] = []  # each job in each state, as they came
        shutil.copytree(ROOT / "profiles", folder / "profiles")
        for name, part in (("partitions.yaml", PARTITIONS), ("changes.yaml", CHANGES)):
            (folder / name).write_text(yaml.safe_dump(part))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), RESULT]
        command += ["--profile", "profiles/slurm", "--slurm-partition-config", "partitions.yaml"]
        # Without accounting squeue has to be asked; and not only after the default of 40 s.
        command += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
        command += ["--latency-wait", "10"]
        command += ["--configfile", str(TINY), "changes.yaml"]
        self.output = folder / "snakemake.out"
        with self.output.open("wb") as out:
            environment = {**os.environ, **ENVIRONMENT}
            self.process = subprocess.Popen(
                command, cwd=folder, stdout=out, stderr=out, env=environment, start_new_session=True
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    def look(self) -> list[dict[str, str]]:
        """The jobs as they are now."""
        jobs = self.cluster.jobs()
        self.seen += [job for job in jobs if job not in self.seen]
        return jobs

    def of(self, rule: str, *states: str) -> list[dict[str, str]]:
        """Each state in which jobs of a rule were seen."""
        wanted = [job for job in self.seen if re.match(rf"rule_{rule}(_wildcards|$)", job["comment"])]
        return [job for job in wanted if job["state"] in (states or (job["state"],))]

    def working(self, rule: str) -> tuple[dict[str, str], psutil.Process]:
        """A job of a rule, and the process of its command."""
        found: list[tuple[dict[str, str], psutil.Process]] = []

        def at_work() -> bool:
            assert self.process.poll() is None, self.text[-8000:]
            running = [job for job in self.look() if job["state"] == "RUNNING" and job in self.of(rule)]
            for job in running:
                processes = self.cluster.processes_of(job)
                found[:] = [(job, p) for p in processes if re.search(rf"-m vidistill[\w.]*\.{rule} ", line(p))]
                if found:
                    return True
            return False

        wait(f"a job of {rule}", at_work, 900)
        return found[0]

    def wait_for(self, job: dict[str, str], *states: str) -> None:
        wait(
            f"job {job['id']} to be {states}",
            lambda: any(now["id"] == job["id"] and now["state"] in states for now in self.look()),
            120,
        )


def line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) if "python" in process.name() else ""
    except psutil.Error:
        return ""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    try:
        with cluster(tmp_path_factory.mktemp("slurm")) as running:
            yield running
    except UnavailableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run without a cluster."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        local = run(folder, RESULT, config=[TINY], changes=CHANGES)
    assert local.status == 0, local.text
    return folder


@pytest.fixture(scope="module")
def submitted(here: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run to the end, in which a node dies, jobs are cancelled and killed, and one comes to its time limit."""
    folder = tmp_path_factory.mktemp("submitted")
    running = Run(folder, here)
    try:
        # A node: its daemon, then whatever it ran. Slurm notices, runs its jobs anew, and the node comes back.
        job, _ = running.working("decode")
        here.kill_node(job["node"])
        wait("the node to be missed", lambda: here.states()[job["node"]].startswith("down"))
        here.start_node(job["node"])
        running.wait_for(job, "PENDING")
        wait("the node to be back", lambda: here.states()[job["node"]] in ("idle", "mixed", "allocated"))
        said("scontrol", "update", f"JobId={job['id']}", "StartTime=now")  # instead of after two minutes
        running.requeued = said("scontrol", "show", "job", job["id"])

        job, _ = running.working("flow")
        said("scancel", job["id"])
        running.wait_for(job, "CANCELLED")

        # The time limit: a command that does nothing more, and of whose time little is left.
        job, process = running.working("extract")
        process.send_signal(signal.SIGSTOP)
        said("scontrol", "update", f"JobId={job['id']}", "EndTime=now+1")
        running.wait_for(job, "TIMEOUT")

        job, process = running.working("train")
        process.kill()
        running.wait_for(job, "FAILED")

        wait("the end", lambda: bool(running.look()) and running.process.poll() is not None, 900)
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def test_what_fails_on_a_cluster_is_run_again_and_changes_no_byte(submitted: Run, alone: Path) -> None:
    assert submitted.process.returncode == 0, submitted.text[-8000:]
    folder = submitted.output.parent
    files = [path.relative_to(alone) for kind in KINDS for path in (alone / "results").rglob(kind)]
    assert len(files) > 15
    assert [str(name) for name in files if content(alone / name) != content(folder / name)] == []


def content(file: Path) -> bytes:
    """A file's bytes, without the one thing in it that is measured."""
    return re.sub(rb'"latency_ms": [0-9.]+', b"", file.read_bytes()) if file.suffix == ".json" else file.read_bytes()


def test_shards_are_jobs_of_their_own_on_both_nodes(submitted: Run) -> None:
    shards = {job["id"]: job["node"] for job in submitted.of("decode", "COMPLETED")}
    assert len(shards) >= 3
    assert {job["node"] for job in submitted.seen if job["node"]} == set(NODES)


def test_jobs_of_a_node_that_dies_are_left_to_slurm(submitted: Run) -> None:
    assert "Restarts=1" in submitted.requeued
    assert "Requeue=1" in submitted.requeued


def test_jobs_of_networks_ask_for_a_gpu_and_others_for_none(submitted: Run) -> None:
    networks = {rule: True for rule in ("flow", "extract", "train", "export")}
    for rule, wanted in (networks | {"decode": False, "evaluate": False}).items():
        found = {(job["partition"], job["gpus"]) for job in submitted.of(rule)}
        assert found == ({("gpu", "gres:gpu:1")} if wanted else {("cpu", "N/A")}), rule


@pytest.mark.parametrize(("rule", "how"), [("flow", "CANCELLED"), ("extract", "TIMEOUT"), ("train", "FAILED")])
def test_a_second_attempt_is_given_more_memory_and_time(submitted: Run, rule: str, how: str) -> None:
    assert submitted.of(rule, how)
    # Of one shard or model, as the comment names it, the first number and the last.
    comment = submitted.of(rule, how)[0]["comment"]
    attempts = {job["id"]: job for job in submitted.of(rule) if job["comment"] == comment and job["state"] != how}
    first, last = submitted.of(rule, how)[0], attempts[max(attempts, key=int)]
    assert int(last["memory"][:-1]) == 2 * int(first["memory"][:-1])
    assert minutes(last["limit"]) == 2 * RUNTIMES[rule]
    assert last["state"] == "COMPLETED"


def minutes(limit: str) -> int:
    """Of Slurm's [days-]hours:minutes:seconds."""
    days, _, clock = limit.rpartition("-")
    hours, rest, _ = clock.split(":")
    return (int(days or 0) * 24 + int(hours)) * 60 + int(rest)
