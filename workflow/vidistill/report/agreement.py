"""Figure: IoU of pseudo labels with the true moments, and of the model with its teacher."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidistill.evaluation import metrics
from vidistill.report import style
from vidistill.report.material import Material

TITLE = "Pseudo labels and their agreement"
ABOUT = (
    "A pseudo label is a model's best proposal for a query. Top: its IoU with the true moment, which training sees in "
    "the training splits of models with supervision full alone; a student learns its teachers' errors. Bottom, for a "
    "model with teachers: the IoU of both models' pseudo labels.",
    "Each line is the histogram of one seed, in bins of 0.1; the legend gives the mean.",
)
BINS = np.linspace(0, 1, 11)


def with_truth(material: Material, labels: pd.DataFrame, split: str) -> np.ndarray:
    """(N,) IoU of pseudo labels with true moments, for queries of a split with known moments."""
    rows = labels[(labels["split"] == split) & labels.index.isin(list(material.data.targets))]
    if rows.empty:
        return np.empty(0)
    windows = rows[["start", "end"]].to_numpy(np.float64)[:, None]
    return metrics.best_iou(windows, material.moments(rows.index))[:, 0]


def between(ours: pd.DataFrame, theirs: pd.DataFrame, split: str) -> np.ndarray:
    """(N,) IoU of two models' pseudo labels, for queries of a split that both have."""
    both = ours[ours["split"] == split].merge(theirs, left_index=True, right_index=True, suffixes=("", "_other"))
    return metrics.iou(
        both[["start", "end"]].to_numpy(np.float64), both[["start_other", "end_other"]].to_numpy(np.float64)
    )


def draw(material: Material, teachers: Sequence[str]) -> Figure:
    """Rows: with the true moments and, if there is a teacher, with the teacher. Columns: splits."""
    s, labels = material.settings, material.labels
    if not labels:
        return style.sentence(f"{s.model} has no exported pseudo labels.")
    splits = sorted({name for table in labels.values() for name in table["split"].unique()}, key=lambda n: n != "train")
    shown = [model for model in (s.model, *teachers) if (model, s.seeds[0]) in labels]
    looks = style.looks(dict.fromkeys([*material.models, *teachers]))
    rows = 2 if len(shown) > 1 else 1
    figure = style.new(0.6 + 3.1 * rows)
    grid = figure.subplots(rows, len(splits), squeeze=False, sharex=True, sharey="row")
    for c, split in enumerate(splits):
        for model in shown:
            for number, seed in enumerate(s.seeds):
                found = with_truth(material, labels[model, seed], split)
                _line(grid[0, c], found, looks[model], number, f"{model}, seed {seed}", f"truth:{split}:{model}:{seed}")
        grid[0, c].set_title(f"with the true moments, split {split}")
        for teacher in shown[1:] if rows == 2 else ():
            for number, seed in enumerate(s.seeds):
                found = between(labels[s.model, seed], labels[teacher, seed], split)
                name = f"{s.model} and {teacher}, seed {seed}"
                _line(grid[1, c], found, looks[teacher], number, name, f"between:{split}:{teacher}:{seed}")
        if rows == 2:
            grid[1, c].set_title(f"{s.model} with its teacher{'s' if len(shown) > 2 else ''}, split {split}")
        grid[-1, c].set_xlabel("IoU")
    for axes in grid.ravel():
        if axes.lines:
            axes.set_xlim(0, 1)
            axes.set_ylim(bottom=0)
            axes.legend(loc="best", fontsize=8, handlelength=3)
            if axes in grid[:, 0]:
                axes.set_ylabel("percent of queries")
        else:
            style.say(axes, "no known moments")
    return figure


def _line(axes: Axes, found: np.ndarray, look: style.Look, number: int, name: str, gid: str) -> None:
    """A histogram as a line through the centres of its bins, so that several seeds stay legible."""
    if not len(found):
        return
    share = 100 * np.histogram(found, BINS)[0] / len(found)
    label = f"{name}: mean {found.mean():.2f}"
    line = axes.plot((BINS[:-1] + BINS[1:]) / 2, share, color=look.colour, ls=style.dash(number), label=label, gid=gid)[
        0
    ]
    line.set(marker=look.marker, lw=1.4, ms=3.5)
