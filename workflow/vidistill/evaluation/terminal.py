"""Print a result on the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from vidistill.base.wording import percent, plural
from vidistill.evaluation import cost, doubts

WIDTH = 15


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Coverage, warnings, a table of metrics, differences, and what the models cost."""
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
    selection, rules, count = result["selection"], result["rules"], result["queries"]
    rows = {
        result["model"]: _spread(result["metrics"], count),
        **{f"  by CPL's {rule} rule": _spread(metrics, count) for rule, metrics in rules.items() if metrics},
        **{
            other: _spread(compared["alone"], compared["queries"])
            for other, compared in result["comparisons"].items()
            if "alone" in compared
        },
        "constant interval": _plain(result["video_free"]["constant"], count),
        "whole video": _plain(result["video_free"]["whole_video"], count),
        "  epoch by held-out loss": _spread(selection["held_out"]["metrics"], count) if selection["held_out"] else {},
        "  best epoch on the test split (do not report)": _spread(selection["oracle"]["metrics"], count),
    }
    rows = {label: row for label, row in rows.items() if row}
    first = max(map(len, rows))
    yield " " * first + "".join(name.rjust(WIDTH) for name in names)
    for label, row in rows.items():
        yield label.ljust(first) + "".join(row.get(name, "").rjust(WIDTH) for name in names)
    for other, compared in result["comparisons"].items():
        label = "best without video" if other == "video_free" else other
        parts = [
            f"{name} {_difference(compared['metrics'][name], compared['queries'])}"
            for name in names
            if name in compared["metrics"]
        ]
        yield f"{result['model']} minus {label}: {', '.join(parts) or 'no query in common'}"


def _spread(metrics: Mapping[str, Any], queries: int) -> dict[str, str]:
    return {name: number(found, queries) for name, found in metrics.items()}


def number(found: Mapping[str, Any], queries: int) -> str:
    """A mean and, of several seeds, its spread."""
    return percent(found["mean"], queries) + ("" if found["std"] is None else f" ± {percent(found['std'], queries)}")


def _plain(metrics: Mapping[str, float] | None, queries: int) -> dict[str, str]:
    return {name: percent(value, queries) for name, value in (metrics or {}).items()}


def _difference(compared: Mapping[str, Any], queries: int) -> str:
    return percent(compared["difference"], queries, sign=True) + ("" if compared["resolved"] else " (within noise)")
