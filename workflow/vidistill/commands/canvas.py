"""A page for pictures of a video: texts and plots from top to bottom, over one time line.

Colours are Okabe and Ito's, which colour-blind people can distinguish. Figures are made without pyplot: no window, no
global state.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.commands import clock

GREY, PALE = "#595959", "#D9D9D9"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 160,
    "svg.fonttype": "none",  # keep text as text
    "svg.hashsalt": "vidistill",  # equal pictures are equal files
}
FORMATS = (".png", ".svg", ".pdf")

STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds between ticks
TICKS = 9  # at most
# Inches.
WIDTH, LEFT, RIGHT, MARGIN = 10.0, 0.75, 2.0, 0.2
LINE, GAP, TIMES = 0.2, 0.12, 0.28
STRIP = (0.35, 1.6)  # smallest and largest height of the frames
SCORE = 1 + (RIGHT - MARGIN) / (WIDTH - LEFT - RIGHT)  # right edge of scores, as a share of the time line
WRAP = 105  # characters per line


def style() -> AbstractContextManager[None]:
    """The context for making and saving figures."""
    return mpl.rc_context(STYLE)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure whole or not at all.

    Raises:
        UserError: the format is not PNG, SVG or PDF.
    """
    check(path)
    kind = Path(path).suffix[1:].lower()
    with style(), store.atomic(path) as temporary:
        figure.savefig(
            temporary, format=kind, metadata={"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        )


def check(path: str | Path) -> None:
    """Raise UserError if the file name has an unsupported suffix."""
    if Path(path).suffix.lower() not in FORMATS:
        suffix = Path(path).suffix or "a picture without a suffix"
        raise UserError(f"{path}: cannot write {suffix}; use {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.")


def ticks(duration: float) -> tuple[np.ndarray, list[str]]:
    """At most TICKS round times from 0 to `duration`, and their labels."""
    step = next((step for step in STEPS if duration / step < TICKS), 3600 * math.ceil(duration / 3600 / (TICKS - 1)))
    times = np.arange(0, duration + 1e-9, step)
    return times, [clock.text(time, tenths=step < 1) for time in times]


class Page:
    """A figure over one time line, filled from the top, in inches, so that nothing overlaps.

    It begins with a title and, if there are any, frames of the video.

    Args:
        contents: height of what follows the frames.
        duration: seconds.
        pictures: (seconds, RGB image) of frames at the centres of equal parts of the video.
    """

    def __init__(
        self,
        contents: float,
        title: str,
        duration: float,
        pictures: Sequence[tuple[float, np.ndarray]],
        footer: str,
    ):
        self.duration, self._footer = duration, footer
        strip = _strip_height(pictures)
        self._height = MARGIN + LINE + GAP + strip + GAP + contents + TIMES + MARGIN + (LINE if footer else 0)
        self.figure, self._at = Figure(figsize=(WIDTH, self._height)), MARGIN
        self.text(fitting(title), weight="bold", size=10)
        self.skip(GAP)
        if pictures:
            _strip(self.axes(strip), duration, pictures)
        self.skip(GAP)

    def skip(self, inches: float) -> None:
        self._at += inches

    def text(self, text: str, **options: Any) -> None:
        y = 1 - (self._at + LINE / 2) / self._height
        # Literally: a "$" in a sentence does not start a formula.
        self.figure.text(LEFT / WIDTH, y, text, va="center", parse_math=False, **options)
        self._at += LINE

    def axes(self, height: float) -> Axes:
        self._at += height
        box = (LEFT / WIDTH, 1 - self._at / self._height, 1 - (LEFT + RIGHT) / WIDTH, height / self._height)
        axes = self.figure.add_axes(box, xlim=(0, self.duration))
        axes.set_xticks(ticks(self.duration)[0])
        axes.tick_params(axis="x", length=0, labelbottom=False)
        axes.spines["bottom"].set_visible(False)
        return axes

    def end(self, last: Axes) -> Figure:
        """The figure, with times below its last axes, and the footer."""
        times, names = ticks(self.duration)
        last.set_xticks(times, names)
        last.tick_params(axis="x", length=3, labelbottom=True)
        last.spines["bottom"].set_visible(True)
        self.skip(TIMES)
        if self._footer:
            self.text(self._footer, size=7.5, color=GREY)
        return self.figure


def fitting(text: str) -> str:
    """The text, shortened in the middle if it is too long for the page."""
    return text if len(text) <= WRAP else f"{text[: WRAP // 2]}...{text[-WRAP // 2 :]}"


def _strip_height(pictures: Sequence[tuple[float, np.ndarray]]) -> float:
    if not pictures:
        return 0.0
    height, width = pictures[0][1].shape[:2]
    return min(max((WIDTH - LEFT - RIGHT) / len(pictures) * height / width, STRIP[0]), STRIP[1])


def _strip(axes: Axes, duration: float, pictures: Sequence[tuple[float, np.ndarray]]) -> None:
    edges = np.linspace(0, duration, len(pictures) + 1)
    for (_, image), left, right in zip(pictures, edges, edges[1:], strict=False):
        axes.imshow(image, extent=(left, right, 0, 1), aspect="auto", interpolation="antialiased")
    for edge in edges[1:-1]:
        axes.axvline(edge, color="white", linewidth=1.5)
    axes.set(xlim=(0, duration), ylim=(0, 1), yticks=[])
    axes.set_axis_off()


def number(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
