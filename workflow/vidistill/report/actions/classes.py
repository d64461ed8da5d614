"""Figure: the average precision of each class."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from vidistill.base.wording import plural
from vidistill.report import style

TITLE = "Classes"
ABOUT = (
    "Average precision of each class, the mean over all temporal IoUs of the result and over seeds, best classes "
    "first. Thin lines go from the highest to the lowest temporal IoU. In brackets, the true segments and the videos "
    "that have them: numbers of rare classes are uncertain.",
)
MOST = 40  # classes shown


def draw(result: Mapping[str, Any]) -> Figure:
    """A bar for each class; of many the best and the worst ones."""
    classes = sorted(result["classes"].items(), key=lambda item: (-item[1]["AP"], item[0]))
    if not classes:
        return style.sentence("Nothing can be scored; see Results.")
    left_out = max(0, len(classes) - MOST)
    shown = classes if not left_out else [*classes[: MOST // 2], *classes[-MOST // 2 :]]
    colour = style.looks([result["model"]])[result["model"]].colour
    figure = style.new(0.9 + 0.26 * len(shown))
    axes = figure.add_subplot()
    for row, (label, about) in enumerate(shown):
        at_each = [value for name, value in about.items() if name.startswith("AP@")]
        axes.barh(row, about["AP"], height=0.68, color=colour, alpha=0.8, gid=f"class:{label}")
        axes.plot([min(at_each), max(at_each)], [row, row], color="black", lw=1.2, marker="|", ms=7)
    names = [f"{label} ({about['segments']} in {plural(about['videos'], 'video')})" for label, about in shown]
    axes.set_yticks(range(len(shown)), names)
    if left_out:
        axes.axhline(MOST // 2 - 0.5, color=style.GREY, lw=1.2, ls=(0, (4, 2)))
        axes.text(1, MOST // 2 - 0.5, f"{left_out} more", transform=axes.get_yaxis_transform(), ha="right", va="bottom")
    axes.set(ylim=(len(shown) - 0.4, -0.6), xlim=(0, 100), xlabel="AP, percent")
    axes.grid(axis="y", visible=False)
    return figure
