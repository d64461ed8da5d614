"""TV-L1 by PyTorch: the numerics of OpenCV 5's CPU class, many pairs in one batch, on any device of PyTorch.

Each pair has its own stop flag, kept on the device: a pair that is done is updated no more, so that its flow depends on
no other pair. Shapes: n pairs, images (n, 1, H, W), flow u (n, 2, H, W), its dual p (n, 2, 2, H, W), the derivatives of
u along x and y, then those of v. The inner iterations run here as plain tensor operations, the reference, or fused on a
GPU (tvl1_triton).
"""

import contextlib
import functools
import importlib.util
import logging
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1.images import (
    FLAT,
    centered_gradient,
    divergence,
    forward_gradient,
    median,
    pyramid,
    resize,
    warp,
)
from vidistill.video.tvl1.parameters import Estimator

log = logging.getLogger(__name__)

# Float32 planes a pair at once: pyramids, flow and dual twice (ping-pong), warped image and gradients, temporaries.
PLANES = 50
# Of a batch on a GPU. The more pairs, the less do launches count and the slowest pair's last iterations; but several
# videos are on the GPU at once, so it is an eighth of small ones.
GPU_BYTES = 4 * 2**30


class Solver(Protocol):
    """Flow at one scale for n pairs, relaxed iteration by iteration; `u` is the flow, wherever it is kept."""

    def __init__(self, u: Tensor, parameters: Tvl1): ...

    def linearise(self, rho: Tensor, gradient: Tensor) -> None:
        """Begin with new data terms: rho (n, 1, H, W) of zero flow and the gradient (n, 2, H, W); all pairs run."""

    def median(self) -> None:
        """Filter the flow of the pairs that run."""

    def iterate(self) -> None:
        """Update flow, then dual, of the pairs that run, and stop those whose flow hardly changed."""

    @property
    def running(self) -> Tensor:
        """Which pairs run, (n,) bool on the device."""

    @property
    def u(self) -> Tensor: ...


class Plain:
    """A `Solver` of PyTorch's own operations."""

    def __init__(self, u: Tensor, parameters: Tvl1):
        self._u = u
        self._p = u.new_zeros(len(u), 2, 2, *u.shape[2:])
        self._settings = parameters
        self._threshold = parameters.stop_below(*u.shape[2:])

    def linearise(self, rho: Tensor, gradient: Tensor) -> None:
        self._rho, self._gradient = rho, gradient
        # What is flat has no gradient to move along: with a divisor that is not zero the step comes out as zero.
        self._squared = gradient.square().sum(1, keepdim=True).clamp(min=FLAT)
        self._running = rho.new_ones(len(rho), dtype=torch.bool)

    def median(self) -> None:
        self._u = torch.where(_each(self._running), median(self._u, self._settings.median_filtering), self._u)

    def iterate(self) -> None:
        s, running = self._settings, _each(self._running)
        # v: the thresholding step, along the gradient by at most lambda theta times it.
        rho = self._rho + (self._gradient * self._u).sum(1, keepdim=True)
        most = s.lambda_ * s.theta
        v = self._u + self._gradient * (-rho / self._squared).clamp(-most, most)
        u = torch.where(running, v + s.theta * divergence(self._p), self._u)
        change = (u - self._u).square().sum(-1)  # in steps, so that the order of a pair's sum depends on no other pair
        self._running = self._running & (change.sum(-1).sum(-1) > self._threshold)
        step = (s.tau / s.theta) * forward_gradient(u)
        dual = (self._p + step) / (1 + step.square().sum(2, keepdim=True).sqrt())
        self._p = torch.where(running.unsqueeze(1), dual, self._p)
        self._u = u

    @property
    def running(self) -> Tensor:
        return self._running

    @property
    def u(self) -> Tensor:
        return self._u


def _each(flags: Tensor) -> Tensor:
    """(n,) -> (n, 1, 1, 1)."""
    return flags.view(-1, 1, 1, 1)


def flow(first: Tensor, second: Tensor, parameters: Tvl1, solver: Callable[[Tensor, Tvl1], Solver] = Plain) -> Tensor:
    """From images (n, 1, H, W) float32, 0 to 255, to flow (n, 2, H, W) in pixels."""
    levels = list(zip(pyramid(first, parameters), pyramid(second, parameters), strict=True))
    u = torch.zeros_like(levels[-1][0]).repeat(1, 2, 1, 1)
    for level, (image, other) in reversed(list(enumerate(levels))):
        sources = torch.cat([other, centered_gradient(other)], 1)
        state = solver(u, parameters)
        for _ in range(parameters.warps):
            u = state.u
            warped = warp(sources, u)
            gradient = warped[:, 1:].contiguous()
            rho = warped[:, :1] - (gradient * u).sum(1, keepdim=True) - image
            state.linearise(rho, gradient)
            _relax(state, parameters)
        u = state.u
        if level:
            u = resize(u, *levels[level - 1][0].shape[-2:]) * (1 / parameters.scale_step)
    return u


def _relax(state: Solver, parameters: Tvl1) -> None:
    """Rounds of a median filter and inner iterations until all pairs have stopped, or the last.

    On a GPU the host must run ahead of it or it would wait for each launch. So whether any pair is left is looked up
    once a round, and for the round before: the device has a whole round in its queue meanwhile. Of pairs that have
    stopped nothing is computed, so what the host learns late costs empty launches and changes no result.
    """
    on_gpu = state.u.is_cuda
    before: Callable[[], bool] | None = None
    for _ in range(parameters.outer_iterations):
        if before is not None and not before():
            return
        before = _look(state.running) if on_gpu else None
        state.median()
        for _ in range(parameters.inner_iterations):
            state.iterate()
            if not on_gpu and not state.running.any():
                return


def _look(running: Tensor) -> Callable[[], bool]:
    """Whether any pair still runs, as a question to ask later: it waits only for work queued before this call."""
    answer = torch.empty(1, dtype=torch.bool, pin_memory=True)
    answer.copy_(running.any().view(1), non_blocking=True)
    copied = torch.cuda.Event()
    copied.record()

    def ask() -> bool:
        copied.synchronize()
        return bool(answer)

    return ask


def gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Triton launches kernels on the current GPU, whatever the tensors are on."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


@functools.cache
def fastest_solver(device: torch.device) -> Callable[[Tensor, Tvl1], Solver]:
    """Fused kernels on a GPU for which Triton can compile them, PyTorch's own operations elsewhere."""
    if device.type != "cuda" or not importlib.util.find_spec("triton"):
        return Plain
    from vidistill.video.tvl1 import fused

    try:
        with _current(device):
            fused.try_out(device)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:  # no C compiler, or no headers of Python
        log.warning("TV-L1 without its fused kernels, which Triton cannot compile here: %s", error)
        return Plain
    return fused.Fused


def _fitting(where: torch.device, pixels: int) -> int:
    """The number of pairs in a batch, for frames of so many pixels; one on a CPU, whose data may fit its cache."""
    if where.type == "cpu":
        return 1
    share = torch.cuda.get_device_properties(where).total_memory // 8
    return max(1, min(GPU_BYTES, share) // (4 * PLANES * pixels))


def estimator(
    parameters: Tvl1,
    threads: int,
    device: str,
    *,
    batch: int | None = None,
    solver: Callable[[Tensor, Tvl1], Solver] | None = None,
) -> Estimator:
    """An `Estimator` on `device`, such as cpu or cuda:0.

    Args:
        threads: without effect; a GPU has its own, and on a CPU, for tests, there is one.
        batch: pairs at once, instead of as many as suit the device.
        solver: instead of the fastest.
    """
    where = torch.device(device)
    solver = solver or fastest_solver(where)

    def estimate(frames: np.ndarray) -> np.ndarray:
        height, width = frames.shape[1:]
        size = batch or _fitting(where, height * width)
        grey = torch.from_numpy(frames).unsqueeze(1)
        result = np.empty((len(frames) - 1, height, width, 2), np.float32)

        def fill(start: int) -> None:
            if where.type == "cpu":
                # Of this thread alone. An operation is too short to be shared: waiting took ten times as long.
                torch.set_num_threads(1)
            with torch.inference_mode(), _current(where):  # each thread has its own
                images = grey[start : start + size + 1].to(where).float()
                found = flow(images[:-1], images[1:], parameters, solver)
                result[start : start + size] = found.permute(0, 2, 3, 1).cpu().numpy()

        with ThreadPoolExecutor(1) as pool:  # a network's threads are the caller's
            list(pool.map(fill, range(0, len(result), size)))
        return result

    return estimate
