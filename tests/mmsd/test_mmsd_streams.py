"""Two classes of which one is visible in RGB alone and one in flow alone: the fused stream finds both."""

import h5py
import numpy as np
import pandas as pd

import small_videos
from small_videos import localised, query_id, run, section
from vidistill.base import store
from vidistill.evaluation import average_precision

SNIPPETS = 32
SEEN_IN = {"still": "rgb", "moving": "flow"}


def write(folder, videos=36, seed=2):
    """Noise, and in a segment of each of a video's classes a shift of one feature; returns the test segments."""
    random = np.random.default_rng(seed)
    rows, truth, features = [], [], {"rgb": {}, "flow": {}}
    for v in range(videos):
        video_id, split = f"v{v:02d}", "train" if v % 3 else "test"
        labels = (["still"], ["moving"], ["still", "moving"])[v // 3 % 3]
        for values in features.values():
            values[video_id] = random.normal(size=(SNIPPETS, 6)).astype(np.float32)
        for label, start in zip(labels, random.permutation([2, 12, 22]).tolist(), strict=False):
            end = start + int(random.integers(5, 9))
            features[SEEN_IN[label]][video_id][start:end, 0] += 4
            rows.append((query_id(video_id, label), video_id, split, float(SNIPPETS), None, label))
            truth += [(video_id, label, start, end)] if split == "test" else []
    small_videos.write_queries(folder / "queries.parquet", rows)
    for stream, values in features.items():
        with h5py.File(folder / f"{stream}.h5", "w") as file:
            for video_id, of_one in values.items():
                group = file.create_group(video_id)
                group.attrs.update(video_id=video_id, status="ok", reason="", duration=float(SNIPPETS))
                group["features"] = of_one
    return pd.DataFrame(truth, columns=["video_id", "label", "start", "end"])


def test_the_fused_stream_finds_what_either_stream_alone_does_not_see(tmp_path):
    truth = write(tmp_path)
    about = section(
        network={"dim": 32, "dropout": 0.3},
        optimisation={"epochs": 30, "batch_size": 6, "learning_rate": 0.005, "step_epoch": 25},
        pseudo_labels={"every": 10, "foreground": "relative", "threshold": 0.55, "reliable": 0.6, "margin": 0.3},
        predict_every=30,
    )
    thresholds = [0.02, 0.05, *(round(0.1 * step, 1) for step in range(1, 9))]
    files = run(tmp_path, about, "mmsd")
    table, _ = localised(tmp_path, files, ("rgb", "flow"), boundary="exact", thresholds=thresholds)
    found = store.read_table(table).dropna(subset="start")
    videos = sorted(truth["video_id"].unique())
    score = {
        stream: average_precision.mean_average_precision(
            average_precision.rank(truth, rows, videos, (0.3, 0.5, 0.7)), np.ones((1, len(videos)))
        ).mean()
        for stream, rows in found.groupby("stream")
    }
    assert score["fused"] > 1.3 * max(score["rgb"], score["flow"]), score
