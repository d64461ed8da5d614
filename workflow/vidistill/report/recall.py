"""Figure: R@m over all m, with video-free baselines."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from vidistill.evaluation import evaluate
from vidistill.evaluation.published import published
from vidistill.report import style
from vidistill.report.material import CURVE, Material

TITLE = "R@m over all m"
ABOUT = (
    "The share of queries whose predicted moment has an IoU of at least m with the true one. Grey lines mark the m of "
    "the reported metrics. Shading: lowest to highest seed.",
    "Without video: the best constant interval, fitted on the training moments separately for each m, and the whole "
    "video. Where a model's curve is below them, it finds less than a guess without video.",
)
NAMES = [f"R@{m:g}" for m in CURVE]
TITLES = {"constant": "constant interval", "whole_video": "whole video"}


def without_video(material: Material, curve: Sequence[float] = CURVE) -> dict[str, np.ndarray]:
    """Video-free baseline -> (len(curve),) percent; no constant interval without training moments.

    As in the result, the constant interval is fitted separately for each m: an upper bound of all constants.
    """
    s = material.settings.model_copy(update={"thresholds": tuple(curve)})
    query_ids = next(iter(material.scored[s.model].values())).query_ids
    learned = material.result["models"][s.model]["settings"]["train_splits"]
    values, _ = evaluate.without_video(s, material.data, learned, query_ids)
    return {TITLES[name]: found.mean(axis=0)[:-1] for name, found in values.items() if found is not None}


def draw(material: Material) -> Figure:
    """One curve per model: mean over seeds, range of the seeds shaded; markers are published numbers."""
    s, papers = material.settings, published(material.settings.dataset)
    if not material.scored[s.model]:
        return style.sentence("Nothing can be scored; see Results.")
    figure = style.new(5.2)
    axes = figure.add_subplot()
    baselines = {"constant interval": style.CONSTANT, "whole video": style.WHOLE}
    for name, values in without_video(material).items():
        look = baselines[name]
        axes.plot(
            CURVE, values, color=look.colour, ls=look.line, lw=1.6, label=f"without video: {name}", gid=f"curve:{name}"
        )
    looks = style.looks(material.models)
    for model in reversed(
        [model for model, seeds in material.scored.items() if seeds]
    ):  # the report's own model on top
        look, seeds = looks[model], material.seed_means(model, NAMES)
        if len(seeds) > 1:
            axes.fill_between(CURVE, seeds.min(axis=0), seeds.max(axis=0), color=look.colour, alpha=0.18, lw=0)
        axes.plot(CURVE, seeds.mean(axis=0), color=look.colour, ls=look.line, marker=look.marker, label=model)
        axes.lines[-1].set_gid(f"curve:{model}")
        for name, value in papers[model].metrics.items() if model in papers else ():
            if name != "mIoU":
                axes.plot(
                    float(name.removeprefix("R@")), value, look.marker, color=look.colour, mfc="white", ms=9, mew=1.8
                )
    for m in s.thresholds:
        axes.axvline(m, color="#bbbbbb", lw=1, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 100), xlabel="m (smallest IoU that counts)", ylabel="R@m, percent")
    axes.set_xticks(np.arange(0, 1.01, 0.1))
    style.legend(axes, published=bool(papers.keys() & set(material.models)))
    return figure
