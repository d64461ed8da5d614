"""Draw the segments of actions along the time line of a video: a row for each class.

In greyscale colours differ in lightness, and true segments are hatched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidistill.base.colours import BLACK, BLUE, ORANGE, SKY
from vidistill.commands import canvas, clock
from vidistill.commands.canvas import GAP, GREY, LINE, PALE, SCORE, number

CURVE, BARS, TRUTH = 0.55, 0.24, 0.2  # inches: activation, found segments, true ones
NONE = np.empty((0, 2))


@dataclass(frozen=True)
class Row:
    """A class and what was found of it.

    Attributes:
        windows: (K, 2) start and end in seconds, best first.
        scores: (K,).
        activation: (T,) over the snippets; None for a class that the video is not said to have.
        video_score: of the class in the whole video.
        truth: true segments in seconds.
    """

    label: str
    windows: np.ndarray = field(default_factory=lambda: NONE)
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))
    activation: np.ndarray | None = None
    video_score: float | None = None
    truth: Sequence[tuple[float, float]] = ()


def timeline(
    title: str,
    duration: float,
    times: np.ndarray,
    rows: Sequence[Row],
    pictures: Sequence[tuple[float, np.ndarray]] = (),
    footer: str = "",
) -> Figure:
    """Frames of a video; below them, per class, the activation as a curve, found segments and true ones as bars.

    Args:
        duration: seconds.
        times: (T, 2) seconds of the snippets.
        pictures: (seconds, RGB image) of frames at the centres of equal parts of the video.
    """
    with canvas.style():
        page = canvas.Page(sum(map(_height, rows)), title, duration, pictures, footer)
        for row in rows:
            page.skip(GAP / 2)
            page.text(canvas.fitting(_heading(row)), size=10)
            if row.activation is not None:
                _curve(page.axes(CURVE), times, row)
            last = page.axes(_bars_height(row))
            _bars(last, row)
            page.skip(GAP)
        return page.end(last)


def _height(row: Row) -> float:
    return LINE + (0 if row.activation is None else CURVE) + _bars_height(row) + 1.5 * GAP


def _bars_height(row: Row) -> float:
    return BARS + (TRUTH if row.truth else 0)


def _heading(row: Row) -> str:
    return f"{row.label}: not found" if row.video_score is None else f"{row.label}, class score {row.video_score:.2f}"


def _curve(axes: Axes, times: np.ndarray, row: Row) -> None:
    assert row.activation is not None
    edges = np.append(times[:, 0], times[-1, 1])
    axes.stairs(row.activation, edges, fill=True, color=SKY, alpha=0.35)
    axes.stairs(row.activation, edges, color=BLUE, linewidth=1.2)
    high = max(float(row.activation.max()), 1e-3)
    axes.set(ylim=(0, 1.1 * high))
    axes.set_yticks([0, high], ["0", f"{high:.2g}"], size=7.5)
    axes.text(1.015, 0.5, "activation", transform=axes.transAxes, va="center", size=8.5, color=GREY)
    _grid(axes)


def _bars(axes: Axes, row: Row) -> None:
    """The best segment last, over the others, which are paler the lower they are scored."""
    count = len(row.windows)
    for rank in reversed(range(count)):
        start, end = row.windows[rank]
        alpha = 1.0 if rank == 0 else 0.7 - 0.5 * rank / count
        axes.barh(0, end - start, left=start, height=0.7, color=BLUE if rank == 0 else SKY, edgecolor=BLUE, alpha=alpha)
    where = axes.get_yaxis_transform()
    if count:
        best = " \N{EN DASH} ".join(clock.text(time, tenths=True) for time in row.windows[0])
        axes.text(1.015, 0, best, transform=where, va="center", size=8.5, weight="bold")
        axes.text(SCORE, 0, number(float(row.scores[0])), transform=where, ha="right", va="center", size=8.5)
        axes.text(SCORE, -0.62, "score", transform=where, ha="right", size=7.5, color=GREY)
    axes.text(-0.015, 0, "found", transform=where, ha="right", va="center", size=8.5)
    for start, end in row.truth:
        width = end - start
        axes.barh(1, width, left=start, height=0.7, color=ORANGE, edgecolor=BLACK, hatch="////", linewidth=0.8)
    if row.truth:
        axes.text(-0.015, 1, "true", transform=where, ha="right", va="center", size=8.5)
    axes.set(ylim=(1.5 if row.truth else 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    _grid(axes)


def _grid(axes: Axes) -> None:
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
