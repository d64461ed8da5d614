"""TV-L1's operations on images, flow and dual, in PyTorch with OpenCV 5's numerics: (n, c, H, W) float32."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidistill.settings.flow import Tvl1

SMALLEST_LEVEL = 16  # pixels; OpenCV leaves out what is smaller
FLAT = float(np.finfo(np.float32).eps)  # squared gradient below which OpenCV sees no texture


def divergence(p: Tensor) -> Tensor:
    """(n, 2, 2, H, W) -> (n, 2, H, W): backward differences; outside of the image p is zero."""
    x, y = p.unbind(2)
    result = x + y
    result[..., 1:] -= x[..., :-1]
    result[..., 1:, :] -= y[..., :-1, :]
    return result


def forward_gradient(u: Tensor) -> Tensor:
    """(n, 2, H, W) -> (n, 2, 2, H, W): differences to the right and downwards, zero at the last column and row."""
    x = F.pad(u[..., 1:] - u[..., :-1], (0, 1))
    y = F.pad(u[..., 1:, :] - u[..., :-1, :], (0, 0, 0, 1))
    return torch.stack([x, y], 2)


def centered_gradient(image: Tensor) -> Tensor:
    """(n, 1, H, W) -> (n, 2, H, W): half the difference of the neighbours; at the border one of them is the pixel."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    x = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    y = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return 0.5 * torch.cat([x, y], 1)


def median(u: Tensor, side: int) -> Tensor:
    """Median over side x side pixels, the border repeated; by forgetful selection, whose steps depend on no value.

    Of n values and n // 2 + 1 or more held, neither the least nor the greatest held is the median: both go, the next
    value comes, until one is left.
    """
    if side == 1:
        return u
    height, width = u.shape[-2:]
    padded = F.pad(u, (side // 2,) * 4, mode="replicate")
    rest = [padded[..., y : y + height, x : x + width] for y in range(side) for x in range(side)]
    count = len(rest) // 2 + 2
    held, rest = rest[:count], rest[count:]
    while len(held) > 1:
        for i in range(len(held) // 2):  # the lesser ones into the first half
            held[i], held[-1 - i] = torch.minimum(held[i], held[-1 - i]), torch.maximum(held[i], held[-1 - i])
        for i in range(1, (len(held) + 1) // 2):  # the least to the front, the greatest to the back
            held[0], held[i] = torch.minimum(held[0], held[i]), torch.maximum(held[0], held[i])
            held[-1], held[-1 - i] = torch.maximum(held[-1], held[-1 - i]), torch.minimum(held[-1], held[-1 - i])
        held = held[1:-1] + rest[:1]
        rest = rest[1:]
    return held[0]


def resize(image: Tensor, height: int, width: int, scale: float | None = None) -> Tensor:
    """Bilinear, as OpenCV's INTER_LINEAR; F.interpolate rounds sizes and weights in another way.

    Args:
        image: (n, c, H, W).
        scale: source pixels to one of the result, where that is not the quotient of the sizes.
    """
    left, right, weight = _taps(image.shape[-1], width, scale, image.device)
    image = torch.lerp(image[..., left], image[..., right], weight)
    above, below, weight = _taps(image.shape[-2], height, scale, image.device)
    return torch.lerp(image[..., above, :], image[..., below, :], weight[:, None])


@functools.lru_cache(
    maxsize=64
)  # the same few sizes for all chunks of all videos; a copy to the device would wait for it
def _taps(source: int, target: int, scale: float | None, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each of `target` samples its two neighbours among `source`, and the weight of the second."""
    position = (np.arange(target) + 0.5) * (source / target if scale is None else scale) - 0.5
    position = position.clip(0, source - 1)
    first = np.floor(position).astype(np.int64)
    second = np.minimum(first + 1, source - 1)
    weight = (position - first).astype(np.float32)
    return torch.tensor(first, device=device), torch.tensor(second, device=device), torch.tensor(weight, device=device)


def warp(images: Tensor, u: Tensor) -> Tensor:
    """Sample images (n, c, H, W) where the flow u (n, 2, H, W) points to: bicubic with a = -0.75, outside zero.

    grid_sample wants coordinates from -1 to 1. Up to sizes that are powers of two these are exact, so that zero flow
    leaves an image as it is: at the border a thousandth of a grey level grows, warp by warp, to flow of a pixel.
    """
    height, width = u.shape[-2:]
    padded_height, padded_width = (1 << (side - 1).bit_length() for side in (height, width))
    padded = F.pad(images, (0, padded_width - width, 0, padded_height - height))
    x = torch.arange(width, device=u.device, dtype=u.dtype) + u[:, 0]
    y = torch.arange(height, device=u.device, dtype=u.dtype)[:, None] + u[:, 1]
    where = torch.stack([(2 * x + 1) / padded_width - 1, (2 * y + 1) / padded_height - 1], -1)
    return F.grid_sample(padded, where, mode="bicubic", padding_mode="zeros", align_corners=False)


def pyramid(image: Tensor, parameters: Tvl1) -> list[Tensor]:
    """Levels of (n, 1, H, W), the largest first; each is made of the one before."""
    levels = [image]
    while len(levels) < parameters.scales:
        height, width = (round(side * parameters.scale_step) for side in levels[-1].shape[-2:])
        if min(height, width) < SMALLEST_LEVEL:
            break
        levels.append(resize(levels[-1], height, width, 1 / parameters.scale_step))
    return levels
