"""What was found, in sentences: the report begins with them."""

from collections.abc import Mapping, Sequence
from typing import Any

from vidistill.base import wording
from vidistill.base.wording import plural
from vidistill.report import page
from vidistill.settings.localisation import MEAN

MARK = "finding"  # class of the paragraph, which the joined page and Snakemake's report begin with


def of_moments(result: Mapping[str, Any], thresholds: Sequence[float]) -> page.Raw:
    """R@m of the middle threshold, beside the compared models and the best prediction without video."""
    name = f"R@{sorted(thresholds)[len(thresholds) // 2]:g}"
    found = percent(result["metrics"][name]["mean"], result["queries"])
    own = f"The {result['model']} finds {found} % of the moments ({name})"
    return _paragraph(result, name, "queries", own, _supervision(result))


def of_segments(result: Mapping[str, Any]) -> page.Raw:
    """The mean average precision over all thresholds, likewise."""
    found = percent(result["metrics"][MEAN]["mean"], result["segments"])
    own = f"The {result['model']} reaches {found} % average mAP"
    learned = "from labels of whole videos, without any segment in training"
    return _paragraph(result, MEAN, "segments", own, learned)


def percent(value: float, count: int, *, sign: bool = False) -> str:
    """A percentage to read in a sentence: one decimal at most."""
    return wording.percent(value, min(count, 999), sign=sign)


def _supervision(result: Mapping[str, Any]) -> str:
    about = result["models"][result["model"]]
    count = max(about["training_moments"].values())
    return f"with {plural(count, 'moment')} in training" if count else "without any moment in training"


def _paragraph(result: Mapping[str, Any], name: str, counted: str, own: str, learned: str) -> page.Raw:
    compared = {other: about for other, about in result["comparisons"].items() if name in about["metrics"]}
    # Models before the baselines without video: the first is what this model is meant to be better than.
    parts = [
        beside(other, compared[other]["metrics"][name], compared[other][counted])
        for other in sorted(compared, key=lambda other: other == "video_free")
    ]
    first, *others = parts or [""]
    text = f"{own}{', ' if first else ''}{first}, {learned}."
    if others:
        *before, last = others
        text += f" It is {', '.join(before)}{' and ' if before else ''}{last}."
    return page.Raw(f'<p class="{MARK}">{page.text(text)}</p>')


def beside(other: str, about: Mapping[str, Any], count: int) -> str:
    """A difference: "4.0 points above the baseline (2.4 to 5.7)", or that it is within noise."""
    named = "the best prediction without video" if other == "video_free" else f"the {other}"
    difference, interval = about["difference"], about["interval"]
    if interval and not about["resolved"]:
        value, low, high = (percent(number, count, sign=True) for number in (difference, *interval))
        return f"within noise of {named} ({value}; {low} to {high})"
    value = percent(abs(difference), count)
    text = f"{value} point{'' if value == '1' else 's'} {'below' if difference < 0 else 'above'} {named}"
    if not interval:
        return text
    low, high = (percent(limit, count) for limit in sorted(map(abs, interval)))
    return f"{text} ({low} to {high})"
