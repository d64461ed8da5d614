"""Real data through Snakemake, as data sets of a user's own; skipped where the third-party files are absent."""

import csv
import json
import math

import h5py
import numpy as np
import pytest

from conftest import data
from vidistill.base import store
from workflow_runs import run

pytestmark = pytest.mark.long

CLIPS = {  # video -> split and moments, as the data sets annotate them
    "v_GGSY1Qvo990": ("train", "val_1"),
    "v_ZNVhz7ctTq0": ("train", "train"),
    "Y1HGC": ("test", "sta"),
}


def annotations() -> list[dict[str, object]]:
    """The annotated clips as rows of a user's table."""
    entries = {
        about["id"]: about for about in json.loads(data("videos", "manifest_annotations.json").read_text()).values()
    }
    rows = []
    for video, (split, key) in CLIPS.items():
        marked = entries[video][key]
        if isinstance(marked, dict):
            pairs = [(*times, text) for times, text in zip(marked["timestamps"], marked["sentences"], strict=True)]
        else:
            pairs = [(float(start), float(end), text) for start, end, text in marked]
        rows += [
            {"video": video, "sentence": text, "start": start, "end": end, "split": split} for start, end, text in pairs
        ]
    return rows


def test_real_clips_go_from_file_to_predictions_with_deepminds_weights(tmp_path):
    rows = annotations()
    with open(tmp_path / "mine.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    weights = {s: str(data("i3d", f"i3d_{s}_imagenet.to_Mixed_4d.safetensors")) for s in ("rgb", "flow")}
    shared = {"extractor": "i3d", "endpoint": "Mixed_4d", "crop": 112}
    train = {"snippets": 16, "optimisation": {"epochs": 2, "batch_size": 4}}
    own = {"train": train, "mmdist": {"network": {"dim": 32, "layers": 1}}}
    changes = {
        "seeds": [0],
        "collections": {
            "mine": {
                "videos": str(data("videos", "Y1HGC.mp4").parent),
                "shards": 2,
                # Half of DeepMind's frame rate and size: TV-L1 would take a quarter of an hour otherwise.
                "decode": {"fps": 12.5, "short_side": 128},
                "flow": {"warps": 2, "outer_iterations": 1, "inner_iterations": 10, "scale_step": 0.5},
                "streams": {
                    "rgb": {**shared, "input": "frames", "weights": weights["rgb"]},
                    "flow": {**shared, "input": "flow", "weights": weights["flow"]},
                },
            }
        },
        "datasets": {"mine": {"collection": "mine", "format": "table", "annotations": {"train": ["mine.csv"]}, **own}},
    }
    done = run(tmp_path, "results/student_mine.json", changes=changes)
    assert done.status == 0, done.text
    result = json.loads((tmp_path / "results" / "student_mine.json").read_text())
    assert result["features"]["rgb"]["pretrained"] is True
    assert result["coverage"]["splits"]["test"]["queries"]["used"] == 2
    lines = (tmp_path / "results" / "mine" / "student" / "predictions.jsonl").read_text().splitlines()
    predictions = [json.loads(line) for line in lines]
    assert {p["vid"] for p in predictions} == {"Y1HGC"}
    for start, end, score in predictions[0]["pred_relevant_windows"]:
        assert 0 <= start <= end <= 31
        assert math.isfinite(score)
    assert run(tmp_path, "results/student_mine.json", changes=changes).jobs == {}


def test_clip_features_that_a_user_has_are_trained_on(tmp_path):
    source = str(data("charades-clip", "clip.h5"))
    external = {"extractor": "external", "source": source}
    changes = {
        "seeds": [0],
        "collections": {
            "clip": {
                "shards": 1,
                "streams": {"rgb": external, "flow": {**external, "transform": "temporal_difference"}},
            }
        },
        "datasets": {
            "charades-clip": {
                "collection": "clip",
                "format": "charades",
                "annotations": {
                    "train": [str(data("charades-clip", "charades_clip_train.txt"))],
                    "test": [str(data("charades-clip", "charades_clip_val.txt"))],
                },
                "durations": [str(data("charades-sta", "Charades_v1_test.csv"))],
                "vocabulary": {"word_vectors": str(data("glove", "glove.840B.300d.charades.txt"))},
                "train": {
                    "snippets": 64,
                    "normalise": "l2",
                    "optimisation": {"epochs": 2, "warmup_updates": 50, "learning_rate": 0.002},
                },
                "mmdist": {"network": {"dim": 32, "layers": 1, "feed_forward": 64}},
            }
        },
    }
    done = run(tmp_path, "results/student_charades-clip.json", changes=changes)
    assert done.status == 0, done.text
    result = json.loads((tmp_path / "results" / "student_charades-clip.json").read_text())
    assert result["coverage"]["splits"]["train"]["videos"]["used"] == 802
    assert result["coverage"]["splits"]["test"]["queries"]["used"] == 534
    history = store.read_table(tmp_path / "results/charades-clip/student/seed-0/history.parquet")
    assert history["loss"].iloc[1] < history["loss"].iloc[0]
    with h5py.File(source) as given, h5py.File(tmp_path / "results/features/clip/flow/0.h5") as made:
        rows = given["Y1HGC"][:].astype(np.float32)
        np.testing.assert_array_equal(made["Y1HGC"]["features"][:-1], rows[1:] - rows[:-1])
