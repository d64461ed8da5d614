"""Figure: every loss term over the epochs, one line per model and seed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from vidistill.report import style

TITLE = "Loss curves"
ABOUT = (
    "Every loss term over the epochs, before weighting (the first panel is the weighted sum). Colours and markers are "
    "models, dashes are seeds.",
    "What to look for: reconstruction should fall, and so should location and matching. A constant local term means "
    "that sentences are not matched with their videos. A spread of activation maps near 0 means uninformative maps.",
)
COLUMNS = 4
# In the order of the figure; other terms follow under their own names.
TITLES = {
    "loss": "loss, all terms weighted",
    "reconstruction": "reconstruction",
    "ranking": "ranking of masks",
    "diversity": "diversity of proposals",
    "local": "local: video and sentence",
    "mutual": "mutual: RGB and flow maps",
    "distillation_global": "distilled: pseudo label",
    "distillation_local": "distilled: activation map",
    "location": "location of start and end",
    "matching": "sequence matching",
    "isomorphic_location": "isomorphic teacher: location",
    "isomorphic_matching": "isomorphic teacher: matching",
    "aggregation": "aggregation of teachers",
    "distillation": "distilled: start and end",
    "error_chosen": "error, chosen proposal",
    "error_full": "error, whole video",
    "map_spread": "spread of activation maps",
    "teacher_agreement": "agreement with teacher",
    "held_out_loss": "loss on held-out videos",
    "learning_rate": "learning rate",
}


def draw(
    histories: Mapping[tuple[str, int], pd.DataFrame], models: Sequence[str], titles: Mapping[str, str] = TITLES
) -> Figure:
    """One panel per column of the histories that has numbers.

    Args:
        histories: (model, seed) -> history.parquet.
        models: the report's own model first.
        titles: of columns, in the order of the figure.
    """
    there = {term for h in histories.values() for term in h.columns if np.isfinite(h[term].astype(float)).any()}
    terms = [term for term in titles if term in there] + sorted(there - {*titles, "epoch"})
    if not terms:
        return style.sentence("Predictions that were made elsewhere have no training to show.")
    rows = -(-len(terms) // COLUMNS)
    figure, looks = style.new(0.5 + 2.15 * rows), style.looks(models)
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in grid[len(terms) :]:
        axes.set_axis_off()
    seeds = sorted({seed for _, seed in histories})
    for axes, term in zip(grid, terms, strict=False):
        axes.set_title(titles.get(term, term), fontsize=9.5)
        for (model, seed), history in histories.items():
            if term not in history or not np.isfinite(history[term].astype(float)).any():
                continue
            look, number = looks[model], seeds.index(seed)
            line = axes.plot(history["epoch"], history[term], color=look.colour, lw=1.4, ls=style.dash(number))[0]
            line.set(marker=look.marker, markersize=3.2, markevery=(number, max(1, len(history) // 5)))
            line.set_gid(f"curve:{term}:{model}:{seed}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
    for axes in grid[max(0, len(terms) - COLUMNS) : len(terms)]:
        axes.set_xlabel("epoch")
    handles = [Line2D([], [], color=looks[m].colour, marker=looks[m].marker, label=m) for m in models]
    if len(seeds) > 1:
        handles += [Line2D([], [], color=style.GREY, ls=style.dash(i), label=f"seed {s}") for i, s in enumerate(seeds)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure
