"""The interface of TV-L1 backends (Zach, Pock, Bischof 2007), and the quantisation of flow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vidistill.settings.flow import Tvl1

# (n + 1, H, W) uint8 grey frames -> (n, H, W, 2) float32 pixels (u right, v down), row t from frame t to t + 1.
Estimator = Callable[[np.ndarray], np.ndarray]


Kind = Literal["cpu", "cuda"]  # of a device


@dataclass(frozen=True)
class Backend:
    """One way of computing TV-L1.

    Attributes:
        lacking: for each supported kind of device, the fastest first, why it cannot be used here; empty if it can.
        gpus: number of visible GPUs.
        estimator: makes an `Estimator` for one frame size from the parameters, the number of threads and the device
            (cpu, cuda:0, cuda:1, ...).
        pairs: the preferred number of pairs per call; bounds memory.
        remark: per kind of device, a line for the log when it is chosen.
    """

    lacking: Mapping[Kind, Callable[[], str]]
    gpus: Callable[[], int]
    estimator: Callable[[Tvl1, int, str], Estimator]
    pairs: int
    remark: Mapping[Kind, str] = field(default_factory=dict)


def quantise(flow: np.ndarray, bound: float) -> np.ndarray:
    """Flow in pixels, clamped to +-`bound`, as uint8: [-bound, bound] -> [0, 255], truncated, so that zero is 127.

    As in DeepMind's flow for I3D (Carreira and Zisserman 2017), whose bound is 20.
    """
    clamped = np.clip(flow, -bound, bound)  # always finite, since estimators take uint8
    return ((clamped + bound) * (255 / (2 * bound))).astype(np.uint8)
