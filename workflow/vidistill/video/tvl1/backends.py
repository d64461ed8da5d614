"""The TV-L1 backends and the choice between them; PyTorch is imported only if it may be chosen."""

import logging

from vidistill.base import gpus
from vidistill.base.gpus import Device
from vidistill.base.stage import UserError
from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1 import by_numba, by_opencv
from vidistill.video.tvl1.parameters import Backend, Estimator, Kind

log = logging.getLogger(__name__)


def _torch_gpus() -> int:
    if not gpus.has_gpu():  # importing PyTorch takes seconds, in each of a shard's workers
        return 0
    from vidistill.video.tvl1 import by_torch

    return by_torch.gpus()


def _torch_estimator(parameters: Tvl1, threads: int, device: str) -> Estimator:
    from vidistill.video.tvl1 import by_torch

    return by_torch.estimator(parameters, threads, device)


TORCH = Backend(
    {"cuda": lambda: "" if _torch_gpus() else "PyTorch finds no GPU", "cpu": str},
    _torch_gpus,
    _torch_estimator,
    pairs=256,
    remark={"cuda": "no GPU has run this backend yet", "cpu": "on a CPU it is for tests"},
)
# In the order in which `auto` tries them, GPUs first: whoever built OpenCV with CUDA wants it; PyTorch is slow on CPUs.
BACKENDS: dict[str, Backend] = {
    "opencv-cuda": by_opencv.CUDA,
    "numba": by_numba.CPU,
    "opencv-cpu": by_opencv.CPU,
    "torch": TORCH,
}


def choose(wanted: str, device: Device) -> tuple[str, Kind]:
    """Choose the backend and the kind of device: the wanted one, or with `auto` the first that can run, GPUs first.

    The log says why others were passed over.

    Args:
        wanted: a name of `BACKENDS`, or auto.
        device: the configured device.

    Raises:
        UserError: no backend can run here, or not the wanted one.
    """
    candidates = [(name, kind) for name, backend in BACKENDS.items() for kind in backend.lacking]
    candidates = [c for c in sorted(candidates, key=lambda c: c[1] == "cpu") if wanted in (c[0], "auto")]
    passed: list[str] = []
    for name, kind in candidates:
        reason = BACKENDS[name].lacking[kind]() if device in ("auto", kind) else f"device is {device!r}"
        if not reason:
            log.info("TV-L1 by %s, %s%s", name, kind, f" ({'; '.join(passed)})" if passed else "")
            if remark := BACKENDS[name].remark.get(kind):
                log.info("%s: %s", name, remark)
            return name, kind
        passed.append(f"{name}: {reason}")
    raise UserError(
        f"flow.backend {wanted!r} cannot run here ({'; '.join(passed)}); set flow.backend: auto, or see envs/."
    )


def take(name: str, kind: Kind) -> str:
    """The device for this process: cpu, or cuda and the number of a GPU that no other job on this machine uses.

    Raises:
        UserError: all GPUs are in use.
    """
    return "cpu" if kind == "cpu" else f"cuda:{gpus.take(BACKENDS[name].gpus())}"
