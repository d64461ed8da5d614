"""Killed at any moment, out of disk, twice at once: the same command again ends with an undisturbed run's files."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

import own_videos
from own_videos import RESULT, TINY
from workflow_runs import command, run

STAGES = ("video.decode", "video.flow", "features.extract", "mmdist.train", "mmdist.export")
MODEL = "results/mine/student/seed-0/model.safetensors"  # which all of them are needed for
LONGER = {"train": {"optimisation": {"epochs": 6}}}  # so that training is killed between epochs, too


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    own_videos.configuration(folder, changes=LONGER, shards=1)
    outcome = run(folder, RESULT, config=files(folder))
    assert outcome.status == 0, outcome.text
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own_videos.configuration(tmp_path, changes=LONGER, shards=1)
    return tmp_path


def files(folder: Path) -> list[Path]:
    return [TINY, folder / "mine.yaml"]


@contextmanager
def started(folder: Path, target: str = RESULT) -> Iterator[psutil.Popen]:
    """Snakemake at work, and nothing of it left afterwards."""
    with open(folder / "snakemake.log", "a") as log:
        process = psutil.Popen(command(target, config=files(folder)), cwd=folder, stdout=log, stderr=log)
    family = [process]
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            family += process.children(recursive=True)
        kill(family)
        process.wait()


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def jobs_of(process: psutil.Process, stage: str) -> list[psutil.Process]:
    """The processes of this stage that a run has started, workers of theirs included."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if f"vidistill.{stage}" in child.cmdline():
                    found += [*child.children(recursive=True), child]
    return found


def kill_once(process: psutil.Process, stage: str, after: float) -> bool:
    """Kill a stage's jobs so many seconds after they are seen; whether any was there before the run ended."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if jobs_of(process, stage):
            time.sleep(after)
            kill(jobs_of(process, stage))
            return True
        time.sleep(0.02)
    return False


def finish(folder: Path, undisturbed: Path) -> None:
    """Run to the end, and find what an undisturbed run leaves, no more and no less."""
    assert run(folder, RESULT, "--unlock", config=files(folder)).status == 0
    for _ in range(3):  # orphans of a killed run may end meanwhile
        outcome = run(folder, RESULT, config=files(folder))
        if outcome.status == 0:
            break
    assert outcome.status == 0, outcome.text
    assert own_videos.differences(undisturbed, folder) == []
    left = [path for path in (folder / "results").rglob("*") if path.is_file() and path.name.startswith(".")]
    assert left == []
    assert not [path for path in (folder / "results" / ".work").rglob("*") if path.is_file()]
    assert run(folder, RESULT, config=files(folder), dry=True).jobs == {}


def disturb(folder: Path, rounds: int, seed: int) -> list[int]:
    """Kill, in turn, all of a run, Snakemake alone and one job, at random moments: how many jobs each leaves to do."""
    chance, left = random.Random(seed), []
    for number in range(rounds):
        how = ("everything", "Snakemake", "a job")[number % 3]
        with started(folder) as process:
            if how == "a job":
                kill_once(process, chance.choice(STAGES[:4]), after=chance.uniform(0, 1.5))
                time.sleep(0.5)
            else:
                time.sleep(chance.uniform(2, 9))
            if how == "Snakemake":
                orphans = process.children(recursive=True) if process.is_running() else []
                kill([process])
                psutil.wait_procs(orphans, timeout=chance.uniform(0, 2))
        left.append(run(folder, RESULT, config=files(folder), dry=True).jobs.total())
    return left


def test_a_job_killed_in_each_stage_is_tried_again_in_the_same_run(undisturbed: Path, folder: Path) -> None:
    """As for lack of memory: the next attempt asks for more of it, and goes on where the first one was."""
    chance = random.Random(5)
    with started(folder, MODEL) as process:
        killed = [stage for stage in STAGES if kill_once(process, stage, after=chance.uniform(0, 1))]
        assert set(killed) >= set(STAGES[:4])
        assert process.wait() == 0
    finish(folder, undisturbed)
    (folder / RESULT).unlink()
    with started(folder) as process:
        assert kill_once(process, "evaluation.evaluate", after=chance.uniform(0, 1))
        assert process.wait() == 0
    assert own_videos.differences(undisturbed, folder) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_many_random_moments(undisturbed: Path, folder: Path, seed: int) -> None:
    left = disturb(folder, rounds=15, seed=seed)
    assert left == sorted(left, reverse=True), "finished jobs were redone"
    finish(folder, undisturbed)


def test_two_runs_at_once_do_not_meet(folder: Path) -> None:
    with started(folder) as first:
        while not (folder / ".snakemake" / "locks").is_dir() or not list((folder / ".snakemake" / "locks").iterdir()):
            assert first.is_running()
            time.sleep(0.05)
        second = run(folder, RESULT, config=files(folder))
        assert second.status != 0
        assert "Directory cannot be locked" in second.text
        assert run(folder, RESULT, config=files(folder), dry=True).status == 0  # looking is allowed
        assert first.is_running()


@contextmanager
def mounted(place: Path, size: str) -> Iterator[None]:
    """A file system of its own; skipped where nobody may mount one."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip("mounting a file system needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


@pytest.mark.parametrize("size", ["350k", pytest.param("40k", marks=pytest.mark.long)])
def test_a_full_disk_is_said_and_loses_nothing(undisturbed: Path, folder: Path, size: str) -> None:
    result = "results/baseline_mine.json"
    with mounted(folder / "results", size):
        outcome = run(folder, result, config=files(folder))
        assert outcome.status != 0
        assert outcome.errors, outcome.text
        assert all("no space is left" in error for error in outcome.errors), outcome.errors
        assert "Traceback" not in outcome.text
        remount(folder / "results", "size=1g")
        assert run(folder, result, config=files(folder)).status == 0
        whole, made = (own_videos.contents(path / "results") for path in (undisturbed, folder))
        assert [name for name in made if name in whole and made[name] != whole[name]] == []
        assert len(made.keys() & whole.keys()) > 8


def test_a_folder_that_cannot_be_written_is_said_first(folder: Path) -> None:
    with mounted(folder / "results", "1m"):
        remount(folder / "results", "ro")
        outcome = run(folder, RESULT, config=files(folder))
    assert outcome.status != 0
    assert outcome.errors == [f"{folder / 'results'} cannot be written; make it writable, or run elsewhere."]
