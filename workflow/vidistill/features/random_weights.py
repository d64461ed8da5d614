"""Seeded random weights, for runs without downloaded weights, and a calibration that makes their features useful.

Random convolutions with He's initialisation keep the differences between inputs, but all vectors point in nearly the
same direction: the mean cosine between clips is 0.96 to 0.99. Features are therefore centred and whitened with the
statistics of synthetic clips. (Setting each batch normalisation to such statistics separates the vectors, too, but
makes the network chaotic: a linear classifier on Mixed_5c then recognised a drawn object's action in 26 % of clips
instead of 68 %.) The user's videos are not used, and equal seeds give equal weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLIPS, FRAMES, SIZE = 32, 16, 48  # of the synthetic input
FLOOR = 0.03  # the smallest standard deviation scaled to 1, as a share of the largest


@torch.no_grad()
def initialise(network: nn.Module, seed: int) -> None:
    """Initialise every convolution and linear layer as He et al. (ICCV 2015, Eq. 10); biases are zero."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.Linear):
            module.weight.normal_(0, (2 / module.weight[0].numel()) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.zero_()


@dataclass(frozen=True)
class Whitening:
    """A linear map that whitens the sample features, except in their weakest directions."""

    mean: np.ndarray  # (D,)
    directions: np.ndarray  # (r, D), orthonormal
    gains: np.ndarray  # (r,) minus the gain of all other directions
    gain: float  # of all other directions

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(..., D) -> (..., D), float32."""
        centred = features - self.mean
        return (centred @ self.directions.T * self.gains @ self.directions + self.gain * centred).astype(np.float32)


def whitening(features: np.ndarray) -> Whitening:
    """Fit to sample features (N, D). The map is symmetric, so the arbitrary signs of singular vectors cancel."""
    mean = features.mean(0, dtype=np.float64)
    _, deviations, directions = np.linalg.svd((features - mean) / len(features) ** 0.5, full_matrices=False)
    least = FLOOR * deviations[0]
    kept = deviations > least
    gain = 1 / least
    return Whitening(mean, directions[kept], 1 / deviations[kept] - gain, gain)


@torch.no_grad()
def calibrate(network: Callable[[Tensor], Tensor], clips: Tensor, batch: int = 8) -> Whitening:
    """The whitening of a network's features (B, V, D) of synthetic clips."""
    return whitening(torch.cat([network(part) for part in clips.split(batch)]).flatten(0, 1).numpy())


def synthetic_clips(channels: int, seed: int) -> Tensor:
    """(CLIPS, channels, FRAMES, SIZE, SIZE) in [-1, 1]: textured discs that move over textured backgrounds.

    Three channels are RGB. Two channels are optical flow: 0 in the background, the velocity in a disc.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(count: int) -> Tensor:
        return torch.rand(count, generator=generator)

    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    clips = []
    for _ in range(CLIPS):
        velocity = (draw(2) - 0.5) * 6  # pixels per frame
        centre, radius = draw(2) * SIZE, SIZE * (0.1 + 0.2 * float(draw(1)))
        if channels == 2:
            behind, front = torch.zeros(2), velocity.flip(0) / 20  # (u, v) as a share of the usual bound
            grains = 0.01, 0.05
        else:
            behind, front = (draw(channels) * 2 - 1) * 0.5, draw(channels) * 2 - 1
            grains = 0.25, 0.25
        background, surface = (
            colour[:, None, None] + grain * _texture(channels, generator)
            for colour, grain in zip((behind, front), grains, strict=True)
        )
        frames = []
        for t in range(FRAMES):
            at = centre + velocity * t
            # It wraps around at the edges.
            dy = (y - at[0] + SIZE / 2) % SIZE - SIZE / 2
            dx = (x - at[1] + SIZE / 2) % SIZE - SIZE / 2
            shift = [round(float(v)) for v in velocity * t]
            inside = dy**2 + dx**2 < radius**2
            frames.append(torch.where(inside, surface.roll(shift, (1, 2)), background))
        clips.append(torch.stack(frames, 1).clamp(-1, 1))
    return torch.stack(clips)


def _texture(channels: int, generator: torch.Generator) -> Tensor:
    """(channels, SIZE, SIZE) noise of a random grain, of unit variance or a little less."""
    cells = 2 ** int(torch.randint(2, 7, (1,), generator=generator))
    noise = torch.randn(1, channels, cells, cells, generator=generator)
    return F.interpolate(noise, size=(SIZE, SIZE), mode="bilinear", align_corners=False)[0]
