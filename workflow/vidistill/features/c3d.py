"""C3D (Tran et al., ICCV 2015, Fig. 3) to fc6 or fc7, and the PCA behind ActivityNet Captions' 500-d features.

No published weights, mean or PCA were available for this code: shapes and arithmetic are tested, the published numbers
are not. Parameters are named as in most PyTorch conversions of the Caffe model: conv1 ... conv5b, fc6, fc7.
"""

from pathlib import Path

import cv2
import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.base.stage import UserError
from vidistill.features.windows import one_each

FRAMES = 16  # of a window
RESIZED = 128, 171  # height, width of a frame before it is cropped
CROP = 112
GRID = one_each(FRAMES)
ENDPOINTS = ("fc6", "fc7")
DIMENSION = 4096
GREY = 128.0  # subtracted instead of a mean, with random weights

CONVOLUTIONS = {
    "conv1": (3, 64),
    "conv2": (64, 128),
    "conv3a": (128, 256),
    "conv3b": (256, 256),
    "conv4a": (256, 512),
    "conv4b": (512, 512),
    "conv5a": (512, 512),
    "conv5b": (512, 512),
}
POOLED = ("conv1", "conv2", "conv3b", "conv4b", "conv5b")  # followed by a max pooling of stride 2


class C3D(nn.Module):
    """16 frames of 112x112 -> 4096. Endpoints are taken after the ReLU, as in the published features."""

    def __init__(self, endpoint: str = "fc7"):
        super().__init__()
        self.dimension = DIMENSION
        for name, (inputs, channels) in CONVOLUTIONS.items():
            self.add_module(name, nn.Conv3d(inputs, channels, 3, padding=1))
        self.fc6 = nn.Linear(512 * 4 * 4, DIMENSION)
        if endpoint == "fc7":
            self.fc7 = nn.Linear(DIMENSION, DIMENSION)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 16, 112, 112) BGR, mean subtracted -> (B, 1, 4096)."""
        for name in CONVOLUTIONS:
            x = F.relu_(self.get_submodule(name)(x))
            if name in POOLED:
                time = 1 if name == "conv1" else 2
                x = F.max_pool3d(x, (time, 2, 2), padding=(0, 1, 1) if name == "conv5b" else 0)
        x = F.relu_(self.fc6(x.flatten(1)))
        if hasattr(self, "fc7"):
            x = F.relu_(self.fc7(x))
        return x[:, None]


def prepare(images: np.ndarray) -> np.ndarray:
    """(n, H, W, 3) uint8 RGB -> (n, 112, 112, 3) uint8 BGR: the whole frame resized to 128x171, its centre cropped."""
    height, width = RESIZED
    top, left = (height - CROP) // 2, (width - CROP) // 2
    resized = [cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR) for image in images]
    return np.ascontiguousarray(np.stack(resized)[:, top : top + CROP, left : left + CROP, ::-1])


def read_mean(path: str | Path) -> Tensor:
    """The training set's BGR mean, cropped like the frames: (3, 16, 112, 112) or (3, 1, 1, 1).

    Args:
        path: .npy of the mean cube, (3, 16, 128, 171) or (16, 128, 171, 3), or of a mean per channel, (3,).

    Raises:
        UserError: the file holds no such array.
    """
    try:
        mean = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is not a .npy file ({error}); correct c3d.mean in the configuration.") from error
    shape = getattr(mean, "shape", ())
    if shape == (1, 3, FRAMES, *RESIZED):
        mean = mean[0]  # as Caffe's own file has it
    elif shape == (FRAMES, *RESIZED, 3):
        mean = mean.transpose(3, 0, 1, 2)
    elif shape in ((3,), (3, 1, 1, 1)):
        mean = mean.reshape(3, 1, 1, 1)
    elif shape != (3, FRAMES, *RESIZED):
        raise UserError(
            f"{path} has the shape {shape}; c3d.mean accepts (3, 16, 128, 171), (16, 128, 171, 3) and (3,), a mean per "
            "channel."
        )
    if mean.dtype.kind not in "fiu" or not np.isfinite(mean).all() or mean.min() < 0 or mean.max() > 255:
        raise UserError(f"{path} has values outside 0 to 255; set c3d.mean to the mean of uint8 frames.")
    if mean.shape[2] > 1:
        top, left = (RESIZED[0] - CROP) // 2, (RESIZED[1] - CROP) // 2
        mean = mean[:, :, top : top + CROP, left : left + CROP]
    return torch.from_numpy(np.ascontiguousarray(mean, dtype=np.float32))


def read_pca(path: str | Path, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """The PCA's mean (4096,) and its first `dimension` components (4096, dimension), from HDF5 `data/x_mean`, `data/U`.

    Raises:
        UserError: the file lacks these data sets, or they have other sizes.
    """
    try:
        with h5py.File(path, "r") as file:
            mean, components = file["data/x_mean"][()].reshape(-1), file["data/U"][()]
    except (OSError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path} has no data/x_mean and data/U ({error}); set c3d.pca to the PCA's HDF5 file."
        ) from error
    if (
        mean.shape != (DIMENSION,)
        or components.ndim != 2
        or len(components) != DIMENSION
        or components.shape[1] < dimension
    ):
        raise UserError(
            f"{path}: data/x_mean has {mean.size} values and data/U the shape {components.shape}; expected {DIMENSION} "
            f"and ({DIMENSION}, {dimension} or more)."
        )
    if not (np.isfinite(mean).all() and np.isfinite(components).all()):
        raise UserError(f"{path} has values that are not finite; download it again.")
    return mean.astype(np.float32), components[:, :dimension].astype(np.float32)


def reduce(features: np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    """(T, 4096) -> (T, dimension): y = (x - mean) U."""
    return (features - mean) @ components
