"""A small data set of random features on disk, and training settings to match."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from conftest import parse
from vidistill.base import store
from vidistill.data import vocabulary
from vidistill.data.queries import QUERIES
from vidistill.data.vocabulary import VocabularySettings, build
from vidistill.mmdist import batch
from vidistill.settings.mmdist import TrainSettings

WORDS = ["person", "opens", "closes", "door", "box", "red", "blue", "walks", "away", "the", "a"]
DIMS = {"rgb": 12, "flow": 10}


def write(folder: Path, videos: int = 10, seed: int = 0) -> Path:
    """queries.parquet, vocabulary.json, word_vectors.safetensors, rgb.h5 and flow.h5; a third is test."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    rows = []
    for v in range(videos):
        for q in range(2):
            sentence = " ".join(random.choice(WORDS, size=random.integers(3, 9)))
            split = "test" if v % 3 == 0 else "train"
            rows.append((f"v{v}#{q}", f"v{v}", split, 10.0 + v, sentence, None))
    queries = pd.DataFrame(rows, columns=QUERIES.names)
    store.write_table(folder / "queries.parquet", queries, QUERIES, ["query_id"])
    settings = VocabularySettings(size=50, word_vectors=None, dimension=16, splits=("train",), max_words=20)
    content, vectors = build(queries, settings)
    store.write_json(folder / "vocabulary.json", content)
    save_file({"word_vectors": vectors}, folder / "word_vectors.safetensors", {"kind": "learned"})
    write_features(folder, videos, DIMS, random)
    return folder


def write_features(folder: Path, videos: int, dims: dict[str, int], random: np.random.Generator) -> None:
    """{stream}.h5 of each stream; video v has 9 + v rows."""
    for stream, dim in dims.items():
        with h5py.File(folder / f"{stream}.h5", "w") as file:
            file.attrs["provenance"] = json.dumps({"extractor": "random", "pretrained": False})
            for v in range(videos):
                group = file.create_group(f"v{v}")
                group.attrs.update(video_id=f"v{v}", status="ok", reason="", duration=10.0 + v)
                group["features"] = random.normal(size=(9 + v, dim)).astype(np.float32)


def inputs(folder: Path) -> list[str]:
    """The arguments of `train` and, in part, of `export` that name what `write` wrote."""
    tables = (
        ("queries", "queries.parquet"),
        ("vocabulary", "vocabulary.json"),
        ("word-vectors", "word_vectors.safetensors"),
    )
    named = [x for option, file in tables for x in (f"--{option}", str(folder / file))]
    return [*named, "--features", *(f"{stream}={folder / stream}.h5" for stream in DIMS)]


def train_section(config: dict[str, Any], model: str = "baseline", **changes: Any) -> dict[str, Any]:
    """A training section that takes seconds; nested sections in `changes` are merged."""
    section = json.loads(json.dumps(config["train"] | config["mmdist"]))
    section |= {"dataset": "small", "model": model, "seed": 0, "device": "cpu", "threads": 1, "snippets": 12}
    section |= {"streams": ["rgb", "flow"] if model == "teacher" else ["rgb"]}
    section |= {"teachers": ["teacher"] if model == "student" else []}
    section["network"] |= {"kind": "multimodal" if model == "teacher" else "single", "dim": 16, "heads": 2, "layers": 1}
    section["network"] |= {"feed_forward": 32, "positions": 8, "proposals": 3}
    section["optimisation"] |= {"epochs": 2, "batch_size": 4, "warmup_updates": 3}
    for key, value in changes.items():
        section[key] = section[key] | value if isinstance(value, dict) else value
    return section


def train_settings(config: dict[str, Any], model: str = "baseline", **changes: Any) -> TrainSettings:
    return parse(TrainSettings, train_section(config, model, **changes))


def load(folder, streams=("rgb",), **changes):
    arguments = {"splits": ["train", "test"], "snippets": 12, "normalise": "none"} | changes
    files = [[folder / f"{stream}.h5"] for stream in streams]
    return batch.load(folder / "queries.parquet", vocabulary.load(folder / "vocabulary.json"), files, **arguments)
