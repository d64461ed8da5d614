"""Which device a stage runs on: the first GPU that no other job of this machine has, or the CPU."""

import fcntl
import logging
import tempfile
from pathlib import Path
from typing import IO, Literal

import torch

from mmdist.stage import UserError

log = logging.getLogger(__name__)
Device = Literal["auto", "cpu", "cuda"]

_held: list[IO[str]] = []  # locks live as long as the process


def choose(wanted: Device, threads: int) -> torch.device:
    """The device for this process; with the CPU, `threads` of them, so that results do not depend on the cores given.

    Raises:
        UserError: `cuda` is asked for and there is none, or every GPU is taken.
    """
    torch.set_num_threads(threads)
    if wanted == "cpu" or not torch.cuda.is_available():
        if wanted == "cuda":
            raise UserError("device is 'cuda' and PyTorch finds no GPU; set device: auto or cpu in the configuration.")
        log.info("device: cpu, %d threads", threads)
        return torch.device("cpu")
    for index in range(torch.cuda.device_count()):
        lock = open(Path(tempfile.gettempdir()) / f"mmdist-gpu-{index}.lock", "a")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _held.append(lock)
        log.info("device: cuda:%d, %s", index, torch.cuda.get_device_name(index))
        return torch.device("cuda", index)
    count = torch.cuda.device_count()
    raise UserError(f"all {count} GPUs are taken by other jobs; run with --resources gpu={count}.")
