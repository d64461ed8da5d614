"""The Triton kernels beside plain PyTorch, under Triton's interpreter; run by test_tvl1_torch in a process of its own.

Prints one JSON object a case: the largest differences between the two flows, and between a pair alone and in its batch.
"""

import json
import os

os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported

import torch
from motion import moving

from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1 import by_torch, fused

torch.set_num_threads(1)


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


def cases() -> None:
    # The first pair moves, the second stands still and stops at once. Two tiles above each other, then side by side.
    video = torch.from_numpy(moving(2, 1.0, 0.5, 19, 37)).float().unsqueeze(1)
    for height, width, *numbers in ((19, 30, 2, 2, 5, 0.1), (14, 37, 1, 4, 3, 0.0), (19, 37, 1, 2, 1, 0.02)):
        first, second = video[[0, 1], :, :height, :width], video[[1, 1], :, :height, :width]
        warps, inner_iterations, median_filtering, epsilon = numbers
        settings = Tvl1(
            scales=1,
            scale_step=0.9,
            warps=int(warps),
            inner_iterations=int(inner_iterations),
            outer_iterations=2,
            median_filtering=int(median_filtering),
            epsilon=epsilon,
        )
        together = by_torch.flow(first, second, settings, fused.Fused)
        alone = by_torch.flow(first[:1], second[:1], settings, fused.Fused)
        plain = by_torch.flow(first, second, settings)
        found = {"plain": difference(together, plain), "alone": difference(together[:1], alone)}
        print(json.dumps({**found, "largest": float(plain.abs().max())}))


def medians() -> None:
    u = torch.randn(1, 2, 18, 35, generator=torch.Generator().manual_seed(0))
    for side in (3, 5):
        state = fused.Fused(u, Tvl1(scales=1, warps=1, inner_iterations=1, outer_iterations=1, median_filtering=side))
        state.linearise(torch.zeros(1, 1, 18, 35), torch.zeros(1, 2, 18, 35))
        state.median()
        print(json.dumps({"median": difference(state.u, by_torch.median(u, side))}))


if __name__ == "__main__":
    fused.try_out(torch.device("cpu"))
    cases()
    medians()
