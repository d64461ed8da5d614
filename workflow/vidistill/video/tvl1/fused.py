"""The inner iterations of TV-L1 on a GPU: one launch of tvl1_kernels an iteration, nothing read back by the host."""

import torch
import triton
from torch import Tensor

from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1 import kernels

ROWS, COLUMNS = 16, 32  # of a tile; a row of a tile is one cache line
WARPS = 8  # of a tile: two pixels a thread leave registers for 24 warps on a multiprocessor, four for 12
SLOTS = 3  # of changes: the iteration's own, and those of the two before


class Fused:
    """A `tvl1_torch.Solver` of these kernels."""

    def __init__(self, u: Tensor, parameters: Tvl1):
        pairs, _, height, width = u.shape
        self._settings = parameters
        self._u, self._p = u.contiguous().clone(), u.new_zeros(pairs, 4, height, width)
        self._other_u, self._other_p = torch.empty_like(self._u), torch.empty_like(self._p)
        tiles = triton.cdiv(height, ROWS) * triton.cdiv(width, COLUMNS)
        self._changes = u.new_empty(SLOTS, pairs, tiles)
        self._flags = u.new_empty(pairs, dtype=torch.int8)
        self._size = (height, width, pairs, tiles)
        self._threshold = parameters.stop_below(height, width)
        self._constants = {
            "ROWS": ROWS,
            "COLUMNS": COLUMNS,
            "TILES": triton.next_power_of_2(tiles),
            "SLOTS": SLOTS,
            "num_warps": WARPS,
        }

    def linearise(self, rho: Tensor, gradient: Tensor) -> None:
        self._data = torch.cat([gradient, rho], 1)
        self._changes.fill_(torch.inf)
        self._flags.fill_(1)
        self._iteration = 2

    def median(self) -> None:
        side = self._settings.median_filtering
        if side == 1:
            return
        _, _, pairs, tiles = self._size
        state = (self._u, self._other_u, self._changes, self._iteration)
        kernels.median[(tiles, pairs, 2)](*state, *self._size, self._threshold, **self._constants, SIDE=side)
        self._u, self._other_u = self._other_u, self._u

    def iterate(self) -> None:
        s, (_, _, pairs, tiles) = self._settings, self._size
        state = (self._u, self._p, self._other_u, self._other_p, self._data, self._changes, self._flags)
        numbers = (s.theta, s.lambda_ * s.theta, s.tau / s.theta, self._threshold)
        kernels.iterate[(tiles, pairs)](*state, self._iteration, *self._size, *numbers, **self._constants)
        self._u, self._other_u, self._p, self._other_p = self._other_u, self._u, self._other_p, self._p
        self._iteration += 1

    @property
    def running(self) -> Tensor:
        """As of the last iteration's start."""
        return self._flags > 0

    @property
    def u(self) -> Tensor:
        return self._u


def try_out(device: torch.device) -> None:
    """Compile and launch the kernels once.

    Raises:
        RuntimeError, OSError, subprocess.SubprocessError: as Triton has it, when it cannot.
    """
    u = torch.zeros(1, 2, ROWS, COLUMNS, device=device)
    state = Fused(u, Tvl1(scales=1, warps=1, inner_iterations=1, outer_iterations=1))
    state.linearise(u[:, :1], u)
    state.median()
    state.iterate()
    state.u.sum().item()  # waits for them
