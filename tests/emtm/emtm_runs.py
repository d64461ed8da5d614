"""EMTM's stages on the small data set of random features, as the workflow runs them, in this process."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

import small
from vidistill.base import store
from vidistill.data.moments import MOMENTS
from vidistill.emtm import export as exporting
from vidistill.emtm import train as training
from vidistill.planning.effects import UNREAD


def moments(folder: Path) -> Path:
    """The table of training moments: from 2 to 5 seconds, one query's from 3 to 6."""
    queries = store.read_table(folder / "queries.parquet")
    wanted = queries[queries["split"] == "train"]
    table = pd.DataFrame({"query_id": wanted["query_id"], "start": 2.0, "end": 5.0})
    table.iloc[0, 1:] = 3.0, 6.0
    store.write_table(folder / "training_moments.parquet", table, MOMENTS, ["query_id"])
    return folder / "training_moments.parquet"


def section(config: dict[str, Any], network: str, **changes: Any) -> dict[str, Any]:
    """Settings of a training that takes seconds; nested sections in `changes` are merged."""
    own = {key: value for key, value in config["emtm"].items() if key not in UNREAD[network]}
    found = json.loads(
        json.dumps(config["train"] | own | config["models"][network.replace("student", "emtm")]["train"])
    )
    found["optimisation"] = config["train"]["optimisation"] | {"epochs": 2, "batch_size": 4, "learning_rate": 0.001}
    found |= {"dataset": "small", "model": network, "network": network, "seed": 0, "device": "cpu", "threads": 1}
    found |= {"streams": ["rgb"], "teachers": [], "supervision": "full", "labels": None, "words": 10}
    if network == "map2d":
        found["map2d"] |= {"rows": 16, "clips": 8, "dim": 8, "layers": 2, "kernel": 3}
    else:
        found |= {"snippets": 12}
        found[network] |= {"dim": 16, "heads": 2, "characters": 6}
    for key, value in changes.items():
        found[key] = found[key] | value if isinstance(value, dict) else value
    return found


def train(folder: Path, settings: dict[str, Any], *more: str | Path) -> Path:
    """Train into folder/MODEL; the model file. `more` are the options of hard labels and teachers."""
    out = folder / settings["model"]
    files = {"model": "model.safetensors", "history": "history.parquet", "predictions": "predictions.parquet"}
    outputs = [x for option, file in files.items() for x in (f"--{option}", out / file)]
    arguments = ["--settings", json.dumps(settings), *small.inputs(folder), *outputs, "--work", out / "work", *more]
    training.main(list(map(str, arguments)))
    return out / files["model"]


def export(folder: Path, model: Path, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pseudo labels and activation maps beside a model, and what they hold."""
    names, files = small.inputs(folder), [model.with_name(f"{name}.parquet") for name in ("labels", "maps")]
    settings = json.dumps({"device": "cpu", "threads": 1, **changes})
    arguments = ["--settings", settings, "--model", model, *names[:2], *names[6:]]
    exporting.main([*map(str, [*arguments, "--pseudo-labels", files[0], "--activation-maps", files[1]])])
    return store.read_table(files[0]), store.read_table(files[1])
