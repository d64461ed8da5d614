"""Page: the model's numbers, with its streams, published numbers, compared models, and video-free baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

from vidistill.base.wording import percent, plural
from vidistill.evaluation import cost, doubts
from vidistill.evaluation.published import published, sources
from vidistill.evaluation.terminal import WITHOUT_VIDEO, number
from vidistill.report import finding, page
from vidistill.settings.localisation import MEAN, LocalisationSettings

TOLD = (
    "Baselines without video are told the true labels of each video, but for the grid of all labels: the whole video, "
    "the same share of each video, and segments of equal length one after another. A model that does not beat them may "
    "have learned nothing about the videos."
)


def make(s: LocalisationSettings, result: Mapping[str, Any]) -> str:
    """The page."""
    title = f"Results: {s.model} on {s.dataset}"
    if not result["metrics"]:
        return page.document(title, _unscored(result), *doubts.sentences(result))
    names, count = list(result["metrics"]), result["segments"]
    seeds = len(s.seeds)
    each = f"the mean over {seeds} seeds ± standard deviation" if seeds > 1 else "from one seed"
    parts: list[str] = [
        finding.of_segments(result),
        f"Mean average precision in percent, of {plural(count, 'segment')} in {plural(result['videos'], 'video')} of "
        f"the split {s.split}, by the protocol of ActivityNet's toolkit; {MEAN} without a threshold is the mean over "
        f"all. Each number is {each}, after the last epoch; in round brackets, the {s.confidence:.0%} bootstrap "
        "interval over the videos.",
        *doubts.sentences(result),
        _table(names, _rows(result, count), s.model),
        TOLD if result["fitted"] else "The training split has no segments, so the baselines' sizes cannot be fitted.",
        page.heading("Differences"),
        "Paired, video by video. A difference is clear if its interval excludes 0, and within noise otherwise.",
        _table(names, _differences(result)),
        *_published(s, result, names),
        page.heading("Cost"),
        cost.conditions(result["efficiency"]),
        page.table(("", *cost.HEADER), _costs(result), numbers=range(2, 6), own=s.model),
        page.heading("Other numbers"),
        f"Classification of whole videos: mAP {number(result['classification'], result['queries'])}. The oracle epoch "
        "is chosen on the reported videos: do not report it.",
        _table(names, _selections(result, count)),
    ]
    return page.document(title, *parts)


def _unscored(result: Mapping[str, Any]) -> str:
    return (
        f"Nothing can be scored: no video of the split {result['split']} has both a segment (label, start and end) and "
        "a prediction."
    )


def _table(names: Sequence[str], rows: Mapping[str, Mapping[str, object]], own: str = "") -> page.Raw:
    cells = [[label, *(row.get(name, "") for name in names)] for label, row in rows.items() if row]
    return page.table(("", *names), cells, numbers=range(1, len(names) + 1), own=own)


def _rows(result: Mapping[str, Any], count: int) -> dict[str, dict[str, object]]:
    rows = {WITHOUT_VIDEO[name]: _plain(found, count) for name, found in result["video_free"].items()}
    for other, about in result["comparisons"].items():
        if "alone" in about:
            rows[other] = _spread(about["alone"], about["segments"])
    rows[result["model"]] = _spread(result["metrics"], count)
    return rows | {f"{stream} alone": _spread(found, count) for stream, found in result["streams"].items()}


def _differences(result: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    return {
        f"{result['model']} minus {'the best without video' if other == 'video_free' else other}": {
            name: _difference(found, about["segments"]) for name, found in about["metrics"].items()
        }
        for other, about in result["comparisons"].items()
    }


def _published(s: LocalisationSettings, result: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The protocol of W-TALC, if the result has it, and published numbers."""
    papers, wtalc, count = published(s.dataset), result["wtalc"], result["segments"]
    rows: dict[str, dict[str, object]] = {
        f"{model} (published)": {name: f"{value:g}" for name, value in about.metrics.items()}
        for model, about in papers.items()
    }
    parts: list[str] = []
    if wtalc:
        parts = [
            page.heading("Protocol of W-TALC"),
            "Times are rounded to snippets, predictions that touch an ambiguous segment are removed, and no video is "
            f"excluded: {plural(wtalc['segments'], 'segment')} in {plural(wtalc['videos'], 'video')}. Numbers by this "
            "protocol and by the other cannot be compared.",
        ]
        own = {WITHOUT_VIDEO[name]: _plain(found, count) for name, found in wtalc["video_free"].items()}
        rows = {**own, result["model"]: _spread(wtalc["metrics"], count), **rows}
    elif rows:
        parts = [page.heading("Published numbers")]
    else:
        return ["No paper reports on this data set."]
    text = sources(s.dataset, papers)
    return [*parts, *([f"{text}."] if text else []), _table(names, rows, s.model)]


def _costs(result: Mapping[str, Any]) -> list[list[object]]:
    return [[model, *cost.texts(cost.of(result, model))] for model in result["models"]]


def _selections(result: Mapping[str, Any], count: int) -> dict[str, dict[str, object]]:
    held_out, oracle = result["selection"]["held_out"], result["selection"]["oracle"]
    rows = {"epoch of the lowest held-out loss": _spread(held_out["metrics"], count)} if held_out else {}
    return {**rows, "oracle epoch (do not report)": _spread(oracle["metrics"], count)}


def _spread(metrics: Mapping[str, Any], count: int) -> dict[str, object]:
    def cell(found: Mapping[str, Any]) -> page.Raw:
        limits = found.get("interval")
        low, high = (percent(limit, count) for limit in limits) if limits else ("", "")
        return page.Raw(number(found, count) + (f"<small>({low} to {high})</small>" if limits else ""))

    return {name: cell(found) for name, found in metrics.items()}


def _plain(metrics: Mapping[str, float], count: int) -> dict[str, object]:
    return {name: percent(value, count) for name, value in metrics.items()}


def _difference(found: Mapping[str, Any], count: int) -> page.Raw:
    value = percent(found["difference"], count, sign=True)
    if not found["interval"]:
        return page.Raw(value)
    low, high = (percent(limit, count, sign=True) for limit in found["interval"])
    clear = "clear" if found["resolved"] else "within noise"
    return page.Raw(f"{value}<small>({low} to {high})</small><small>{clear}</small>")
