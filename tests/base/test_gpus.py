"""Which GPU a process has: real processes, GPUs of which only the number is pretended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vidistill.base import device, gpus

ROOT = Path(__file__).resolve().parents[2]
TAKE = """
import sys
from pathlib import Path
from vidistill.base import gpus
from vidistill.base.stage import UserError
gpus.LOCKS = Path(sys.argv[1])
sys.stdin.readline()  # until all processes are there
try:
    print(gpus.take(int(sys.argv[2])), flush=True)
except UserError as error:
    print(error, flush=True)
sys.stdin.readline()
"""
SEEN = [  # what a process is told, and what its GPUs are called
    ({}, 2, ["0", "1"]),
    ({"CUDA_VISIBLE_DEVICES": "3,5"}, 2, ["3", "5"]),
    ({"CUDA_VISIBLE_DEVICES": "GPU-5a0b, MIG-77"}, 2, ["GPU-5a0b", "MIG-77"]),
    ({"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_ID": "17"}, 1, ["17-0"]),
    ({"CUDA_VISIBLE_DEVICES": "GPU-5a0b", "PBS_JOBID": "4.host"}, 1, ["4.host-GPU-5a0b"]),
    ({"SLURM_JOB_ID": "17"}, 2, ["0", "1"]),  # a cluster that does not hand out GPUs: jobs see all
    ({"CUDA_VISIBLE_DEVICES": "0,9"}, 1, ["0"]),  # CUDA ends the list at a GPU that does not exist
]


class Taker:
    """A process of its own that takes one of some GPUs."""

    def __init__(self, folder: Path, count: int, **environment: str):
        kept = {k: v for k, v in os.environ.items() if k not in (*gpus.JOBS, "CUDA_VISIBLE_DEVICES")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE, str(folder), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**kept, "PYTHONPATH": str(ROOT / "workflow"), **environment},
        )

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def taken(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self, sent: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(sent)
        self.process.communicate()


def takers(folder: Path, number: int, count: int, **environment: str) -> list[Taker]:
    found = [Taker(folder, count, **environment) for _ in range(number)]
    for taker in found:
        taker.go()
    return found


def test_no_two_processes_have_the_same_gpu(tmp_path: Path) -> None:
    several = takers(tmp_path, 6, 4)
    told = sorted(taker.taken() for taker in several)
    for taker in several:
        taker.end()
    assert told[:4] == ["0", "1", "2", "3"]
    assert all(text.startswith("all 4 GPUs are taken") and "--resources gpu=4" in text for text in told[4:])


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_ends_frees_its_gpu(tmp_path: Path, sent: signal.Signals) -> None:
    (first,) = takers(tmp_path, 1, 1)
    assert first.taken() == "0"
    (second,) = takers(tmp_path, 1, 1)
    assert second.taken().startswith("all 1 GPUs are taken")
    first.end(sent)
    (third,) = takers(tmp_path, 1, 1)
    assert third.taken() == "0"
    second.end()
    third.end()


def test_jobs_of_a_scheduler_that_each_count_from_0_do_not_meet(tmp_path: Path) -> None:
    jobs = [takers(tmp_path, 1, 1, CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID=number)[0] for number in ("17", "18")]
    same = takers(tmp_path, 1, 1, CUDA_VISIBLE_DEVICES="0", SLURM_JOB_ID="17")[0]
    told = [taker.taken() for taker in (*jobs, same)]
    for taker in (*jobs, same):
        taker.end()
    assert told[1] == "0"
    assert sorted(text == "0" for text in (told[0], told[2])) == [False, True]  # of the two of job 17 one


def test_processes_that_see_other_gpus_take_others(tmp_path: Path) -> None:
    sees_one = takers(tmp_path, 1, 1, CUDA_VISIBLE_DEVICES="1")[0]
    assert sees_one.taken() == "0"  # its first, which is the machine's second
    all_of_them = takers(tmp_path, 2, 2)
    told = sorted(taker.taken() for taker in all_of_them)
    for taker in (sees_one, *all_of_them):
        taker.end()
    assert told[0] == "0"
    assert told[1].startswith("all 2 GPUs are taken")


@pytest.mark.parametrize(("environment", "count", "expected"), SEEN)
def test_gpus_have_one_name_on_the_whole_machine(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], count: int, expected: list[str]
) -> None:
    for key in (*gpus.JOBS, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(key, raising=False)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    assert gpus.names(count) == expected


def test_a_lock_file_of_another_user_serves_as_well(tmp_path: Path) -> None:
    (tmp_path / "vidistill-gpu-0.lock").touch(mode=0o444)
    (taker,) = takers(tmp_path, 1, 1)
    assert taker.taken() == "0"
    taker.end()


def test_a_network_is_put_on_the_first_free_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (other,) = takers(tmp_path, 1, 2)
    assert other.taken() == "0"
    for key in (*gpus.JOBS, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr(gpus, "LOCKS", tmp_path)
    monkeypatch.setattr(gpus, "_held", {})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"pretended {index}")
    threads = torch.get_num_threads()
    try:
        assert device.choose("auto", threads) == torch.device("cuda", 1)
        assert device.choose("cuda", threads) == torch.device("cuda", 1)  # in whichever words it is asked for
        assert device.choose("cpu", threads) == torch.device("cpu")
    finally:
        other.end()
        for lock in gpus._held.values():
            os.close(lock)
