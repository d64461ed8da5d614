"""GPUs of this machine: whether there are any, and which one is this process's own. Standard library only."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO, Literal

from mmdist.stage import UserError

Device = Literal["auto", "cpu", "cuda"]  # what the configuration asks for

_held: list[IO[str]] = []  # locks live as long as the process


def has_gpu() -> bool:
    """Whether this machine shows a GPU's device file: NVIDIA's, Windows' for Linux, or AMD's."""
    return any(map(os.path.exists, ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")))


def take(count: int) -> int:
    """The number of the first of `count` GPUs that no other job of this machine has; held until the process ends.

    Raises:
        UserError: all of them are taken.
    """
    for index in range(count):
        lock = open(Path(tempfile.gettempdir()) / f"mmdist-gpu-{index}.lock", "a")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _held.append(lock)
        return index
    raise UserError(f"all {count} GPUs are taken by other jobs; run with --resources gpu={count}.")
