"""The ways of computing TV-L1 and the choice between them; PyTorch is imported only where it may be what computes."""

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
# In the order in which `auto` tries them, GPUs first. Who built OpenCV with CUDA wants it; by PyTorch a CPU is slow.
BACKENDS: dict[str, Backend] = {
    "opencv-cuda": by_opencv.CUDA,
    "numba": by_numba.CPU,
    "opencv-cpu": by_opencv.CPU,
    "torch": TORCH,
}


def choose(wanted: str, device: Device) -> tuple[str, Kind]:
    """The backend to use and on what: the wanted one, or with `auto` the first that can run; the log says why.

    A GPU comes before the CPU.

    Args:
        wanted: a name of `BACKENDS`, or auto.
        device: what the run may use.

    Raises:
        UserError: if the wanted one, or none, can run here.
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
    """The device for this process: cpu, or cuda and the number of a GPU that no other job of this machine has.

    Raises:
        UserError: every GPU is taken.
    """
    return "cpu" if kind == "cpu" else f"cuda:{gpus.take(BACKENDS[name].gpus())}"
