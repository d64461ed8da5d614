"""TV-L1's inner iteration and median filter as Triton kernels, launched by tvl1_triton on a grid (tiles, pairs).

An iteration reads flow, dual and data terms once and writes flow and dual once, 60 bytes a pixel; as separate steps it
moves several times that. Old and new state are two buffers, so a tile may read what a neighbouring tile updates: each
pixel computes the new flow of its right and lower neighbours anew, on which its own dual depends.

A pair's stop flag is the sum of its tiles' squared changes in the iteration before. Every program adds these up itself,
in the same order: no atomic operation, so that results repeat and do not depend on the other pairs, and no host.
"""

import triton
import triton.language as tl

from vidistill.video.tvl1 import images

FLAT = tl.constexpr(images.FLAT)
NUMBERS = ("iteration", "height", "pairs", "tiles")  # compiling anew for some of their values would gain nothing


@triton.jit
def _tile(width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Columns x and rows y of this program's pixels, and its pair."""
    across = tl.cdiv(width, COLUMNS)
    tile, inner = tl.program_id(0), tl.arange(0, ROWS * COLUMNS)
    x = (tile % across) * COLUMNS + inner % COLUMNS
    y = (tile // across) * ROWS + inner // COLUMNS
    return x, y, tl.program_id(1)


@triton.jit
def _total(changes, slot, pair, pairs, tiles, TILES: tl.constexpr):
    """Sum of a pair's tiles in one slot of changes (SLOTS, pairs, tiles)."""
    index = tl.arange(0, TILES)
    return tl.sum(tl.load(changes + (slot * pairs + pair) * tiles + index, mask=index < tiles, other=0.0), axis=0)


@triton.jit
def _updated(u, p, data, x, y, height, width, theta, most):
    """New flow and old flow at pixels (x, y): thresholding step and divergence of the dual."""
    area, at = height * width, y * width + x
    inside = (x < width) & (y < height)
    left, above = inside & (x > 0), inside & (y > 0)
    u_x = tl.load(u + at, mask=inside, other=0.0)
    u_y = tl.load(u + area + at, mask=inside, other=0.0)
    g_x = tl.load(data + at, mask=inside, other=0.0)
    g_y = tl.load(data + area + at, mask=inside, other=0.0)
    rho = tl.load(data + 2 * area + at, mask=inside, other=0.0) + (g_x * u_x + g_y * u_y)
    step = tl.minimum(tl.maximum(-rho / tl.maximum(g_x * g_x + g_y * g_y, FLAT), -most), most)
    divergence_x = tl.load(p + at, mask=inside, other=0.0) + tl.load(p + area + at, mask=inside, other=0.0)
    divergence_x -= tl.load(p + at - 1, mask=left, other=0.0)
    divergence_x -= tl.load(p + area + at - width, mask=above, other=0.0)
    p += 2 * area
    divergence_y = tl.load(p + at, mask=inside, other=0.0) + tl.load(p + area + at, mask=inside, other=0.0)
    divergence_y -= tl.load(p + at - 1, mask=left, other=0.0)
    divergence_y -= tl.load(p + area + at - width, mask=above, other=0.0)
    return u_x + g_x * step + theta * divergence_x, u_y + g_y * step + theta * divergence_y, u_x, u_y


@triton.jit
def _update_dual(p, new_p, at, area, inside, to_right, downwards):
    """Of one flow component: its dual after a step along its gradient, which is given times tau / theta."""
    norm = 1.0 + tl.sqrt(to_right * to_right + downwards * downwards)
    dual = (tl.load(p + at, mask=inside, other=0.0) + to_right) / norm
    tl.store(new_p + at, dual, mask=inside)
    dual = (tl.load(p + area + at, mask=inside, other=0.0) + downwards) / norm
    tl.store(new_p + area + at, dual, mask=inside)


@triton.jit(do_not_specialize=NUMBERS)
def iterate(
    u,  # (pairs, 2, height, width)
    p,  # (pairs, 4, height, width)
    new_u,
    new_p,
    data,  # (pairs, 3, height, width): gradient, rho of zero flow
    changes,  # (SLOTS, pairs, tiles)
    flags,  # (pairs,) whether the pair ran
    iteration,  # from 2 on; says which slot is whose
    height,
    width,
    pairs,
    tiles,
    theta,
    most,
    taut,
    threshold,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    TILES: tl.constexpr,
    SLOTS: tl.constexpr,
):
    x, y, pair = _tile(width, ROWS, COLUMNS)
    tile = tl.program_id(0)
    area, at = height * width, y * width + x
    inside = (x < width) & (y < height)
    start = pair.to(tl.int64) * area
    u += 2 * start
    new_u += 2 * start
    p += 4 * start
    new_p += 4 * start
    data += 3 * start
    running = _total(changes, (iteration - 1) % SLOTS, pair, pairs, tiles, TILES) > threshold
    change = 0.0
    if running:
        here_x, here_y, old_x, old_y = _updated(u, p, data, x, y, height, width, theta, most)
        right_x, right_y, _, _ = _updated(u, p, data, x + 1, y, height, width, theta, most)
        below_x, below_y, _, _ = _updated(u, p, data, x, y + 1, height, width, theta, most)
        tl.store(new_u + at, here_x, mask=inside)
        tl.store(new_u + area + at, here_y, mask=inside)
        by_x, by_y = here_x - old_x, here_y - old_y
        change = tl.sum(tl.where(inside, by_x * by_x + by_y * by_y, 0.0), axis=0)
        to_right, downwards = inside & (x + 1 < width), inside & (y + 1 < height)
        step_x = taut * tl.where(to_right, right_x - here_x, 0.0)
        step_y = taut * tl.where(downwards, below_x - here_x, 0.0)
        _update_dual(p, new_p, at, area, inside, step_x, step_y)
        step_x = taut * tl.where(to_right, right_y - here_y, 0.0)
        step_y = taut * tl.where(downwards, below_y - here_y, 0.0)
        _update_dual(p + 2 * area, new_p + 2 * area, at, area, inside, step_x, step_y)
    elif _total(changes, (iteration - 2) % SLOTS, pair, pairs, tiles, TILES) > threshold:
        # Stopped just now: once both buffers hold the result, nothing is left to do.
        for plane in tl.static_range(2):
            tl.store(new_u + plane * area + at, tl.load(u + plane * area + at, mask=inside), mask=inside)
        for plane in tl.static_range(4):
            tl.store(new_p + plane * area + at, tl.load(p + plane * area + at, mask=inside), mask=inside)
    tl.store(changes + ((iteration % SLOTS) * pairs + pair) * tiles + tile, change)
    if tile == 0:
        tl.store(flags + pair, running.to(tl.int8))


@triton.jit
def _order(a, b):
    return tl.minimum(a, b), tl.maximum(a, b)


@triton.jit
def _sort5(a, b, c, d, e):
    a, b = _order(a, b)
    d, e = _order(d, e)
    c, e = _order(c, e)
    c, d = _order(c, d)
    b, e = _order(b, e)
    a, d = _order(a, d)
    a, c = _order(a, c)
    b, d = _order(b, d)
    b, c = _order(b, c)
    return a, b, c, d, e


@triton.jit
def _middle(a, b, c):
    a, b = _order(a, b)
    return tl.maximum(a, tl.minimum(b, c))


@triton.jit
def _pixel(u, x, y, height, width, inside):
    """At (x, y) or, outside of the image, at its nearest pixel."""
    x, y = tl.minimum(tl.maximum(x, 0), width - 1), tl.minimum(tl.maximum(y, 0), height - 1)
    return tl.load(u + y * width + x, mask=inside, other=0.0)


@triton.jit
def _column3(u, x, y, height, width, inside):
    """Three pixels above each other around (x, y), sorted."""
    a = _pixel(u, x, y - 1, height, width, inside)
    b = _pixel(u, x, y, height, width, inside)
    c = _pixel(u, x, y + 1, height, width, inside)
    a, b = _order(a, b)
    b, c = _order(b, c)
    a, b = _order(a, b)
    return a, b, c


@triton.jit
def _column5(u, x, y, height, width, inside):
    a = _pixel(u, x, y - 2, height, width, inside)
    b = _pixel(u, x, y - 1, height, width, inside)
    c = _pixel(u, x, y, height, width, inside)
    d = _pixel(u, x, y + 1, height, width, inside)
    e = _pixel(u, x, y + 2, height, width, inside)
    return _sort5(a, b, c, d, e)


@triton.jit
def _median9(u, x, y, height, width, inside):
    a0, a1, a2 = _column3(u, x - 1, y, height, width, inside)
    b0, b1, b2 = _column3(u, x, y, height, width, inside)
    c0, c1, c2 = _column3(u, x + 1, y, height, width, inside)
    low, high = tl.maximum(tl.maximum(a0, b0), c0), tl.minimum(tl.minimum(a2, b2), c2)
    return _middle(low, _middle(a1, b1, c1), high)


@triton.jit
def _median25(u, x, y, height, width, inside):
    """Columns sorted, then rows: the median is then that of three, found on the antidiagonal and beside it."""
    a0, a1, a2, a3, a4 = _column5(u, x - 2, y, height, width, inside)
    b0, b1, b2, b3, b4 = _column5(u, x - 1, y, height, width, inside)
    c0, c1, c2, c3, c4 = _column5(u, x, y, height, width, inside)
    d0, d1, d2, d3, d4 = _column5(u, x + 1, y, height, width, inside)
    e0, e1, e2, e3, e4 = _column5(u, x + 2, y, height, width, inside)
    _, _, _, d0, e0 = _sort5(a0, b0, c0, d0, e0)
    _, _, c1, d1, e1 = _sort5(a1, b1, c1, d1, e1)
    _, b2, c2, d2, _ = _sort5(a2, b2, c2, d2, e2)
    a3, b3, c3, _, _ = _sort5(a3, b3, c3, d3, e3)
    a4, b4, _, _, _ = _sort5(a4, b4, c4, d4, e4)
    low = tl.maximum(tl.maximum(d0, c1), tl.maximum(b2, a3))
    high = tl.minimum(tl.minimum(e1, d2), tl.minimum(c3, b4))
    _, _, middle, _, _ = _sort5(e0, d1, c2, b3, a4)
    return _middle(low, middle, high)


@triton.jit(do_not_specialize=NUMBERS)
def median(
    u,
    new_u,
    changes,
    iteration,
    height,
    width,
    pairs,
    tiles,
    threshold,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    TILES: tl.constexpr,
    SLOTS: tl.constexpr,
    SIDE: tl.constexpr,
):
    x, y, pair = _tile(width, ROWS, COLUMNS)
    inside = (x < width) & (y < height)
    plane = (pair.to(tl.int64) * 2 + tl.program_id(2)) * height * width
    u += plane
    new_u += plane
    at = y * width + x
    if _total(changes, (iteration - 1) % SLOTS, pair, pairs, tiles, TILES) > threshold:
        if SIDE == 3:
            tl.store(new_u + at, _median9(u, x, y, height, width, inside), mask=inside)
        else:
            tl.store(new_u + at, _median25(u, x, y, height, width, inside), mask=inside)
    else:
        tl.store(new_u + at, tl.load(u + at, mask=inside), mask=inside)
