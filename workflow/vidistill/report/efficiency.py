"""Figure: accuracy over the latency of an answer, one point per model."""

from matplotlib.figure import Figure

from vidistill.evaluation import cost
from vidistill.report import style
from vidistill.report.material import Material

TITLE = "Accuracy over latency"
ABOUT = (
    "Up and to the left is better. Each point is a model: its R@m of the middle threshold, with the range of its "
    "seeds, over the latency of one query, on a logarithmic axis. The grey line is the best constant interval, which "
    "needs no video.",
    "Latency is of one query with features and words in memory, measured by one job on one machine; extracting "
    "features takes longer, and the same for all models that read the same streams.",
)


def draw(material: Material) -> Figure:
    """One point per model with numbers."""
    s, result = material.settings, material.result
    models = [model for model in material.models if material.scored[model]]
    if not models:
        return style.sentence("Nothing can be scored; see Results.")
    models = [model for model in models if model in result["efficiency"]["models"]]
    if not models:
        return style.sentence("No model was measured: predictions were made elsewhere.")
    name = f"R@{sorted(s.thresholds)[len(s.thresholds) // 2]:g}"
    figure, looks = style.new(4.4), style.looks(material.models)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    for model in models:
        look, seeds = looks[model], material.seed_means(model, [name])[:, 0]
        about, mean = cost.of(result, model), seeds.mean()
        drawn = axes.errorbar(
            about["latency_ms"],
            mean,
            yerr=[[mean - seeds.min()], [seeds.max() - mean]],
            color=look.colour,
            marker=look.marker,
            ls="",
            ms=9,
            capsize=4,
            label=f"{model}, {about['parameters']:,} parameters",
        )
        drawn[0].set_gid(f"point:{model}")
    if constant := result["video_free"]["constant"]:
        axes.axhline(constant[name], color=style.GREY, ls=style.CONSTANT.line, lw=1.4, label="constant interval")
    measured = result["efficiency"]
    latencies = [measured["models"][model]["latency_ms"] for model in models]
    axes.set_xlim(min(latencies) / 1.5, max(latencies) * 1.5)
    axes.margins(y=0.2)
    axes.set(xlabel=f"latency, ms ({measured['device']}, threads: {measured['threads']})", ylabel=f"{name}, percent")
    figure.legend(loc="outside right upper")
    return figure
