"""A common interface to I3D, C3D and CLIP."""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vidistill.features import c3d, i3d, random_weights, weights, windows
from vidistill.features.clip_images import CLIPExtractor
from vidistill.features.streaming import Stream
from vidistill.features.windows import Grid, Piece
from vidistill.settings.extract import AnySettings, C3DSettings, CLIPSettings, I3DSettings

log = logging.getLogger(__name__)

FRAMES = 192  # that go through I3D at once: fewer cost time at the layers' edges, more cost memory


class Extractor(Protocol):
    """A network as the stage uses it.

    Attributes:
        grid: positions of its vectors on the frames.
        batch: pieces per batch.
        part: frames of a piece that are read at once; None for all.
        files: paths of its files by setting.
        about: what else decides about the features, for their provenance.
    """

    grid: Grid
    batch: int
    part: int | None
    files: dict[str, str]
    about: dict[str, Any]

    def pieces(self, frames: int) -> list[Piece]:
        """The pieces of a video that go through the network."""

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """(n, H, W, C) uint8 -> (n, h, w, C) uint8, image by image."""

    def __call__(self, parts: Iterable[np.ndarray], frames: int) -> np.ndarray:
        """Pieces of `frames` frames, (B, T, h, w, C) uint8, prepared, part by part -> (B, V, D) float32.

        `grid` gives V.
        """


def build(settings: AnySettings, device: torch.device) -> Extractor:
    """The extractor that the settings describe.

    Raises:
        UserError: a file cannot be used.
    """
    if isinstance(settings, CLIPSettings):
        return CLIPExtractor(settings, device)
    return I3DExtractor(settings, device) if isinstance(settings, I3DSettings) else C3DExtractor(settings, device)


class I3DExtractor:
    """See `Extractor`."""

    def __init__(self, settings: I3DSettings, device: torch.device):
        channels = {"frames": 3, "flow": 2}[settings.input]
        network = i3d.I3D(channels, settings.endpoint)
        self._refine: Callable[[np.ndarray], np.ndarray] = np.asarray
        if settings.weights:
            weights.load_into(network, settings.weights, weights.i3d_name)
        else:
            self._refine = _randomise(network, settings.seed, random_weights.synthetic_clips(channels, settings.seed))
        self._network, self._infer = network, _Inference(network, settings, device)
        self._settings = settings
        self.grid = i3d.grid(settings.endpoint)
        self.batch = settings.batch if settings.window else 1
        # What is read at once bounds the memory, but a chunk with context of its own is read once, as its frames come.
        self.part = settings.chunk if settings.window is None and settings.context is None else None
        if settings.temporal_mean and settings.window:
            self.grid = windows.one_each(settings.window)
        self.files = _files(weights=settings.weights)
        self.about: dict[str, Any] = {}

    def pieces(self, frames: int) -> list[Piece]:
        s = self._settings
        if s.window:
            return windows.sliding(frames, s.window, s.stride, s.last, self.grid)
        if s.context is None:
            return [windows.whole(frames, self.grid)]
        return windows.chunks(frames, s.chunk, s.context, self.grid)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Crop the centre; a side shorter than the crop stays whole, since the network accepts any size."""
        height, width = images.shape[1:3]
        h, w = (min(side, self._settings.crop or side) for side in (height, width))
        top, left = (height - h) // 2, (width - w) // 2
        return images[:, top : top + h, left : left + w]

    def __call__(self, parts: Iterable[np.ndarray], frames: int) -> np.ndarray:
        stream = Stream(self._network, frames)
        made = [
            self._infer(clips, lambda x: x.mul_(2).div_(255).sub_(1), stream)
            for part in parts
            for clips in np.array_split(part, -(-part.shape[1] // (self._settings.window or FRAMES)), axis=1)
        ]
        features = self._refine(np.concatenate(made, 1))
        return features.mean(1, keepdims=True) if self._settings.temporal_mean else features


class C3DExtractor:
    """See `Extractor`."""

    def __init__(self, settings: C3DSettings, device: torch.device):
        network = c3d.C3D(settings.endpoint)
        mean = c3d.read_mean(settings.mean) if settings.mean else torch.full((3, 1, 1, 1), c3d.GREY)
        self._refine: Callable[[np.ndarray], np.ndarray] = np.asarray
        if settings.weights:
            weights.load_into(network, settings.weights)
        else:
            clips = random_weights.synthetic_clips(3, settings.seed)[:4]  # the network is slow
            sized = nn.functional.interpolate(clips, size=(c3d.FRAMES, c3d.CROP, c3d.CROP))
            self._refine = _randomise(network, settings.seed, (sized + 1) * 127.5 - c3d.GREY)
        self._network, self._infer = network, _Inference(network, settings, device)
        self._mean = mean.to(device)
        self._pca = c3d.read_pca(settings.pca, settings.dimension) if settings.pca else None
        self._settings = settings
        self.grid, self.batch = c3d.GRID, settings.batch
        self.part: int | None = None
        self.files = _files(weights=settings.weights, mean=settings.mean, pca=settings.pca)
        self.about: dict[str, Any] = {}

    def pieces(self, frames: int) -> list[Piece]:
        return windows.sliding(frames, c3d.FRAMES, self._settings.stride, self._settings.last, self.grid)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        return c3d.prepare(images)

    def __call__(self, parts: Iterable[np.ndarray], frames: int) -> np.ndarray:
        (clips,) = parts
        features = self._refine(self._infer(clips, lambda x: x.sub_(self._mean), self._network))
        return c3d.reduce(features, *self._pca) if self._pca else features


class _Inference:
    """The device of a network, which is moved there."""

    def __init__(self, network: nn.Module, settings: I3DSettings | C3DSettings, device: torch.device):
        for unit in network.modules():
            if isinstance(unit, i3d.Unit3D):
                unit.fold()
        # Channels last is the layout of bfloat16 convolutions, on CPUs as on GPUs.
        network.requires_grad_(False).to(device)
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # torch's own stub lacks it
        if settings.compile:  # I3D is called layer by layer
            for module in network.children() if isinstance(network, i3d.I3D) else [network]:
                module.compile(dynamic=True)  # the last part of a video is shorter
        self._lock = threading.Lock()  # one part at a time on the device, however many videos are read
        self._device, self._bf16 = device, settings.precision == "bf16"
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = settings.precision == "tf32"

    @torch.inference_mode()
    def __call__(
        self, clips: np.ndarray, scale: Callable[[Tensor], Tensor], network: Callable[[Tensor], Tensor]
    ) -> np.ndarray:
        """(B, T, H, W, C) uint8, scaled in place -> the network's output, float32."""
        x = torch.from_numpy(np.ascontiguousarray(clips)).to(self._device).permute(0, 4, 1, 2, 3)
        x = scale(x.float()).contiguous(memory_format=torch.channels_last_3d)
        with self._lock, torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            return network(x).float().cpu().numpy()


def _randomise(network: nn.Module, seed: int, clips: Tensor) -> random_weights.Whitening:
    log.warning(
        "this feature network has random weights (none configured, seed %d): fine for the demo, not for real videos",
        seed,
    )
    random_weights.initialise(network, seed)
    return random_weights.calibrate(network, clips)


def _files(**given: str | None) -> dict[str, str]:
    return {name: path for name, path in given.items() if path}
