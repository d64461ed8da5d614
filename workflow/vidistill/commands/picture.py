"""Draw a model's answers along the time line of a video.

In greyscale colours differ in lightness, and the true moment is hatched.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidistill.base.colours import BLACK, BLUE, ORANGE, SKY
from vidistill.commands import canvas, clock
from vidistill.commands.canvas import GAP, GREY, LINE, PALE, SCORE, WRAP, number

MAP, BAR = 0.75, 0.23  # inches


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
    wrapped = [textwrap.wrap(f"\u201c{' '.join(q.sentence.split())}\u201d", WRAP) for q in questions]
    heights = [
        LINE * (len(lines) + bool(q.note)) + (MAP + GAP if q.activation is not None else 0) + BAR * _rows(q) + 2.5 * GAP
        for q, lines in zip(questions, wrapped, strict=True)
    ]
    with canvas.style():
        page = canvas.Page(sum(heights), title, duration, pictures, footer)
        for q, lines in zip(questions, wrapped, strict=True):
            page.skip(GAP)
            for line in lines:
                page.text(line, size=11)
            if q.note:
                page.text(canvas.fitting(q.note), size=8.5, color=GREY)
            page.skip(GAP / 2)
            if q.activation is not None:
                _curve(page.axes(MAP), duration, q)
                page.skip(GAP)
            bars = page.axes(BAR * _rows(q))
            _bars(bars, duration, q)
            page.skip(GAP)
        return page.end(bars)


def _rows(question: Question) -> int:
    return len(question.windows) + (question.truth is not None)


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
    axes.set_yticks([low, high], [number(low), number(high)], size=7.5)
    axes.text(1.015, 0.5, "semantic activation", transform=axes.transAxes, va="center", size=8.5, color=GREY)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)


def _bars(axes: Axes, duration: float, question: Question) -> None:
    rows = list(zip(question.windows, question.scores, strict=True))
    _shade(axes, question)
    for row, ((start, end), score) in enumerate(rows):
        best = row == 0
        _bar(axes, row, start, end, color=BLUE if best else SKY, edgecolor=BLUE, alpha=1.0 if best else 0.75)
        _labels(axes, row, f"{row + 1}", (start, end), number(score), "bold" if best else "normal")
    axes.text(SCORE, -0.62, "score", transform=axes.get_yaxis_transform(), ha="right", size=7.5, color=GREY)
    if question.truth is not None:
        start, end = question.truth
        _bar(axes, len(rows), start, end, color=ORANGE, edgecolor=BLACK, hatch="////", linewidth=0.8)
        _labels(axes, len(rows), "true", (start, end), "", "normal")
    axes.set(ylim=(max(_rows(question), 1) - 0.5, -0.5), yticks=[])
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


def _shade(axes: Axes, question: Question) -> None:
    """Shade the best moment."""
    if len(question.windows):
        axes.axvspan(*question.windows[0], color=BLUE, alpha=0.08, linewidth=0, zorder=0)
