"""Settings of the stage that extracts features: what all networks share, and what each has besides."""

import json
from dataclasses import dataclass
from typing import Literal

from vidistill.base import settings as settings_module
from vidistill.base.device import Device
from vidistill.base.stage import UserError
from vidistill.features import c3d, i3d
from vidistill.features.windows import Last


@dataclass(frozen=True)
class ExtractSettings:
    extractor: Literal["i3d", "c3d"]
    input: Literal["frames", "flow"]
    device: Device
    threads: int  # of PyTorch on the CPU
    weights: str | None  # file; None: random, of `seed`
    seed: int
    endpoint: str
    stride: int  # frames from one window to the next
    last: Last
    batch: int  # windows at once
    precision: Literal["fp32", "tf32", "bf16"]
    compile: bool
    dtype: Literal["float16", "float32"]  # of the file


@dataclass(frozen=True)
class I3DSettings(ExtractSettings):
    crop: int | None  # pixels of the central square; None: all of the frame
    window: int | None  # frames; None: the whole video, in chunks
    chunk: int  # frames of a chunk
    context: int | None  # frames on either side of a chunk; None: as many as leave no seam
    temporal_mean: bool


@dataclass(frozen=True)
class C3DSettings(ExtractSettings):
    mean: str | None  # .npy
    pca: str | None  # HDF5
    dimension: int  # behind the PCA


KINDS: dict[str, type[I3DSettings] | type[C3DSettings]] = {"i3d": I3DSettings, "c3d": C3DSettings}


def read(text: str) -> I3DSettings | C3DSettings:
    """Settings from their JSON text.

    Raises:
        UserError: on a key that is unknown, missing or of the wrong type, and on values that contradict each other.
    """
    name = json.loads(text).get("extractor")
    if name not in KINDS:
        raise UserError(f"extractor is {name!r}; supported values are 'i3d', 'c3d'.")
    settings = settings_module.parse(KINDS[name], text)
    endpoints = i3d.ENDPOINTS if name == "i3d" else c3d.ENDPOINTS
    if settings.endpoint not in endpoints:
        raise UserError(f"{name}.endpoint is {settings.endpoint!r}; supported values are {', '.join(endpoints)}.")
    if isinstance(settings, C3DSettings) and settings.input == "flow":
        raise UserError("the extractor c3d reads frames, not flow; set input: frames, or extractor: i3d.")
    if isinstance(settings, C3DSettings) and settings.weights and not settings.mean:
        raise UserError(
            "c3d.weights is set without c3d.mean; name the mean of the frames that they were trained on (.npy)."
        )
    if isinstance(settings, I3DSettings) and settings.temporal_mean and settings.window is None:
        raise UserError("i3d.temporal_mean is a mean over a window; set i3d.window to its number of frames.")
    return settings
