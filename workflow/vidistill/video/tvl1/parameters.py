"""What every TV-L1 backend agrees on (Zach, Pock, Bischof 2007): its arrays, and how flow is stored."""

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
        lacking: for each kind of device that it can use, the faster first, says why it cannot here; empty when it can.
        gpus: how many GPUs it sees.
        estimator: makes an `Estimator` for one frame size, from the parameters, a number of threads that it may use,
            and the device: cpu, or cuda:0, cuda:1, ...
        pairs: how many pairs it likes to get at once; bounds memory.
        remark: for a kind of device, what the log says when it is chosen.
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
    clamped = np.clip(flow, -bound, bound)  # finite by contract: estimators get no other input than uint8
    return ((clamped + bound) * (255 / (2 * bound))).astype(np.uint8)
