"""The image encoder of a CLIP model as a feature extractor: a vector for each frame, or pooled over a few of them."""

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidistill.features import clip, random_weights, windows
from vidistill.features.windows import Grid, Piece
from vidistill.settings.extract import CLIPSettings

log = logging.getLogger(__name__)

SAMPLED = 8  # of a synthetic clip's frames every eighth calibrates random weights
NEGLIGIBLE = 1e-12  # norm


class CLIPExtractor:
    """See `networks.Extractor`. The whole video is one piece, so that each frame goes through the network once."""

    def __init__(self, settings: CLIPSettings, device: torch.device):
        model = clip.load(settings)
        self._settings, self._device, self._lock = settings, device, threading.Lock()
        self._mean, self._std = (
            torch.tensor(model.preparation[name], device=device).view(3, 1, 1) for name in ("mean", "std")
        )
        self._visual = model.network.visual.to(device)
        if settings.compile:
            self._visual.compile(dynamic=True)  # the last batch of a video is smaller
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = settings.precision == "tf32"
        self._fitted = _fitting(model.preparation)
        self._refine: Callable[[np.ndarray], np.ndarray] = np.asarray
        if "weights" not in model.files:
            self._refine = self._calibrated(settings.seed)
        self.grid = Grid(settings.stride, settings.window // settings.stride)
        self.batch = 1
        self.part: int | None = settings.batch
        self.files = model.files
        self.about = {"preparation": model.preparation}

    def pieces(self, frames: int) -> list[Piece]:
        return [windows.whole(frames, self.grid)]

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Resize and crop, as open_clip does for these weights."""
        with ThreadPoolExecutor(self._settings.threads) as pool:
            return np.stack(list(pool.map(self._fitted, images)))

    def __call__(self, parts: Iterable[np.ndarray], frames: int) -> np.ndarray:
        vectors = self._refine(np.concatenate([self._encoded(part[0]) for part in parts]))
        if self._settings.normalise:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), NEGLIGIBLE)
        return pooled(vectors, self.grid, self._settings.pooling)[None]

    @torch.inference_mode()
    def _encoded(self, images: np.ndarray) -> np.ndarray:
        """(n, h, w, 3) uint8, prepared -> (n, D) float32."""
        x = torch.from_numpy(np.ascontiguousarray(images)).to(self._device).permute(0, 3, 1, 2)
        x = (x.float().div_(255) - self._mean) / self._std
        bf16 = self._settings.precision == "bf16"
        with self._lock, torch.autocast(self._device.type, torch.bfloat16, enabled=bf16):
            found: Tensor | tuple[Tensor, ...] = self._visual(x)
            # CoCa's tower gives the tokens, too.
            return (found[0] if isinstance(found, tuple) else found).float().cpu().numpy()

    def _calibrated(self, seed: int) -> random_weights.Whitening:
        log.warning(
            "this CLIP model has random weights (none configured, seed %d): fine for a trial, not for real videos", seed
        )
        clips = random_weights.synthetic_clips(3, seed)[:, :, ::SAMPLED]
        images = ((clips + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 4, 1).flatten(0, 1).numpy()
        batch = self._settings.batch
        parts = [self.prepare(images[start : start + batch]) for start in range(0, len(images), batch)]
        return random_weights.whitening(np.concatenate([self._encoded(part) for part in parts]))


def pooled(vectors: np.ndarray, grid: Grid, pooling: str) -> np.ndarray:
    """(T, D) of frames -> (V, D) of windows; the last ones may be shorter.

    Args:
        pooling: mean or max.
    """
    if grid == (1, 1):
        return vectors
    length, pool = grid.stride * grid.cells, np.mean if pooling == "mean" else np.max
    starts = range(0, grid.count(len(vectors)) * grid.stride, grid.stride)
    return np.stack([pool(vectors[start : start + length], axis=0) for start in starts])


def _fitting(preparation: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """open_clip's resizing and cropping of an image (H, W, 3) uint8, without scaling to its mean and deviation."""
    clip.package()
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image
    from torchvision.transforms import Normalize, ToTensor

    whole = image_transform_v2(PreprocessCfg(**preparation), is_train=False)
    steps = [step for step in whole.transforms if not isinstance(step, ToTensor | Normalize)]

    def fitted(image: np.ndarray) -> np.ndarray:
        found = Image.fromarray(image)
        for step in steps:
            found = step(found)
        return np.asarray(found)

    return fitted
