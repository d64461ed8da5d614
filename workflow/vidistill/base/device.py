"""Which device a network runs on: the first GPU that no other job of this machine has, or the CPU."""

import logging

import torch

from vidistill.base import gpus
from vidistill.base.gpus import Device
from vidistill.base.stage import UserError

log = logging.getLogger(__name__)


def choose(wanted: Device, threads: int, remedy: str | None = None) -> torch.device:
    """The device for this process; with the CPU, `threads` of them, so that results do not depend on the cores given.

    Args:
        remedy: what to do where there is no GPU; None for what the users of a stage can.

    Raises:
        UserError: `cuda` is asked for and there is none, or every GPU is taken.
    """
    torch.set_num_threads(threads)
    if wanted == "cpu" or not torch.cuda.is_available():
        if wanted == "cuda":
            remedy = remedy or "set device: auto or cpu in the configuration"
            raise UserError(f"device is 'cuda' and PyTorch finds no GPU; {remedy}.")
        log.info("device: cpu, %d threads", threads)
        return torch.device("cpu")
    index = gpus.take(torch.cuda.device_count(), remedy)
    log.info("device: cuda:%d, %s", index, torch.cuda.get_device_name(index))
    return torch.device("cuda", index)
