"""Figure: mean average precision over the temporal IoU that counts."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from vidistill.base import colours
from vidistill.evaluation import localisation_numbers as numbers
from vidistill.evaluation.published import published
from vidistill.evaluation.terminal import WITHOUT_VIDEO
from vidistill.report import style
from vidistill.report.actions.material import Material
from vidistill.report.style import Look

TITLE = "mAP over tIoU"
ABOUT = (
    "A found segment counts if its temporal IoU with a true segment of its class is at least t; mean average precision "
    "is the mean over the classes. Grey lines mark the t of the reported metrics. Shading: lowest to highest seed.",
    "Without video: segments that are told the true labels of each video (but those of the grid of all labels), with "
    "the sizes that the result fitted on the training segments. Where a model's curve is below them, it finds less "
    "than a guess without video.",
)
CURVE = tuple(i / 20 for i in range(2, 20))
BASELINES = {
    "whole_video": style.WHOLE,
    "interval": style.CONSTANT,
    "grid": Look(colours.BLACK, (0, (1, 1)), "+", ""),
    "grid_of_all": Look(style.GREY, (0, (4, 1, 1, 1)), "x", ""),
}


def draw(material: Material) -> Figure:
    """One curve per model, per stream of the report's model, and per baseline; markers are published numbers."""
    s, m = material.settings, material
    if not m.result["metrics"]:
        return style.sentence("Nothing can be scored; see Results.")
    figure = style.new(5.2)
    axes = figure.add_subplot()

    def curve(tables: Sequence[pd.DataFrame], videos: Sequence[str], look: Look, label: str, **more: object) -> None:
        found = m.precision(tables, videos, CURVE)
        if len(found) > 1:
            axes.fill_between(CURVE, found.min(axis=0), found.max(axis=0), color=look.colour, alpha=0.18, lw=0)
        axes.plot(CURVE, found.mean(axis=0), color=look.colour, ls=look.line, label=label, gid=f"curve:{label}", **more)  # type: ignore[arg-type]

    own = m.scored(s.model)
    for name, table in numbers.without_video(m.truth, own, m.result["fitted"]).items():
        curve([table], own, BASELINES[name], f"without video: {WITHOUT_VIDEO[name]}", lw=1.4)
    there = {stream for one in m.found[s.model].values() for stream in one.streams}
    streams = [stream for stream in m.streams if stream in there]
    looks = style.looks([*m.models, *streams])
    for stream in streams:
        tables = [one.streams[stream] for one in m.found[s.model].values() if stream in one.streams]
        curve(tables, own, looks[stream], f"{stream} alone", lw=1.2, marker=looks[stream].marker, markevery=2)
    papers = published(s.dataset)
    for model in reversed([model for model in m.models if m.scored(model)]):  # the report's own on top
        curve(m.last(model), m.scored(model), looks[model], model, marker=looks[model].marker, lw=2.2)
        for name, value in papers[model].metrics.items() if model in papers else ():
            if "@" in name:
                at = float(name.partition("@")[2])
                axes.plot(at, value, looks[model].marker, color=looks[model].colour, mfc="white", ms=9, mew=1.8)
    for tiou in s.tious:
        axes.axvline(tiou, color="#bbbbbb", lw=1, zorder=0)
    axes.set(xlim=(0.05, 1), xlabel="t (smallest temporal IoU that counts)", ylabel="mAP@t, percent")
    axes.set_ylim(bottom=0)
    style.legend(axes, published=bool(papers.keys() & set(m.models)))
    return figure
