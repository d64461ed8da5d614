"""Style of all figures: Okabe and Ito's colours, each with its own line, marker and hatch for print.

Equal figures have equal bytes: no dates, and identifiers depend on the content only.
"""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vidistill.base.colours import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION

GREY = "#767676"
WIDTH = 10.8  # inches of a figure; fits the report's page beside its menu on a common screen

matplotlib.use("Agg")
matplotlib.rcParams.update(
    {
        "svg.hashsalt": "vidistill",
        "svg.fonttype": "path",  # the same everywhere, whatever fonts are installed
        "font.family": "DejaVu Sans",  # comes with matplotlib
        "font.size": 10,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#444444",
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e2e2e2",
        "grid.linewidth": 0.8,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
        "figure.dpi": 100,
    }
)


@dataclass(frozen=True)
class Look:
    """The look of a model, the same in every figure."""

    colour: str
    line: Any  # matplotlib's line style
    marker: str
    hatch: str


_LOOKS = (
    Look(VERMILLION, "-", "o", ""),
    Look(BLUE, (0, (6, 2)), "s", "///"),
    Look(GREEN, (0, (6, 2, 1.5, 2)), "^", "..."),
    Look(PURPLE, (0, (2.5, 1.5)), "D", "xxx"),
    Look(ORANGE, (0, (8, 2, 1.5, 2, 1.5, 2)), "v", "---"),
    Look(SKY, (0, (4, 1)), "P", "|||"),
)
CONSTANT, WHOLE = Look(BLACK, (0, (4, 2)), "x", ""), Look(GREY, (0, (1, 1.5)), "+", "")
_DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.5)), (0, (6, 2, 1.2, 2)))


def looks(models: Iterable[str]) -> dict[str, Look]:
    """Model -> look, by order; the report's own model comes first."""
    return {model: _LOOKS[i % len(_LOOKS)] for i, model in enumerate(models)}


def dash(number: int) -> Any:
    """The line style of the n-th seed, where colours are models."""
    return _DASHES[number % len(_DASHES)]


def new(height: float, **options: Any) -> Figure:
    """An empty figure as wide as the page; height in inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained", **options)


def legend(axes: Axes, *, published: bool) -> None:
    """The legend of curves, the last drawn first, and of hollow markers for what is published."""
    handles, labels = axes.get_legend_handles_labels()
    handles, labels = handles[::-1], labels[::-1]
    if published:
        handles.append(Line2D([], [], ls="", marker="o", mfc="white", mec=GREY, ms=9, mew=1.8))
        labels.append("published (large, hollow)")
    axes.legend(handles, labels, loc="upper right", handlelength=3.6)


def say(axes: Axes, sentence: str) -> None:
    """Show a text instead of a plot that cannot be drawn."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, ha="center", va="center", wrap=True, color="#444444", transform=axes.transAxes)


def sentence(text: str) -> Figure:
    """A figure with only a text: why there is nothing to draw."""
    figure = new(1.2)
    say(figure.add_subplot(), text)
    return figure


def encode(figure: Figure, kind: str) -> bytes:
    """The figure as svg or png, without date and version, so that equal figures have equal bytes."""
    data = io.BytesIO()
    figure.savefig(data, format=kind, dpi=130, metadata={"Date" if kind == "svg" else "Software": None})
    return _repeatable(data.getvalue()) if kind == "svg" else data.getvalue()


def _repeatable(svg: bytes) -> bytes:
    """Round coordinates to a thousandth of a point and number the clip paths. The layout solver's last bits are not
    reproducible, and matplotlib writes them into coordinates and into names of clip paths."""
    numbers = rb"((?:scale|matrix)\([^)]*\))|-?\d+\.\d{4,}"  # except factors, which are not coordinates
    svg = re.sub(numbers, lambda found: found[1] or f"{float(found[0]):.3f}".encode(), svg)
    names = dict.fromkeys(re.findall(rb"url\(#(p[0-9a-f]{10})\)", svg))
    numbered = {name: b"clip%d" % i for i, name in enumerate(names)}
    return re.sub(rb"(?<=[#\"])p[0-9a-f]{10}(?=[)\"])", lambda found: numbered.get(found[0], found[0]), svg)
