"""TV-L1 by Numba: the numerics of OpenCV 5's CPU class in loops that stay in the processor's caches.

Zach, Pock and Bischof 2007; Sanchez, Meinhardt-Llopis and Facciolo (IPOL 2013); opencv_contrib's tvl1flow.cpp. The
pyramid, the change between its levels and the median filter are OpenCV's own functions.
"""

import functools
import importlib.util
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1.parameters import Backend, Estimator

SMALLEST_LEVEL = 16  # pixels; OpenCV drops smaller levels
VECTOR = 32  # numbers: two vector registers of AVX-512
STAGGER = 80  # numbers between planes; without it the rows of all planes map to the same cache sets


def _planes(count: int, size: int) -> list[np.ndarray]:
    """`count` flat float32 arrays of zeros, each aligned to a cache line."""
    step = -(-size // 16) * 16 + STAGGER
    memory = np.zeros(count * step + 16, np.float32)
    start = -memory.ctypes.data % 64 // 4
    return [memory[start + k * step :][:size] for k in range(count)]


class Level:
    """One scale of one thread: the arrays of `loops` for frames (height, width), reused for each pair."""

    def __init__(self, height: int, width: int, parameters: Tvl1):
        from vidistill.video.tvl1 import loops

        self._loops, self._settings = loops, parameters
        self.height, self.width = height, width
        self._padded = -(-width // VECTOR) * VECTOR
        self._stride = self._padded + 16
        self._state = _planes(6, (height + 2) * self._stride)
        self._image, *self._data = _planes(5, (height + 2) * self._stride)
        border = loops.BORDER
        self._source = np.zeros((height + 2 * border, width + 2 * border, 3), np.float32)
        self._inside = self._source[border:-border, border:-border]
        self._theta, self._across = np.zeros((2, self._padded), np.float32)
        self._theta[:width] = parameters.theta
        self._across[: width - 1] = parameters.tau / parameters.theta
        self._changes = np.zeros(loops.WAVE)

    def _view(self, plane: np.ndarray) -> np.ndarray:
        """The image (H, W) in a plane."""
        rows = plane[self._stride : (self.height + 1) * self._stride]
        return rows.reshape(self.height, self._stride)[:, : self.width]

    def solve(self, first: np.ndarray, second: np.ndarray, flow: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Flow u, v between two images (H, W) float32, from a first guess; the result lies in this level's arrays."""
        s = self._settings
        for plane in self._state[2:]:
            plane[:] = 0
        views = self._view(self._state[0]), self._view(self._state[1])
        for view, guess in zip(views, flow, strict=True):
            view[:] = guess
        self._view(self._image)[:] = first
        padded = cv2.copyMakeBorder(second, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        self._inside[..., 0] = second
        self._inside[..., 1] = (padded[1:-1, 2:] - padded[1:-1, :-2]) * np.float32(0.5)
        self._inside[..., 2] = (padded[2:, 1:-1] - padded[:-2, 1:-1]) * np.float32(0.5)
        below = s.stop_below(self.height, self.width)
        size = (self.height, self._padded, self._stride)
        numbers = (s.lambda_ * s.theta, s.tau / s.theta, s.inner_iterations, below, self._changes)
        source, stride = self._source.reshape(-1), self._source.shape[1]
        for _ in range(s.warps):
            shape = (self.height, self.width, self._stride, stride)
            self._loops.linearise(source, self._image, *self._state[:2], *self._data, *shape)
            change = np.inf
            for _ in range(s.outer_iterations):
                if change <= below:
                    break
                if s.median_filtering > 1:
                    for view in views:
                        view[:] = cv2.medianBlur(np.ascontiguousarray(view), s.median_filtering)
                change = self._loops.relax(*self._state, *self._data, self._theta, self._across, *size, *numbers)
        return views


def _sizes(height: int, width: int, parameters: Tvl1) -> Iterator[tuple[int, int]]:
    """Of the pyramid's levels, the largest first."""
    for _ in range(parameters.scales):
        yield height, width
        height, width = (round(side * parameters.scale_step) for side in (height, width))
        if min(height, width) < SMALLEST_LEVEL:
            return


class Solver:
    """Flow of one pair after the other, of frames (height, width); not for several threads at once."""

    def __init__(self, height: int, width: int, parameters: Tvl1):
        self._levels = [Level(*size, parameters) for size in _sizes(height, width, parameters)]
        self._step = parameters.scale_step

    def pyramid(self, frame: np.ndarray) -> list[np.ndarray]:
        """A frame (H, W) uint8 at each level, float32, 0 to 255."""
        images: list[np.ndarray] = [frame.astype(np.float32)]
        while len(images) < len(self._levels):
            images.append(cv2.resize(images[-1], None, fx=self._step, fy=self._step, interpolation=cv2.INTER_LINEAR))
        return images

    def flow(self, first: list[np.ndarray], second: list[np.ndarray], out: np.ndarray) -> None:
        """Write the flow between two pyramids to `out` (H, W, 2) float32."""
        flow: tuple[np.ndarray, ...] = (np.zeros_like(first[-1]),) * 2
        for level, image, other in reversed(list(zip(self._levels, first, second, strict=True))):
            if flow[0].shape != image.shape:
                size, scale = (level.width, level.height), np.float32(1 / self._step)
                coarse = map(np.ascontiguousarray, flow)
                flow = tuple(cv2.resize(u, size, interpolation=cv2.INTER_LINEAR) * scale for u in coarse)
            flow = level.solve(image, other, flow)
        out[..., 0], out[..., 1] = flow


def lacking() -> str:
    try:
        found = importlib.util.find_spec("numba")  # importing it takes half a second
    except ValueError:
        found = None
    return "" if found else "Numba is not installed"


def estimator(parameters: Tvl1, threads: int, device: str = "cpu") -> Estimator:
    """An `Estimator` of so many threads, each with a run of consecutive pairs; the result does not depend on them."""
    from vidistill.video.tvl1 import loops  # noqa: F401 - compiles them before the threads begin

    cv2.setNumThreads(1)  # its own would multiply with these
    solver = functools.lru_cache(threads)(lambda thread, height, width: Solver(height, width, parameters))

    def estimate(frames: np.ndarray) -> np.ndarray:
        flow = np.empty((len(frames) - 1, *frames.shape[1:], 2), np.float32)

        def fill(thread: int, pairs: np.ndarray) -> None:
            if not len(pairs):
                return
            solve = solver(thread, *frames.shape[1:])
            first = solve.pyramid(frames[pairs[0]])
            for t in pairs:
                second = solve.pyramid(frames[t + 1])
                solve.flow(first, second, flow[t])
                first = second

        runs = np.array_split(np.arange(len(flow)), threads)
        if threads == 1:
            fill(0, runs[0])
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(fill, range(threads), runs))
        return flow

    return estimate


CPU = Backend(
    {"cpu": lacking},
    lambda: 0,
    estimator,
    pairs=16,
    remark={"cpu": "each process compiles its loops first, which takes about 2 seconds"},
)
