"""The device of a network: the first GPU that no other job on this machine holds, or the CPU."""

import logging

import torch

from vidistill.base import gpus
from vidistill.base.gpus import Device
from vidistill.base.stage import UserError

log = logging.getLogger(__name__)


def choose(wanted: Device, threads: int, remedy: str | None = None) -> torch.device:
    """Choose the device of this process and set the CPU threads, so that results do not depend on the available cores.

    Args:
        remedy: what to do without a GPU; None for the advice to users of a stage.

    Raises:
        UserError: `cuda` is requested and there is no GPU, or every GPU is taken.
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


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a GPU; 0 for a CPU."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
