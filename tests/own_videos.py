"""A small data set of a user's own: a folder of clips, two tables, word vectors and weights, and its configuration."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from safetensors.torch import save_file

from vidistill.data.demo import drawing, scenes
from vidistill.features import random_weights
from vidistill.features.i3d import I3D
from workflow_runs import TINY

IDS = ("kitchen", "garden", "2024-05-01 park", "hall", "stairs", "attic", "cellar", "roof")
SECONDS = 2.0
RESULT = "results/student_mine.json"
ENDPOINT = "MaxPool3d_3a_3x3"


def draw(folder: Path, names: Sequence[str], seed: int = 1) -> None:
    """A short clip of the demo's under each of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = scenes.plan(
        scenes.DemoSettings(seed=seed, train_videos=len(names), test_videos=1, seconds=SECONDS, noise=2.0)
    )
    for name, clip in zip(names, clips, strict=False):
        drawing.encode(clip, folder / name, SECONDS)


def rows(ids: Sequence[str]) -> str:
    """A table of two sentences a video."""
    lines = ["video,sentence,start,end,duration"]
    for number, video in enumerate(ids):
        colour = ("red", "blue", "green")[number % 3]
        lines += [f"{video},a {colour} ball moves,0.2,1.1,{SECONDS}", f"{video},the ball stops,1.0,1.9,{SECONDS}"]
    return "\n".join(lines) + "\n"


def write_weights(path: Path, seed: int) -> None:
    network = I3D(3, ENDPOINT)
    random_weights.initialise(network, seed)
    save_file(network.state_dict(), path)


def write(folder: Path, ids: Sequence[str] = IDS, shards: int = 3) -> dict[str, Any]:
    """The data set in `folder`, a quarter of it for testing; what to change in the configuration beside `TINY`."""
    draw(folder / "videos", [f"{video}.mp4" for video in ids])
    tested = max(1, len(ids) // 4)
    (folder / "test.csv").write_text(rows(ids[:tested]))
    (folder / "train.csv").write_text(rows(ids[tested:]))
    write_weights(folder / "weights.safetensors", 0)
    random = np.random.default_rng(0)
    words = ("a", "the", "ball", "red", "blue", "green", "moves", "stops")
    (folder / "vectors.txt").write_text(
        "".join(f"{word} {' '.join(f'{x:.3f}' for x in random.normal(size=16))}\n" for word in words)
    )
    stream = {"extractor": "i3d", "endpoint": ENDPOINT}
    streams = {
        "rgb": {**stream, "input": "frames", "weights": "weights.safetensors"},
        "flow": {**stream, "input": "flow"},
    }
    decode = {"fps": 6, "short_side": 48}
    return {
        "collections": {"mine": {"videos": "videos", "shards": shards, "decode": decode, "streams": streams}},
        "datasets": {
            "mine": {
                "collection": "mine",
                "annotations": {"train": ["train.csv"], "test": ["test.csv"]},
                "vocabulary": {"word_vectors": "vectors.txt"},
            }
        },
    }


def configuration(folder: Path, changes: Mapping[str, Any] | None = None, **options: Any) -> list[Path]:
    """`write`, and the configuration as files for Snakemake's --configfile: that of small runs, and mine.yaml."""
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**write(folder, **options), **(changes or {})}))
    return [TINY, path]


def differences(one: Path, other: Path) -> list[str]:
    """Files of results, of either run, that are not in both or not equal byte for byte; logs and timings left out."""
    found = {path: contents(path / "results") for path in (one, other)}
    names = sorted(found[one].keys() | found[other].keys())
    assert len(names) > 15, "there is hardly anything to compare"
    return [name for name in names if found[one].get(name) != found[other].get(name)]


def contents(results: Path) -> dict[str, object]:
    """File -> its bytes, without measured latencies. Features are held by content, since HDF5 promises no layout."""
    kinds = ("*.json", "*.jsonl", "*.parquet", "*.safetensors", "*.csv")
    files = {str(path.relative_to(results)): path.read_bytes() for kind in kinds for path in results.rglob(kind)}
    results_alone = {name: text for name, text in files.items() if name.endswith(".json")}
    files |= {name: re.sub(rb'"latency_ms": [0-9.e-]+', b"", text) for name, text in results_alone.items()}
    features = {str(path.relative_to(results)): arrays(path) for path in (results / "features").rglob("*.h5")}
    return {**files, **features}


def arrays(path: Path) -> dict[str, object]:
    """All that an HDF5 file holds, by name."""
    held: dict[str, object] = {}

    def add(name: str, node: h5py.Group | h5py.Dataset) -> None:
        held.update({f"{name}@{key}": str(value) for key, value in sorted(node.attrs.items())})
        if isinstance(node, h5py.Dataset):
            held[name] = node[()].tobytes()

    with h5py.File(path) as file:
        add("", file)
        file.visititems(add)
    return held
