"""Draw a model's answers along the time line of a video.

Colours are Okabe and Ito's, which colour-blind people can distinguish. In greyscale they differ in lightness, and the
true moment is hatched. Figures are made without pyplot: no window, no global state.
"""

import math
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidistill.base import store
from vidistill.base.colours import BLACK, BLUE, ORANGE, SKY
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
MAP, BAR, LINE, GAP = 0.75, 0.23, 0.2, 0.12
STRIP = (0.35, 1.6)  # smallest and largest height of the frames
SCORE = 1 + (RIGHT - MARGIN) / (WIDTH - LEFT - RIGHT)  # right edge of scores, as a share of the time line
WRAP = 105  # characters per line of a sentence


@dataclass(frozen=True)
class Question:
    """A sentence and its answer.

    Attributes:
        windows: (K, 2) start and end in seconds, best first.
        scores: (K,).
        activation: (L,) semantic activation map, or None.
        truth: the true moment in seconds, or None.
        note: shown below the sentence.
    """

    sentence: str
    windows: np.ndarray
    scores: np.ndarray
    activation: np.ndarray | None = None
    truth: tuple[float, float] | None = None
    note: str = ""


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


def timeline(
    title: str,
    duration: float,
    questions: Sequence[Question],
    pictures: Sequence[tuple[float, np.ndarray]] = (),
    footer: str = "",
) -> Figure:
    """Frames of a video; below them, per question, the activation map as a curve and the moments as bars.

    Args:
        duration: seconds.
        pictures: (seconds, RGB image) of frames at the centres of equal parts of the video.
    """
    across = WIDTH - LEFT - RIGHT
    strip = 0.0
    if pictures:
        height, width = pictures[0][1].shape[:2]
        strip = min(max(across / len(pictures) * height / width, STRIP[0]), STRIP[1])
    wrapped = [textwrap.wrap(f"\u201c{' '.join(q.sentence.split())}\u201d", WRAP) for q in questions]
    heights = [
        LINE * (len(lines) + bool(q.note)) + (MAP + GAP if q.activation is not None else 0) + BAR * _rows(q) + 2.5 * GAP
        for q, lines in zip(questions, wrapped, strict=True)
    ]
    total = MARGIN + LINE + GAP + strip + GAP + sum(heights) + 0.28 + MARGIN + (LINE if footer else 0)
    with style():
        figure = Figure(figsize=(WIDTH, total))
        page = _Page(figure, total)
        page.text(_fitting(title), weight="bold", size=10)
        page.skip(GAP)
        if pictures:
            _strip(page.axes(strip, duration), duration, pictures)
        page.skip(GAP)
        for q, lines in zip(questions, wrapped, strict=True):
            page.skip(GAP)
            for line in lines:
                page.text(line, size=11)
            if q.note:
                page.text(_fitting(q.note), size=8.5, color=GREY)
            page.skip(GAP / 2)
            if q.activation is not None:
                _curve(page.axes(MAP, duration), duration, q)
                page.skip(GAP)
            bars = page.axes(BAR * _rows(q), duration)
            _bars(bars, duration, q)
            page.skip(GAP)
        times, names = ticks(duration)
        bars.set_xticks(times, names)
        bars.tick_params(axis="x", length=3, labelbottom=True)
        bars.spines["bottom"].set_visible(True)
        page.skip(0.28)
        if footer:
            page.text(footer, size=7.5, color=GREY)
    return figure


class _Page:
    """A figure filled from the top, in inches, so that nothing overlaps."""

    def __init__(self, figure: Figure, height: float):
        self._figure, self._height, self._at = figure, height, MARGIN

    def skip(self, inches: float) -> None:
        self._at += inches

    def text(self, text: str, **options: Any) -> None:
        y = 1 - (self._at + LINE / 2) / self._height
        # Literally: a "$" in a sentence does not start a formula.
        self._figure.text(LEFT / WIDTH, y, text, va="center", parse_math=False, **options)
        self._at += LINE

    def axes(self, height: float, duration: float) -> Axes:
        self._at += height
        box = (LEFT / WIDTH, 1 - self._at / self._height, 1 - (LEFT + RIGHT) / WIDTH, height / self._height)
        axes = self._figure.add_axes(box, xlim=(0, duration))
        axes.set_xticks(ticks(duration)[0])
        axes.tick_params(axis="x", length=0, labelbottom=False)
        axes.spines["bottom"].set_visible(False)
        return axes


def _fitting(text: str) -> str:
    """The text, shortened in the middle if it is too long for the page."""
    return text if len(text) <= WRAP else f"{text[: WRAP // 2]}...{text[-WRAP // 2 :]}"


def _rows(question: Question) -> int:
    return len(question.windows) + (question.truth is not None)


def _strip(axes: Axes, duration: float, pictures: Sequence[tuple[float, np.ndarray]]) -> None:
    edges = np.linspace(0, duration, len(pictures) + 1)
    for (_, image), left, right in zip(pictures, edges, edges[1:], strict=False):
        axes.imshow(image, extent=(left, right, 0, 1), aspect="auto", interpolation="antialiased")
    for edge in edges[1:-1]:
        axes.axvline(edge, color="white", linewidth=1.5)
    axes.set(xlim=(0, duration), ylim=(0, 1), yticks=[])
    axes.set_axis_off()


def _curve(axes: Axes, duration: float, question: Question) -> None:
    assert question.activation is not None
    count = len(question.activation)
    times = np.concatenate([[0], np.arange(count) + 0.5, [count]]) / count * duration  # snippets at their centres
    values = np.pad(question.activation, 1, mode="edge")
    low, high = float(question.activation.min()), float(question.activation.max())
    room = max(high - low, 0.02) * 0.1
    _shade(axes, question)
    axes.fill_between(times, low - room, values, color=SKY, alpha=0.35, linewidth=0)
    axes.plot(times, values, color=BLUE, linewidth=1.4)
    axes.set(ylim=(low - room, high + room))
    axes.set_yticks([low, high], [_number(low), _number(high)], size=7.5)
    axes.text(1.015, 0.5, "semantic activation", transform=axes.transAxes, va="center", size=8.5, color=GREY)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)


def _bars(axes: Axes, duration: float, question: Question) -> None:
    rows = list(zip(question.windows, question.scores, strict=True))
    _shade(axes, question)
    for row, ((start, end), score) in enumerate(rows):
        best = row == 0
        _bar(axes, row, start, end, color=BLUE if best else SKY, edgecolor=BLUE, alpha=1.0 if best else 0.75)
        _labels(axes, row, f"{row + 1}", (start, end), _number(score), "bold" if best else "normal")
    axes.text(SCORE, -0.62, "score", transform=axes.get_yaxis_transform(), ha="right", size=7.5, color=GREY)
    if question.truth is not None:
        start, end = question.truth
        _bar(axes, len(rows), start, end, color=ORANGE, edgecolor=BLACK, hatch="////", linewidth=0.8)
        _labels(axes, len(rows), "true", (start, end), "", "normal")
    axes.set(ylim=(_rows(question) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)


def _bar(axes: Axes, row: int, start: float, end: float, **options: Any) -> None:
    options = {"linewidth": 0.8, **options}  # the edge keeps seconds visible within hours
    axes.barh(row, end - start, left=start, height=0.7, **options)


def _labels(axes: Axes, row: int, name: str, window: Iterable[float], score: str, weight: str) -> None:
    """Label a bar in the margins."""
    where = axes.get_yaxis_transform()  # x in shares of the axes' width, y in rows
    start, end = (clock.text(time, tenths=True) for time in window)
    axes.text(-0.015, row, name, transform=where, ha="right", va="center", size=8.5, weight=weight)
    axes.text(1.015, row, f"{start} \N{EN DASH} {end}", transform=where, va="center", size=8.5, weight=weight)
    axes.text(
        SCORE,
        row,
        score,
        transform=where,
        ha="right",
        va="center",
        size=8.5,
        weight=weight,
    )


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _shade(axes: Axes, question: Question) -> None:
    """Shade the best moment."""
    if len(question.windows):
        axes.axvspan(*question.windows[0], color=BLUE, alpha=0.08, linewidth=0, zorder=0)
