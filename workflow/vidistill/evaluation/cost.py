"""What a model cost: the moments that its training read, and parameters, multiply-adds and latency of an answer."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vidistill.base.stage import UserError
from vidistill.base.wording import plural

COLUMNS = ("supervision", "training_moments", "parameters", "multiply_adds", "latency_ms")
COUNTS = COLUMNS[1:4]
HEADER = ("supervision", "training moments", "parameters", "multiply-adds", "latency, ms")
Cost = Mapping[str, Any]  # the COLUMNS of a model, without those that are not known


def read(path: Path, models: Iterable[str]) -> dict[str, Any]:
    """What stage `efficiency` measured.

    Raises:
        UserError: a model is not among it.
    """
    measured: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if lacking := [model for model in models if model not in measured["models"]]:
        raise UserError(f"{path} has no measurement of {lacking[0]}; measure the models together (stage efficiency).")
    return measured


def of(result: Mapping[str, Any], model: str, measured: Mapping[str, Any] | None = None) -> Cost:
    """The cost of a model of a result.

    Args:
        measured: the measurement to show; None for the result's own.
    """
    about, row = result["models"][model], (measured or result["efficiency"])["models"].get(model, {})
    moments = [count for count in about["training_moments"].values() if count is not None]
    read = {"supervision": about["supervision"], "training_moments": max(moments, default=None)}
    return {**{k: v for k, v in read.items() if v is not None}, **{name: row[name] for name in COLUMNS if name in row}}


def texts(cost: Cost) -> tuple[str, ...]:
    """The cells of a table, under HEADER; empty where nothing is known."""
    forms: tuple[Callable[[Any], str], ...] = (str, "{:,}".format, "{:,}".format, _large, "{:.3g}".format)
    return tuple(form(cost[name]) if name in cost else "" for name, form in zip(COLUMNS, forms, strict=True))


def sentence(model: str, cost: Cost) -> str:
    """One line for the terminal."""
    supervision, moments, parameters, products, latency = texts(cost)
    said = f"{model}: supervision {supervision or 'not stated'}"
    said += f", {moments} training moments read" if moments else ""
    return said + (f"; {parameters} parameters, {products} multiply-adds, {latency} ms" if parameters else "")


def conditions(measured: Mapping[str, Any]) -> str:
    """How the models were measured; empty if none was."""
    if not measured["models"]:
        return ""
    where = f"on {measured['device']}, {plural(measured['threads'], 'thread')}"
    rows = measured["models"].values()
    if not any(row["words"] for row in rows):
        counts = sorted({row["snippets"] for row in rows})
        snippets = " to ".join(map(str, [*counts[:1], *counts[1:][-1:]]))
        return (
            f"Multiply-adds and latency are of one video of {snippets} snippets with features in memory, for all its "
            f"labels; latency is the median of {plural(measured['queries'], 'answer')} {where}."
        )
    return (
        "Parameters are those of inference without the word table. Multiply-adds and latency are of one query with "
        f"features and words in memory; latency is the median of {plural(measured['queries'], 'query')} {where}."
    )


def _large(count: int) -> str:
    """1,234,567 as "1.23 M"."""
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= 0.9995 * size:
            return f"{count / size:.3g} {unit}"
    return str(count)
