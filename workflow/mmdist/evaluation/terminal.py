"""The result as a person reads it on a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

WIDTH = 15


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """A table, metric by metric, and what of it is sure."""
    coverage = result["coverage"]["splits"][result["split"]]
    queries, videos = coverage["queries"], coverage["videos"]
    yield (
        f"{result['dataset']}, split {result['split']}: {queries['used']} of {queries['annotated']} queries "
        f"on {videos['used']} of {videos['annotated']} videos, {len(result['seeds'])} seeds"
    )
    for reason, count in queries["not_used"].items():
        yield f"  not used: {count} {reason}"
    names = [name for name in result["metrics"] if not name.startswith("R5")]
    selection, rules = result["selection"], result["rules"]
    rows = {
        result["model"]: _spread(result["metrics"]),
        **{f"  by CPL's {rule} rule": _spread(metrics) for rule, metrics in rules.items() if metrics},
        **{
            other: _spread(compared["alone"])
            for other, compared in result["comparisons"].items()
            if "alone" in compared
        },
        "constant interval": _plain(result["video_free"]["constant"]),
        "whole video": _plain(result["video_free"]["whole_video"]),
        "  epoch by held-out loss": _spread(selection["held_out"]["metrics"]) if selection["held_out"] else {},
        "  best epoch on the test split, for no use": _spread(selection["oracle"]["metrics"]),
    }
    rows = {label: row for label, row in rows.items() if row}
    first = max(map(len, rows))
    yield " " * first + "".join(name.rjust(WIDTH) for name in names)
    for label, row in rows.items():
        yield label.ljust(first) + "".join(row.get(name, "").rjust(WIDTH) for name in names)
    for other, compared in result["comparisons"].items():
        label = "best without video" if other == "video_free" else other
        parts = [f"{name} {_difference(compared['metrics'][name])}" for name in names if name in compared["metrics"]]
        yield f"{result['model']} minus {label}: {', '.join(parts)}"


def _spread(metrics: Mapping[str, Any]) -> dict[str, str]:
    return {n: f"{m['mean']:.2f}" + ("" if m["std"] is None else f" ± {m['std']:.2f}") for n, m in metrics.items()}


def _plain(metrics: Mapping[str, float] | None) -> dict[str, str]:
    return {name: f"{value:.2f}" for name, value in (metrics or {}).items()}


def _difference(compared: Mapping[str, Any]) -> str:
    return f"{compared['difference']:+.2f}" + ("" if compared["resolved"] else " (not resolved)")
