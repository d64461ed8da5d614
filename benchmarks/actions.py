"""Prepare real data for `benchmarks/actions.yaml`: standardised features of 50 Salads, Charades' commonest actions.

Both come in ActivityNet's form. 50 Salads: the clips of a minute (180 rows), each column of each stream with mean 0 and
standard deviation 1 over the training clips. Charades: the 30 labels of most training videos.

    PYTHONPATH=workflow python benchmarks/actions.py --salads data/fifty-salads --charades data/charades-actions
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import h5py
import numpy as np


def salads(folder: Path, rows: int) -> None:
    annotations = json.loads((folder / "fifty_salads.json").read_text())
    with h5py.File(folder / "features.h5") as source, h5py.File(folder / "standardised.h5", "w") as target:
        videos = {name: video for name, video in annotations["database"].items() if len(source[name]["rgb"]) == rows}
        for stream in ("rgb", "accelerometer"):
            features = {name: np.asarray(source[name][stream], np.float32) for name in videos}
            training = np.concatenate([features[name] for name in videos if videos[name]["subset"] == "training"])
            mean, deviation = training.mean(0), training.std(0) + 1e-6
            for name, values in features.items():
                target[f"{name}/{stream}"] = (values - mean) / deviation
    annotations["database"] = videos
    (folder / "whole_minutes.json").write_text(json.dumps(annotations))


def charades(folder: Path, labels: int) -> None:
    annotations = json.loads((folder / "charades_actions.json").read_text())
    videos = annotations["database"]
    counts = Counter(
        label
        for video in videos.values()
        if video["subset"] == "training"
        for label in {segment["label"] for segment in video["annotations"]}
    )
    commonest = {label for label, _ in counts.most_common(labels)}
    for video in videos.values():
        video["annotations"] = [segment for segment in video["annotations"] if segment["label"] in commonest]
    (folder / "commonest.json").write_text(json.dumps(annotations))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--salads", type=Path, help="folder with features.h5 and fifty_salads.json")
    parser.add_argument("--charades", type=Path, help="folder with charades_actions.json")
    parser.add_argument("--rows", type=int, default=180)
    parser.add_argument("--labels", type=int, default=30)
    arguments = parser.parse_args()
    if arguments.salads:
        salads(arguments.salads, arguments.rows)
    if arguments.charades:
        charades(arguments.charades, arguments.labels)
