"""A result as lines for a terminal of 80 columns."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vidistill.base.wording import percent, plural
from vidistill.evaluation import cost, doubts, retrieval, summary

WIDTH, CLOCK = 79, len("12:34:56 ")  # which logs write before the first line
ORACLE = "  oracle epoch*"
# Baselines for segments. All but the last are told the true labels of each video.
WITHOUT_VIDEO = {
    "whole_video": "whole video, labels told",
    "interval": "constant interval, labels told",
    "grid": "grid, labels told",
    "grid_of_all": "grid of all labels",
}


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Coverage, warnings, a table of metrics, differences, and what the models cost."""
    return _fitting(_lines(result))


def of_segments(result: Mapping[str, Any]) -> Iterator[str]:
    """`lines` for a result about segments of actions."""
    return _fitting(_of_segments(result))


def _fitting(lines: Iterable[str]) -> Iterator[str]:
    """Sentences that are too long, in several lines; tables fit already."""
    before = " " * CLOCK
    for line in lines:
        first, *more = textwrap.wrap(before + line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        yield from [first[len(before) :], *more]
        before = ""


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    coverage = result["coverage"]["splits"][result["split"]]
    queries, videos = coverage["queries"], coverage["videos"]
    yield (
        f"{result['dataset']}, split {result['split']}: {queries['used']} of "
        f"{plural(queries['annotated'], 'query')} on {videos['used']} of {plural(videos['annotated'], 'video')}, "
        f"{plural(len(result['seeds']), 'seed')}"
    )
    for reason, count in queries["not_used"].items():
        yield f"  not used: {count} {reason}"
    yield from doubts.sentences(result)
    if result["metrics"]:
        yield from _table(result)
    else:
        yield unscored(result)
    for model, found in result.get("retrieval", {}).items():
        if found:
            yield retrieval.sentence(model, found)
    for model in result["models"]:
        yield cost.sentence(model, cost.of(result, model))


def unscored(result: Mapping[str, Any]) -> str:
    """The message for a result without numbers."""
    answered = ", ".join(f"{count} of split {split}" for split, count in result["answered"].items())
    return (
        f"Nothing can be scored: no query of the split {result['split']} has both a moment (start and end) and a "
        f"prediction. {result['model']} answers {plural(sum(result['answered'].values()), 'query')} ({answered}) in "
        f"results/{result['dataset']}/{result['model']}/predictions.jsonl."
    )


def _table(result: Mapping[str, Any]) -> Iterator[str]:
    names = [name for name in result["metrics"] if not name.startswith("R5")]
    rules, count = result["rules"], result["queries"]
    rows = {
        result["model"]: _spread(result["metrics"], count),
        **{f"  {summary.OTHER_RULES[rule]}": _spread(metrics, count) for rule, metrics in rules.items() if metrics},
        **_compared(result, "queries"),
        "constant interval": _plain(result["video_free"]["constant"], count),
        "whole video": _plain(result["video_free"]["whole_video"], count),
        **_other_epochs(result, count),
    }
    yield from _grid(names, rows)
    yield from _differences(result, names, "queries")


def _of_segments(result: Mapping[str, Any]) -> Iterator[str]:
    covered = result["coverage"]["splits"][result["split"]]
    videos = f"{result['videos']} of {plural(covered['videos']['annotated'], 'video')}"
    yield (
        f"{result['dataset']}, split {result['split']}: {plural(result['segments'], 'segment')} in {videos}, "
        f"{plural(len(result['seeds']), 'seed')}"
    )
    for reason, count in covered["queries"]["not_used"].items():
        yield f"  not used: {plural(count, 'label')} of a video, {reason}"
    yield from doubts.sentences(result)
    if result["metrics"] is None:
        yield (
            f"Nothing can be scored: no video of the split {result['split']} has both a segment (label, start and end) "
            "and a prediction."
        )
        return
    names, count = list(result["metrics"]), result["segments"]
    by_wtalc = result["wtalc"]
    rows = {
        result["model"]: _spread(result["metrics"], count),
        **{f"  {stream} alone": _spread(metrics, count) for stream, metrics in result["streams"].items()},
        **_compared(result, "segments"),
        **{WITHOUT_VIDEO[name]: _plain(metrics, count) for name, metrics in result["video_free"].items()},
        **_other_epochs(result, count),
    }
    if by_wtalc:
        rows[f"{result['model']}, by W-TALC"] = _spread(by_wtalc["metrics"], count)
        for name, metrics in by_wtalc["video_free"].items():
            rows[f"{WITHOUT_VIDEO[name]}, by W-TALC"] = _plain(metrics, count)
    yield from _grid(names, rows)
    yield from _differences(result, names, "segments")
    yield f"classification: mAP {number(result['classification'], result['queries'])}"
    for model in result["models"]:
        yield cost.sentence(model, cost.of(result, model))


def _compared(result: Mapping[str, Any], counted: str) -> dict[str, dict[str, str]]:
    """The rows of the models that a result compares its own with."""
    compared = {other: about for other, about in result["comparisons"].items() if "alone" in about}
    return {other: _spread(about["alone"], about[counted]) for other, about in compared.items()}


def _other_epochs(result: Mapping[str, Any], count: int) -> dict[str, dict[str, str]]:
    if not result["selection"]:  # predictions that were made elsewhere have no epochs
        return {}
    held_out, oracle = result["selection"]["held_out"], result["selection"]["oracle"]
    return {
        "  epoch by held-out loss": _spread(held_out["metrics"], count) if held_out else {},
        ORACLE: _spread(oracle["metrics"], count),
    }


def _grid(names: Sequence[str], rows: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A table; columns that do not fit beside the others follow below them."""
    rows = {label: row for label, row in rows.items() if row}
    first = max(map(len, rows))
    widths = {name: max(len(row.get(name, "")) for row in (*rows.values(), {name: name})) for name in names}
    gap = 2 if first + sum(widths.values()) + 2 * len(names) <= WIDTH else 1
    parts: list[list[str]] = [[]]
    for name in names:
        if parts[-1] and first + sum(gap + widths[other] for other in (*parts[-1], name)) > WIDTH:
            parts.append([])
        parts[-1].append(name)
    for part in parts:
        yield " " * first + "".join(name.rjust(gap + widths[name]) for name in part)
        for label, row in rows.items():
            yield label.ljust(first) + "".join(row.get(name, "").rjust(gap + widths[name]) for name in part)
    if ORACLE in rows:
        yield "* The epoch is chosen on the test split: do not report these numbers."


def _differences(result: Mapping[str, Any], names: Sequence[str], counted: str) -> Iterator[str]:
    for other, compared in result["comparisons"].items():
        label = "best without video" if other == "video_free" else other
        parts = [
            f"{name} {_difference(compared['metrics'][name], compared[counted])}"
            for name in names
            if name in compared["metrics"]
        ]
        yield f"{result['model']} minus {label}: {', '.join(parts) or 'nothing in common'}"


def _spread(metrics: Mapping[str, Any], queries: int) -> dict[str, str]:
    return {name: number(found, queries) for name, found in metrics.items()}


def number(found: Mapping[str, Any], queries: int) -> str:
    """A mean and, of several seeds, its spread."""
    return percent(found["mean"], queries) + ("" if found["std"] is None else f" ± {percent(found['std'], queries)}")


def _plain(metrics: Mapping[str, float] | None, queries: int) -> dict[str, str]:
    return {name: percent(value, queries) for name, value in (metrics or {}).items()}


def _difference(compared: Mapping[str, Any], queries: int) -> str:
    return percent(compared["difference"], queries, sign=True) + ("" if compared["resolved"] else " (within noise)")
