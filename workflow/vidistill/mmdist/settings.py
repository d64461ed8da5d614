"""Settings of MMDist's training; they travel with the model."""

from dataclasses import dataclass
from typing import Literal

from vidistill.base.gpus import Device
from vidistill.mmdist.losses import LossSettings
from vidistill.mmdist.network import NetworkSettings
from vidistill.training import loop
from vidistill.training.loop import Precision
from vidistill.training.samples import Normalise


@dataclass(frozen=True)
class DistillationSettings:
    """How a student learns from its teacher (Eq. 10-12)."""

    weight: float
    global_level: bool
    local_level: bool
    proposal: Literal["overlap", "index", "inject"]


@dataclass(frozen=True)
class OptimisationSettings(loop.OptimisationSettings):
    """Those of the loop, and what it does not read."""

    selection_precision: Precision
    compile: bool


@dataclass(frozen=True)
class TrainSettings:
    dataset: str
    model: str
    seed: int
    streams: tuple[str, ...]
    teachers: tuple[str, ...]
    device: Device
    threads: int
    train_splits: tuple[str, ...]
    test_splits: tuple[str, ...]
    held_out: float
    snippets: int
    normalise: Normalise
    score_weight: float
    network: NetworkSettings
    loss: LossSettings
    distillation: DistillationSettings
    optimisation: OptimisationSettings
