"""GPUs of this machine: whether there are any, and which one is this process's own. Standard library only."""

import fcntl
import os
from pathlib import Path
from typing import Literal

from vidistill.base.stage import UserError

Device = Literal["auto", "cpu", "cuda"]  # what the configuration asks for

LOCKS = Path("/tmp")  # not TMPDIR, which schedulers set for each job
JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")  # in which schedulers say whose process this is

_held: dict[int, int] = {}  # the GPU that this process has -> its lock, which lives as long as the process


def has_gpu() -> bool:
    """Whether this machine shows a GPU's device file: NVIDIA's, Windows' for Linux, or AMD's."""
    return any(map(os.path.exists, ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")))


def take(count: int, remedy: str | None = None) -> int:
    """The number, among the `count` that this process sees, of the first GPU that no other job of this machine has.

    It is this process's own until it ends, however it ends; asked again, the process gets the same one.

    Args:
        remedy: what to do where all are taken; None for what the users of the workflow can.

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
        f"run with --resources gpu={count}, and when it is another run that has them, one after the other, or give "
        "each its own by CUDA_VISIBLE_DEVICES"
    )
    raise UserError(f"all {count} GPUs are taken by other jobs of this machine; {remedy}.")


def names(count: int) -> list[str]:
    """What the GPUs that this process sees are called on the whole machine: by number or UUID.

    Those that a scheduler gave to a job are named after the job, since within its container each job may count from 0.
    """
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if len(visible) < count:
        return [str(index) for index in range(count)]
    job = next((os.environ[key] for key in JOBS if os.environ.get(key)), None)
    return [f"{job}-{name}" if job else name for name in visible[:count]]


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY)  # also of another user, whose file nobody else may write
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
