"""The small data set with training moments and tables of teachers, and settings of EMTM to match."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

import small
from conftest import parse
from vidistill.base import store
from vidistill.settings.emtm import TrainSettings
from vidistill.training import knowledge

MOMENTS = pa.schema([("query_id", pa.string()), ("start", pa.float64()), ("end", pa.float64())])
SPAN = {"dim": 16, "heads": 2, "characters": 6, "dropout": 0.1}
TEACHERS = {"first": 8, "second": 16}  # name -> snippets


def write(folder: Path, videos: int = 10) -> Path:
    """What `small.write` writes, training_moments.parquet, and each teacher's two tables in a folder of its name."""
    small.write(folder, videos)
    random = np.random.default_rng(1)
    queries = store.read_table(folder / "queries.parquet")
    bounds = np.sort(random.uniform(0, 1, (len(queries), 2)), axis=1) * queries["duration"].to_numpy()[:, None]
    moments = queries[["query_id"]].assign(start=bounds[:, 0], end=bounds[:, 1])
    training = moments[(queries["split"] == "train").to_numpy()]
    store.write_table(folder / "training_moments.parquet", training, MOMENTS, ["query_id"])
    for name, snippets in TEACHERS.items():
        key = queries[["query_id", "video_id", "split"]].assign(teacher=name, stream="fused", seed=0, round=0)
        labels = key.assign(rank=0, start=moments["start"], end=moments["end"], score=0.5)
        unknown = dict.fromkeys(("proposal_index", "center", "width", "reconstruction_error"))
        maps = pd.concat(
            key.assign(
                kind=kind,
                num_snippets=snippets,
                values=list(random.dirichlet(np.ones(snippets), len(key)).astype(np.float32)),
                confidence=None,
            )
            for kind in ("start", "end")
        )
        (folder / name).mkdir(exist_ok=True)
        knowledge.write_labels(folder / name / "pseudo_labels.parquet", labels.assign(**unknown))
        knowledge.write_maps(folder / name / "activation_maps.parquet", maps, unify="distribution")
    return folder


def train_section(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A training section that takes seconds; nested sections in `changes` are merged."""
    section = json.loads(json.dumps(config["train"]))
    section |= {"dataset": "small", "model": "emtm", "seed": 0, "device": "cpu", "threads": 1, "streams": ["rgb"]}
    section |= {"network": "student", "supervision": "full", "teachers": [], "snippets": 12, "words": 10}
    section |= {"student": SPAN, "seqpan": SPAN, "distillation": {}, "loss": {}}
    section["map2d"] = {"rows": 16, "clips": 8, "dim": 8, "layers": 2, "kernel": 3}
    section["optimisation"] |= {"epochs": 2, "batch_size": 4, "learning_rate": 0.001, "schedule": "linear"}
    section["optimisation"] |= {"gradient_norm": 1.0, "weight_decay": 0.01, "epsilon": 1e-6}
    for key, value in changes.items():
        section[key] = section[key] | value if isinstance(value, dict) else value
    return section


def train_settings(config: dict[str, Any], **changes: Any) -> TrainSettings:
    return parse(TrainSettings, train_section(config, **changes))
