"""Figure: metrics by properties of the query."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vidistill.evaluation import metrics
from vidistill.report import style
from vidistill.report.material import Material

TITLE = "Where predictions fail"
ABOUT = (
    "Queries in groups of about equal size, by length of the moment, its position in the video, and number of words "
    "in the sentence. Vertical bars are bootstrap intervals over the queries of a group: if they overlap widely, "
    "groups or models may be equal.",
    "A model that rises and falls with the constant interval has learned where moments usually are, not what they "
    "show.",
)


def properties(material: Material, query_ids: pd.Index) -> dict[str, np.ndarray]:
    """Axis label -> (N,) values of queries; of several moments, the first counts."""
    moments = material.data.normalised(query_ids)[:, 0]
    words = material.sentences.loc[query_ids, "sentence"].str.split().str.len().to_numpy(dtype=np.float64)
    return {
        "length of the true moment, % of the video": 100 * (moments[:, 1] - moments[:, 0]),
        "position of its centre, % of the video": 100 * moments.mean(axis=1),
        "words in the sentence": words,
    }


def groups(values: np.ndarray, count: int) -> list[tuple[str, np.ndarray]]:
    """At most `count` groups of about equal size, (lowest to highest value, rows); equal values stay together."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, count + 1)[1:-1]))
    number = np.searchsorted(edges, values, side="left")
    found = []
    for group in np.unique(number):
        rows = np.flatnonzero(number == group)
        low, high = values[rows].min(), values[rows].max()
        label = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        found.append((label, rows))
    return found


def common_queries(material: Material) -> pd.Index:
    """Scored queries that every model predicts; empty if nothing is scored."""
    found = [next(iter(seeds.values())).query_ids if seeds else pd.Index([]) for seeds in material.scored.values()]
    first = found[0]
    for other in found[1:]:
        first = first.intersection(other)
    return first


def draw(material: Material, count: int) -> Figure:
    """Mean IoU in groups of queries, with intervals for each model; below, R@m for the middle threshold."""
    s = material.settings
    query_ids = common_queries(material)
    if query_ids.empty:
        return style.sentence("No query that all models answer can be scored.")
    middle = sorted(s.thresholds)[len(s.thresholds) // 2]
    rows = {"mIoU": "mean IoU, percent", f"R@{middle:g}": f"R@{middle:g}, percent"}
    figure = style.new(6.6)
    known, looks = properties(material, query_ids), style.looks(material.models)
    grid = figure.subplots(len(rows), len(known), squeeze=False, sharey="row")
    constant = _constant(material, query_ids, middle)
    for r, (metric, label) in enumerate(rows.items()):
        values = {
            model: np.mean(
                [material.column(x, metric)[x.query_ids.get_indexer(query_ids)] for x in seeds.values()], axis=0
            )
            for model, seeds in material.scored.items()
        }
        for c, (name, property_) in enumerate(known.items()):
            axes, parts = grid[r, c], groups(property_, count)
            for i, (model, found) in enumerate(values.items()):
                means = np.array([found[part].mean() for _, part in parts])
                limits = [s.intervals(found[part][:, None]) for _, part in parts]
                error = [
                    (0.0, 0.0) if limit is None else (mean - limit[0, 0], limit[0, 1] - mean)
                    for mean, limit in zip(means, limits, strict=True)
                ]
                x = np.arange(len(parts)) + 0.16 * (i - (len(values) - 1) / 2)
                look = looks[model]
                bars = axes.errorbar(
                    x, means, np.maximum(np.transpose(error), 0), color=look.colour, ls=look.line, label=model
                )
                bars.lines[0].set(marker=look.marker, gid=f"curve:{metric}:{c}:{model}", lw=1.3)
            if metric in constant:
                look, level = style.CONSTANT, [constant[metric][part].mean() for _, part in parts]
                axes.plot(level, color=look.colour, ls=look.line, marker=look.marker, lw=1.2, label="constant interval")
            axes.set_xticks(range(len(parts)), [f"{text}\n({len(part)})" for text, part in parts])
            axes.set_xlim(-0.5, len(parts) - 0.5)
            if r == len(rows) - 1:
                axes.set_xlabel(f"{name}\n(number of queries)")
        grid[r, 0].set_ylabel(label)
        grid[r, 0].set_ylim(bottom=0)  # last, since the row shares the axis
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), handlelength=3.4)
    return figure


def _constant(material: Material, query_ids: pd.Index, middle: float) -> dict[str, np.ndarray]:
    """Metric -> (N,) percent of the constant intervals in the result."""
    moments, fitted = material.data.normalised(query_ids), material.result["constant_intervals"]
    if fitted is None:
        return {}
    name = f"R@{middle:g}"
    window = {key: np.broadcast_to(np.array(fitted[key]), (len(moments), 1, 2)) for key in ("mIoU", name)}
    overlap = {key: metrics.best_iou(value, moments)[:, 0] for key, value in window.items()}
    return {"mIoU": 100 * overlap["mIoU"], name: 100.0 * (overlap[name] >= middle)}
