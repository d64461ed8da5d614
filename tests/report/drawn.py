"""What the figures are drawn from, small and written here: `evaluated.Runs`, its result, and exported tables."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

import evaluated
from conftest import parse
from evaluated import EPOCHS, Runs
from vidistill.base import store
from vidistill.evaluation.evaluate import EvaluateSettings
from vidistill.report import material
from vidistill.report.material import Material, Paths
from vidistill.report.style import encode
from vidistill.training.knowledge import ACTIVATION_MAPS, PSEUDO_LABELS

SNIPPETS = 8
TERMS = ("loss", "local", "ranking", "learning_rate")


def runs(root: Path) -> Runs:
    """Two models and two seeds, the student the better one; histories with several terms."""
    found = Runs(root)
    for seed in found.seeds:
        found.tables["student", seed] = found.predict(seed, 0.6)
    epochs = np.arange(1, EPOCHS + 1)
    found.history = pd.DataFrame({"epoch": epochs, "held_out_loss": np.nan, **{term: 1.0 / epochs for term in TERMS}})
    return found


def export(
    data: Runs, model: str, shift: float, *, maps: bool = True, kinds: tuple[str, ...] = ("semantic", "start", "end")
) -> dict[str, list[str]]:
    """What stage `export` writes of a model whose pseudo labels are the moments, `shift` seconds late."""
    files: dict[str, list[str]] = {"--pseudo-labels": [], "--activation-maps": []}
    rows = data.queries.merge(data.moments, on="query_id", how="left").fillna({"start": 1.0, "end": 2.0})
    key = {"teacher": model, "stream": "fused", "seed": 0, "round": 0}
    for seed in data.seeds:
        labels = rows.assign(
            **key, rank=0, score=1.0, proposal_index=0, center=0.5, width=0.5, reconstruction_error=1.0
        )
        labels[["start", "end"]] += shift
        parts = []
        for number, kind in enumerate(kinds):
            parts.append(rows.assign(**key, kind=kind, num_snippets=SNIPPETS, confidence=None))
            parts[-1]["values"] = [np.linspace(number, 1, SNIPPETS, dtype=np.float32)] * len(rows)
        table = pd.concat(parts)
        paths = data.root / f"{model}-{seed}-labels.parquet", data.root / f"{model}-{seed}-maps.parquet"
        store.write_table(paths[0], labels, PSEUDO_LABELS, ["query_id"])
        store.write_table(paths[1], table if maps else table.iloc[:0], ACTIVATION_MAPS, ["query_id"])
        for option, path in zip(files, paths, strict=True):
            files[option].append(f"{model}:{seed}={path}")
    return files


def by_label(options: list[str]) -> dict[tuple[str, int], Path]:
    labels = (option.partition("=") for option in options)
    return {(label.partition(":")[0], int(label.partition(":")[2])): Path(path) for label, _, path in labels}


def read(
    data: Runs,
    config: Mapping[str, Any],
    *exported: str,
    kinds: tuple[str, ...] = ("semantic", "start", "end"),
    **changes: Any,
) -> Material:
    """Evaluate the runs and read them as the stage does; pseudo labels of the n-th exported model are n s late."""
    changes = {"compare_with": ["baseline"], **changes}
    result = evaluated.evaluate(data, config["evaluate"], **changes)
    options = data.write()
    features: dict[str, list[Path]] = {}
    for name, _, path in (option.partition("=") for option in options["--features"]):
        features.setdefault(name, []).append(Path(path))
    tables: dict[str, list[str]] = {"--pseudo-labels": [], "--activation-maps": []}
    for shift, model in enumerate(exported):
        for option, files in export(data, model, float(shift), kinds=kinds).items():
            tables[option] += files
    paths = Paths(
        data.root / "result.json",
        Path(options["--queries"][0]),
        Path(options["--moments"][0]),
        features,
        *(by_label(options[option]) for option in ("--predictions", "--histories")),
        *(by_label(files) for files in tables.values()),
    )
    return material.read(parse(EvaluateSettings, result["settings"]), paths)


def curves(figure: Any) -> list[str]:
    """Identifiers of the lines that a figure has, as its SVG holds them."""
    tree = ElementTree.fromstring(encode(figure, "svg"))
    found = (element.get("id", "") for element in tree.iter() if element.tag.endswith("}g"))
    return [name for name in found if re.match("curve:|truth:|between:", name)]


def texts(figure: Any) -> str:
    """All words of a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text")))


def line(figure: Any, name: str) -> np.ndarray:
    """The values of the line with this identifier."""
    return np.asarray(next(line for axes in figure.axes for line in axes.lines if line.get_gid() == name).get_ydata())
