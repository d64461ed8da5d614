"""EMTM's stages on the small data set of random features, as the workflow runs them, in this process."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import small
import small_emtm
from vidistill.base import store
from vidistill.emtm import export as exporting
from vidistill.emtm import train as training

NETWORKS = ("student", "seqpan", "map2d")


def write(config: dict[str, Any], folder: Path) -> Path:
    """What `small_emtm.write` writes, and a trained model of each network in a folder of its name."""
    small_emtm.write(folder)
    for network in NETWORKS:
        section = small_emtm.train_section(config, network=network, model=network)
        train(folder, section, "--training-moments", folder / "training_moments.parquet")
    return folder


def train(folder: Path, section: dict[str, Any], *more: str | Path, inputs: Sequence[str | Path] = ()) -> Path:
    """Train into folder/MODEL; the model file.

    Args:
        more: the options of hard labels and teachers.
        inputs: the options of queries, words and features; by default those that `small` wrote.
    """
    out = folder / section["model"]
    files = {"model": "model.safetensors", "history": "history.parquet", "predictions": "predictions.parquet"}
    outputs = [x for option, file in files.items() for x in (f"--{option}", out / file)]
    arguments = ["--settings", json.dumps(section), *(inputs or small.inputs(folder)), *outputs]
    training.main(list(map(str, [*arguments, "--work", out / "work", *more])))
    return out / files["model"]


def export(folder: Path, model: Path, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pseudo labels and activation maps beside a model, and what they hold."""
    names, files = small.inputs(folder), [model.with_name(f"{name}.parquet") for name in ("labels", "maps")]
    settings = json.dumps({"device": "cpu", "threads": 1, **changes})
    arguments = ["--settings", settings, "--model", model, *names[:2], *names[6:]]
    exporting.main([*map(str, [*arguments, "--pseudo-labels", files[0], "--activation-maps", files[1]])])
    return store.read_table(files[0]), store.read_table(files[1])
