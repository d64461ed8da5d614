"""The loops in which TV-L1 spends its time, compiled by Numba: the warp, and the inner iterations.

A plane is a flat float32 array of H + 2 rows of `stride` numbers; pixel (x, y) of its image is number
(y + 1) * stride + x. `padded` of a row's numbers, W or a few more, are computed; the rest are zero. What is computed
beyond the image stays zero, too, since `theta` and `across` are zero there; so no pixel needs a branch, and LLVM makes
vector instructions of each loop. Numbers that index are unsigned, or Numba would look for negative ones at each access,
and constants are float32, or all would be computed in double precision.

Importing this module compiles it. That is quick enough to be done by each process, and leaves no cache of compiled code
that processes, nodes and kinds of processors would have to share.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

BORDER = 4  # pixels of zeros around the image that is sampled: what lies outside is zero
WAVE = 4  # iterations that pass over the image together
FLAT = np.finfo(np.float32).eps  # squared gradient below which OpenCV sees no texture

PLANE, SCALAR, INDEX, CHANGES = "float32[::1]", "float32", "uint64", "float64[::1]"
STATE = ", ".join([PLANE] * 6)  # flow u, v, the dual of u along x and y, and that of v
DATA = ", ".join([PLANE] * 4)  # gradient along x and y, rho of zero flow, one over the gradient's square
ZERO, ONE, TWO, THREE, FOUR, FIVE, EIGHT = (np.float32(number) for number in (0, 1, 2, 3, 4, 5, 8))
A = np.float32(-0.75)  # the cubic's parameter, as OpenCV has it
TINY = np.float32(1e-30)
I0, I1, I2, I3, I4, I5, I6, I7, I8, I9, I10, I11 = (np.uint64(number) for number in range(12))
IWAVE = np.uint64(WAVE)
FBORDER = np.float32(BORDER)


def _compiled(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles a function at once, for one signature; it runs without the interpreter's lock."""
    return numba.njit(signature, nogil=True, fastmath=True, error_model="numpy", boundscheck=False)


@_compiled(f"{SCALAR}({STATE}, {DATA}, {PLANE}, {INDEX}, {INDEX}, {INDEX}, {SCALAR})")
def _flow_row(u, v, ux, uy, vx, vy, gx, gy, rho, inverse, theta, row, padded, stride, most):
    """The thresholding step and the dual's divergence, for the row that begins at `row`; returns its squared change."""
    total = ZERO
    for x in range(padded):
        i = row + x
        ga, gb = gx[i], gy[i]
        step = -(rho[i] + ga * u[i] + gb * v[i]) * inverse[i]
        step = min(max(step, -most), most)
        du = ga * step + theta[x] * (ux[i] - ux[i - I1] + uy[i] - uy[i - stride])
        dv = gb * step + theta[x] * (vx[i] - vx[i - I1] + vy[i] - vy[i - stride])
        u[i] += du
        v[i] += dv
        total += du * du + dv * dv
    return total


@_compiled(f"void({STATE}, {PLANE}, {INDEX}, {INDEX}, {INDEX}, {SCALAR})")
def _dual_row(u, v, ux, uy, vx, vy, across, row, padded, stride, down):
    """A row's dual after a step along the flow's gradient, which comes times `across` and `down`.

    1 / sqrt becomes the processor's fast estimate and a Newton step, where the square root would take most of the time;
    one division serves both components.
    """
    for x in range(padded):
        i = row + x
        a, b = u[i], v[i]
        ax, ay = across[x] * (u[i + I1] - a), down * (u[i + stride] - a)
        bx, by = across[x] * (v[i + I1] - b), down * (v[i + stride] - b)
        a_squared, b_squared = ax * ax + ay * ay, bx * bx + by * by
        na = ONE + a_squared * (ONE / np.sqrt(a_squared + TINY))
        nb = ONE + b_squared * (ONE / np.sqrt(b_squared + TINY))
        both = ONE / (na * nb)
        na, nb = both * nb, both * na
        ux[i] = (ux[i] + ax) * na
        uy[i] = (uy[i] + ay) * na
        vx[i] = (vx[i] + bx) * nb
        vy[i] = (vy[i] + by) * nb


@_compiled(
    f"float64({STATE}, {DATA}, {PLANE}, {PLANE}, {', '.join([INDEX] * 3)}, {SCALAR}, {SCALAR}, {INDEX}, float64,"
    f" {CHANGES})"
)
def relax(
    u, v, ux, uy, vx, vy, gx, gy, rho, inverse, theta, across, height, padded, stride, most, taut, iterations, below,
    changes,
):  # fmt: skip
    """Inner iterations until the flow's squared change is at most `below`, or all `iterations`; returns the change.

    WAVE iterations pass over the image together, each a row behind the one before and its dual a row behind its flow:
    what they touch stays in the cache. As their changes are known only in the end, iterations go one by one where the
    changes' decline says that the limit may be near.
    """
    done, change, decline = I0, np.inf, 0.5
    while done < iterations and change > below:
        # Not one too many: that alone would move the flow by 0.01 pixels.
        far = done > I0 and change * min(decline, 0.8) ** 3 > below
        count = IWAVE if far and done + IWAVE <= iterations else I1
        before = change
        changes[:] = 0.0
        for line in range(height + count):
            for k in range(min(count, line + I1)):
                y = line - k
                row = (y + I1) * stride
                if y < height:
                    changes[k] += _flow_row(
                        u, v, ux, uy, vx, vy, gx, gy, rho, inverse, theta, row, padded, stride, most
                    )
                if y > I0 and y <= height:
                    down = taut if y < height else ZERO
                    _dual_row(u, v, ux, uy, vx, vy, across, row - stride, padded, stride, down)
        change = changes[count - I1]
        if count > I1:
            decline = change / changes[count - I1 - I1]
        elif done > I0:
            decline = change / before
        done += count
    return change


@_compiled(f"Tuple(({SCALAR}, {SCALAR}, {SCALAR}, {SCALAR}))({SCALAR})")
def _cubic(t):
    """Weights of four neighbours at distances 1 + t, t, 1 - t, 2 - t."""
    far, near = t + ONE, ONE - t
    first = ((A * far - FIVE * A) * far + EIGHT * A) * far - FOUR * A
    second = ((A + TWO) * t - (A + THREE)) * t * t + ONE
    third = ((A + TWO) * near - (A + THREE)) * near * near + ONE
    return first, second, third, ONE - first - second - third


@_compiled(f"void({PLANE}, {PLANE}, {PLANE}, {PLANE}, {DATA}, {', '.join([INDEX] * 4)})")
def linearise(source, image, u, v, gx, gy, rho, inverse, height, width, stride, source_stride):
    """Data terms about the flow u, v: bicubic samples of the second image and its gradient (DATA is written).

    Args:
        source: flat (H + 2 BORDER, W + 2 BORDER, 3): second image, its gradient along x and along y, side by
            side, so that a pixel of all lies in one cache line; `source_stride` pixels a row.
        image: the first one, a plane.
    """
    for y in range(height):
        for x in range(width):
            i = (y + I1) * stride + x
            a, b = u[i], v[i]
            # Further out is as black as here.
            px = min(max(np.float32(x) + a, -THREE), np.float32(width) + ONE)
            py = min(max(np.float32(y) + b, -THREE), np.float32(height) + ONE)
            left, above = np.uint64(px + FBORDER), np.uint64(py + FBORDER)
            x0, x1, x2, x3 = _cubic(px - (np.float32(left) - FBORDER))
            y0, y1, y2, y3 = _cubic(py - (np.float32(above) - FBORDER))
            at = I3 * ((above - I1) * source_stride + left - I1)
            s0, s1, s2 = ZERO, ZERO, ZERO
            for wy in (y0, y1, y2, y3):
                s0 += wy * (x0 * source[at] + x1 * source[at + I3] + x2 * source[at + I6] + x3 * source[at + I9])
                s1 += wy * (x0 * source[at + I1] + x1 * source[at + I4] + x2 * source[at + I7] + x3 * source[at + I10])
                s2 += wy * (x0 * source[at + I2] + x1 * source[at + I5] + x2 * source[at + I8] + x3 * source[at + I11])
                at += I3 * source_stride
            gx[i], gy[i] = s1, s2
            rho[i] = s0 - s1 * a - s2 * b - image[i]
            inverse[i] = ONE / max(s1 * s1 + s2 * s2, np.float32(FLAT))
