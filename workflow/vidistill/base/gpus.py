"""GPUs of this machine: whether there are any, and which one this process holds. Standard library only."""

import fcntl
import os
from pathlib import Path
from typing import Literal

from vidistill.base.stage import UserError

Device = Literal["auto", "cpu", "cuda"]  # of the configuration

LOCKS = Path("/tmp")  # not TMPDIR, which schedulers set for each job
JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")  # set by schedulers

_held: dict[int, int] = {}  # the GPU that this process holds -> its lock, which lives as long as the process


def has_gpu() -> bool:
    """Whether this machine shows a GPU's device file: NVIDIA's, Windows' for Linux, or AMD's."""
    return any(map(os.path.exists, ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")))


def take(count: int, remedy: str | None = None) -> int:
    """Take the first of the `count` visible GPUs that no other job on this machine holds, and return its number.

    The process holds it until it ends, however it ends. Further calls return the same GPU.

    Args:
        remedy: what to do if all are taken; None for the advice to users of the workflow.

    Raises:
        UserError: all of them are taken.
    """
    if _held:
        return next(iter(_held))
    for index, name in enumerate(names(count)):
        lock = _open(LOCKS / f"vidistill-gpu-{name.replace('/', '-')}.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _held[index] = lock
        return index
    remedy = remedy or (
        f"run with --resources gpu={count}; if another run holds them, wait for it, or give each run its own GPUs with "
        "CUDA_VISIBLE_DEVICES"
    )
    raise UserError(f"all {count} GPUs are taken by other jobs on this machine; {remedy}.")


def names(count: int) -> list[str]:
    """Machine-wide names of the GPUs that this process sees: numbers or UUIDs.

    GPUs assigned by a scheduler are named after the job, since each job may count from 0 inside its container.
    """
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if len(visible) < count:
        return [str(index) for index in range(count)]
    job = next((os.environ[key] for key in JOBS if os.environ.get(key)), None)
    return [f"{job}-{name}" if job else name for name in visible[:count]]


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY)  # another user's file, too, which nobody else may write
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
