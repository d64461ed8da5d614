"""Small tables that are written here, and the stage `evaluate` run on them as its command."""

import copy
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
from safetensors.numpy import save_file

from vidistill.base import store
from vidistill.evaluation import evaluate as stage

K, EPOCHS, TEST, TRAIN = 6, 3, 40, 30
PREDICTIONS = pa.schema(
    [("epoch", pa.int16()), ("query_id", pa.string()), ("split", pa.string()), ("proposal_index", pa.int16())]
    + [(name, pa.float32()) for name in ("start", "end", "center", "width", "score", "reconstruction_error")]
)
EFFICIENCY = {
    **{"device": "a processor", "threads": 1, "warm_up": 2, "queries": 9, "versions": {"torch": "2"}},
    "models": {
        model: {"parameters": parameters, "multiply_adds": products, "latency_ms": ms, "words": 6, "snippets": 64}
        for model, parameters, products, ms in (
            *(("student", 673650, 49_300_000, 3.21), ("baseline", 1000, 999, 20.0)),
            *(("mmsd", 6_364_160, 4_600_000_000, 70.2), ("mmsd-base", 6_364_160, 4_600_000_000, 71.0)),
        )
    },
}
PROBLEMS = ["file", "line", "split", "video_id", "sentence", "problem", "action"]


class Runs:
    """A data set with trained models, as files below `root`; two queries a video."""

    schema, keys = PREDICTIONS, ["epoch", "query_id", "proposal_index"]  # of a table of predictions

    def __init__(self, root: Path):
        self.root = root
        rng = np.random.default_rng(0)
        count = TEST + TRAIN
        self.queries = pd.DataFrame(
            {
                "query_id": [f"q{i:03d}" for i in range(count)],
                "video_id": [f"v{i // 2:03d}" for i in range(count)],
                "split": ["test"] * TEST + ["train"] * TRAIN,
                "duration": np.repeat(rng.uniform(20, 40, count // 2), 2),
                "sentence": [f"a person does the {i}th thing." for i in range(count)],
                "label": None,
            }
        )
        bounds = np.sort(rng.uniform(0, 1, (count, 2)), axis=1) * self.queries["duration"].to_numpy()[:, None]
        self.moments = pd.DataFrame({"query_id": self.queries["query_id"], "start": bounds[:, 0], "end": bounds[:, 1]})
        self.problems: list[tuple[Any, ...]] = []
        self.states: dict[str, dict[str, tuple[str, str]]] = {
            stream: {v: ("ok", "") for v in self.queries["video_id"]} for stream in ("rgb", "flow")
        }
        self.seconds = dict(zip(self.queries["video_id"], self.queries["duration"], strict=True))  # by the features
        self.wordless: list[str] = []
        self.seeds = [0, 1]
        self.streams = {"student": ["rgb"], "baseline": ["rgb"]}
        self.supervision: dict[str, tuple[str, int]] = {}  # model -> with the training moments that it read
        self.tables = {(model, seed): self.predict(seed, 0.0) for model in self.streams for seed in self.seeds}
        self.history = pd.DataFrame({"epoch": range(1, EPOCHS + 1), "loss": 1.0, "held_out_loss": np.nan})

    def only(self, *models: str) -> "Runs":
        """The same with these models alone."""
        found = copy.copy(self)
        found.tables = {key: table for key, table in self.tables.items() if key[0] in models}
        return found

    def predict(self, seed: int, skill: float) -> pd.DataFrame:
        """Proposals between chance (skill 0) and the moment itself (skill 1)."""
        rng = np.random.default_rng([seed, 7])
        rows = self.queries[self.queries["split"] == "test"]
        truth = self.moments.set_index("query_id").loc[rows["query_id"]].to_numpy()
        parts = []
        for epoch in range(1, EPOCHS + 1):
            chance = np.sort(rng.uniform(0, 1, (TEST, K, 2)), axis=2) * rows["duration"].to_numpy()[:, None, None]
            windows = (1 - skill) * chance + skill * truth[:, None]
            scores = rng.normal(size=(TEST, K))
            parts.append(
                pd.DataFrame(
                    {
                        "epoch": epoch,
                        "query_id": np.repeat(rows["query_id"].to_numpy(), K),
                        "split": "test",
                        "proposal_index": np.tile(np.arange(K), TEST),
                        "start": windows[..., 0].ravel(),
                        "end": windows[..., 1].ravel(),
                        "center": 0.5,
                        "width": 0.5,
                        "score": scores.ravel(),
                        "reconstruction_error": rng.uniform(size=TEST * K),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def write(self) -> dict[str, list[str]]:
        """All files, and the command line that names them."""
        r = self.root
        schema = pa.Schema.from_pandas(self.queries, preserve_index=False)
        store.write_table(r / "queries.parquet", self.queries, schema, ["query_id"])
        schema = pa.schema([("query_id", pa.string()), ("start", pa.float64()), ("end", pa.float64())])
        store.write_table(r / "moments.parquet", self.moments, schema, ["query_id", "start", "end"])
        pd.DataFrame(self.problems, columns=PROBLEMS).to_csv(r / "problems.csv", index=False)
        features = []
        for stream, states in self.states.items():
            for shard in range(2):
                path = r / f"{stream}-{shard}.h5"
                with h5py.File(path, "w") as file:
                    file.attrs["provenance"] = json.dumps({"extractor": "i3d", "pretrained": stream == "rgb"})
                    for video_id, (status, reason) in list(states.items())[shard::2]:
                        group = file.create_group(store.group_name(video_id))
                        group.attrs.update({"video_id": video_id, "status": status, "reason": reason})
                        if status != "bad":
                            group.attrs["duration"] = self.seconds.get(video_id, 30.0)
                features.append(f"{stream}={path}")
        labelled: dict[str, list[str]] = {"--predictions": [], "--models": [], "--histories": []}
        for (model, seed), table in self.tables.items():
            stem = r / f"{model}-{seed}"
            stem.mkdir(exist_ok=True)
            store.write_table(stem / "p.parquet", table, self.schema, self.keys)
            history = pa.Schema.from_pandas(self.history, preserve_index=False)
            store.write_table(stem / "h.parquet", self.history, history, ["epoch"])
            settings = {"model": model, "seed": seed, "streams": self.streams[model], "train_splits": ["train"]}
            vocabulary = {"excluded_queries": [{"query_id": q, "reason": "no word"} for q in self.wordless]}
            texts = {"settings": settings, "vocabulary": vocabulary, "versions": {"torch": "2"}}
            metadata = {name: json.dumps(value) for name, value in texts.items()} | {"code": "c0de"}
            supervision, moments = self.supervision.get(model, ("weak", 0))
            metadata |= {"supervision": supervision, "training_moments": str(moments)}
            save_file({"w": np.zeros(1, np.float32)}, stem / "m.safetensors", {store.MODEL_KEY: json.dumps(metadata)})
            for option, name in (
                ("--predictions", "p.parquet"),
                ("--models", "m.safetensors"),
                ("--histories", "h.parquet"),
            ):
                labelled[option].append(f"{model}:{seed}={stem / name}")
        store.write_json(r / "efficiency.json", EFFICIENCY)
        names = {"--queries": "queries.parquet", "--moments": "moments.parquet", "--problems": "problems.csv"}
        names["--efficiency"] = "efficiency.json"
        tables = {option: [str(r / name)] for option, name in names.items()}
        return {**tables, "--features": features, **labelled}


def evaluate(runs: Runs, section: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Write the files, run the command with the settings `section` as changed, read the result."""
    settings = {
        **section,
        "max_bad_share": 0.2,
        "dataset": "toy",
        "model": "student",
        "compare_with": ["baseline"],
        "seeds": runs.seeds,
        "bootstrap_samples": 500,
        **changes,
    }
    options = runs.write()
    outputs = {"--result": [str(runs.root / "result.json")], "--predictions-out": [str(runs.root / "lines.jsonl")]}
    arguments = [a for option, values in {**options, **outputs}.items() for a in (option, *values)]
    stage.main(["--settings", json.dumps(settings), *arguments])
    return json.loads((runs.root / "result.json").read_text())
