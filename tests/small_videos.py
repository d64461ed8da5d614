"""A small data set of labelled videos on disk, features of native length, and settings of MMSD to match."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import small
from vidistill.base import settings, store
from vidistill.data.queries import QUERIES
from vidistill.mmsd import localise, train
from vidistill.settings.mmsd import TrainSettings

CPU = torch.device("cpu")
LABELS = ("dive", "jump", "run")
DIMS = {"rgb": 12, "flow": 10}
OUTPUTS = {
    "model": "model.safetensors",
    "snapshots": "snapshots.safetensors",
    "history": "history.parquet",
    "pseudo-labels": "pseudo_labels.parquet",
    "activation-maps": "activation_maps.parquet",
}
NAMED: dict[str, dict[str, Any]] = {  # the models of the paper and its ablations: differences to `section`
    "mmsd": {},
    "mmsd-no-mkd": {"loss": {"distillation_weight": 0.0}},
    "mmsd-no-voting": {"pseudo_labels": {"voting": False}},
    "mmsd-no-memory": {"pseudo_labels": {"memory": False}},
    "mmsd-no-pseudo": {"loss": {"pseudo_label_weight": 0.0}},
    "mmsd-base": {"loss": {"distillation_weight": 0.0, "pseudo_label_weight": 0.0}},
    "mmsd-rgb": {"network": {"kind": "single"}, "streams": ["rgb"]},
    "mmsd-flow": {"network": {"kind": "single"}, "streams": ["flow"]},
    "mmsd-fused": {"network": {"kind": "single"}},
    "mmsd-student": {"network": {"kind": "single"}, "streams": ["rgb"], "teachers": ["mmsd"]},
}


def query_id(video_id: str, label: str) -> str:
    return f"{video_id}#{hashlib.sha256(label.encode()).hexdigest()[:12]}#0"


def write(folder: Path, videos: int = 9, seed: int = 0) -> Path:
    """queries.parquet, rgb.h5 and flow.h5; a third is test, a video has one or two labels, and v8 has none."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    rows = []
    for v in range(videos):
        labels = [LABELS[v % 3], *([LABELS[(v + 1) % 3]] if v % 2 else [])] if v != 8 else [None]
        for label in labels:
            about = (f"v{v}", "test" if v % 3 == 0 else "train", 10.0 + v, None, label)
            rows.append((query_id(f"v{v}", label or ""), *about))
    write_queries(folder / "queries.parquet", rows)
    small.write_features(folder, videos, DIMS, random)
    return folder


def write_queries(path: Path, rows: Sequence[tuple[object, ...]]) -> None:
    store.write_table(path, pd.DataFrame(rows, columns=QUERIES.names), QUERIES, ["query_id"])


def section(model: str = "mmsd", **changes: Any) -> dict[str, Any]:
    """Settings of a training that takes a second; nested sections in `changes` are merged, over those of the model."""
    found: dict[str, Any] = {
        "dataset": "small",
        "model": model,
        "seed": 0,
        "device": "cpu",
        "threads": 1,
        "streams": ["rgb", "flow"],
        "teachers": [],
        "predict_every": 2,
        "network": {"kind": "multimodal", "dim": 16},
        "optimisation": {
            **{"epochs": 6, "batch_size": 2, "learning_rate": 0.003, "schedule": "step", "step_epoch": 5},
            **{"weight_decay": 0.001, "decay": "coupled", "second_beta": 0.99, "gradient_norm": None},
        },
        "pseudo_labels": {"every": 2, "reliable": 0.1, "margin": 0.05, "threshold": 0.5},
    }
    for differences in (NAMED[model], changes):
        for key, value in differences.items():
            found[key] = {**found.get(key, {}), **value} if isinstance(value, dict) else value
    return found


def train_settings(model: str = "mmsd", **changes: Any) -> TrainSettings:
    return settings.parse(TrainSettings, json.dumps(section(model, **changes)))


def features(folder: Path, streams: Sequence[str]) -> list[str]:
    return ["--features", *(f"{stream}={folder / stream}.h5" for stream in streams)]


def run(
    folder: Path, about: dict[str, Any], name: str, teacher_maps: Sequence[Path] = (), queries: str = "queries.parquet"
) -> dict[str, Path]:
    """Stage train in this process, into the folder `name`; its outputs."""
    out = folder / name
    files = {key: out / file for key, file in OUTPUTS.items()}
    arguments = ["--settings", json.dumps(about), "--queries", folder / queries, *features(folder, about["streams"])]
    arguments += ["--teacher-maps", *teacher_maps] if teacher_maps else []
    arguments += [x for option, file in files.items() for x in (f"--{option}", file)]
    train.main([*map(str, [*arguments, "--work", out / "work"])])
    return files


def localised(
    folder: Path, files: dict[str, Path], streams: Sequence[str], queries: str = "queries.parquet", **changes: Any
) -> tuple[Path, Path]:
    """Stage localise in this process, beside the model; table and JSON."""
    out = files["model"].parent
    found = (out / "predictions.parquet", out / "detections.json")
    about = {"device": "cpu", "threads": 1, "thresholds": [0.05, 0.1, 0.2, 0.3], **changes}
    arguments = ["--settings", json.dumps(about), "--queries", folder / queries, *features(folder, streams)]
    arguments += ["--model", files["model"], "--snapshots", files["snapshots"]]
    localise.main([*map(str, [*arguments, "--predictions", found[0], "--detections", found[1]])])
    return found
