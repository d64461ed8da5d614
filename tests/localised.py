"""Small tables of segments that are written here, and the stage `localisation` run on them as its command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluated import Runs
from vidistill.evaluation import localisation as stage
from vidistill.training import detections
from vidistill.training.detections import ALL

EPOCHS, TEST, TRAIN, CLASSES = (10, 20), 24, 16, "abcd"


def iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    both = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    either = (a[1] - a[0]) + (b[1] - b[0]) - both
    return both / either if either > 0 else 0.0


def plain(truth: pd.DataFrame, found: pd.DataFrame, tiou: float) -> float:
    """Mean average precision, one prediction and one segment after the other."""
    areas = []
    for label in sorted(set(truth["label"])):
        segments = sorted(tuple(row) for row in truth[truth["label"] == label][["video_id", "start", "end"]].to_numpy())
        predictions = sorted(
            (-row.score, row.video_id, row.start, row.end) for row in found[found["label"] == label].itertuples()
        )
        taken, hits, area = set(), [], 0.0
        for _, video, start, end in predictions:
            best, best_overlap = None, 0.0
            for number, (of_video, *segment) in enumerate(segments):
                overlap = iou((start, end), tuple(segment)) if of_video == video else 0.0
                if number not in taken and overlap >= max(tiou, best_overlap):
                    best, best_overlap = number, overlap
            taken |= {best} - {None}
            hits.append(best is not None)
        precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
        for n, hit in enumerate(hits):
            area += hit * max(precision[n:]) / len(segments)
        areas.append(area)
    return 100 * sum(areas) / len(areas)


class LocalisedRuns(Runs):
    """Labels of videos with one or two classes each, and models that find their segments."""

    schema, keys = detections.DETECTIONS, detections.KEYS

    def __init__(self, root: Path):
        self.root = root
        rng = np.random.default_rng(0)
        self.seconds = {f"v{v:02d}": float(rng.uniform(20, 60)) for v in range(TEST + TRAIN)}
        queries, moments = [], []
        for v, (video, seconds) in enumerate(self.seconds.items()):
            for label in sorted(rng.choice(list(CLASSES), rng.integers(1, 3), replace=False)):
                queries.append((f"{video}#{label}", video, "test" if v < TEST else "train", seconds, None, label))
                for start in rng.uniform(0, seconds - 8, rng.integers(1, 4)):
                    moments.append((f"{video}#{label}", start, start + rng.uniform(2, 8)))
        self.queries = pd.DataFrame(queries, columns=["query_id", "video_id", "split", "duration", "sentence", "label"])
        self.moments = pd.DataFrame(moments, columns=["query_id", "start", "end"])
        self.problems: list[tuple[Any, ...]] = []
        self.states = {stream: {video: ("ok", "") for video in self.seconds} for stream in ("rgb", "flow")}
        self.wordless: list[str] = []
        self.seeds = [0, 1]
        self.streams = {"mmsd": ["rgb", "flow"], "mmsd-base": ["rgb", "flow"]}
        self.tables = {(model, seed): self.predict(seed, 0.3) for model in self.streams for seed in self.seeds}
        self.supervision: dict[str, tuple[str, int]] = {}
        self.history = pd.DataFrame({"epoch": range(1, EPOCHS[-1] + 1), "loss": 1.0, "held_out_loss": np.nan})

    def predict(self, seed: int, skill: float) -> pd.DataFrame:
        """Segments between chance (skill 0) and the true ones (skill 1), of all streams together and of each."""
        rng = np.random.default_rng([seed, 7])
        test = self.queries[self.queries["split"] == "test"]
        truth = self.moments.merge(test, on="query_id").groupby(["video_id", "label"])[["start", "end"]]
        segments = {key: own.to_numpy() for key, own in truth}
        rows: list[tuple[Any, ...]] = []
        for epoch in EPOCHS:
            for stream in (ALL, "rgb", "flow") if epoch == EPOCHS[-1] else (ALL,):
                for video in sorted(set(test["video_id"])):
                    for label in CLASSES:
                        about = (epoch, stream, video, "test", label)
                        own = segments.get((video, label), ())
                        score = float(np.clip(rng.normal(0.7 if len(own) else 0.3, 0.25), 0, 1))
                        found = [
                            (s + (1 - skill) * rng.normal(0, 4), e + (1 - skill) * rng.normal(0, 4), rng.normal(1))
                            for s, e in own
                        ]
                        starts = rng.uniform(0, self.seconds[video] - 5, rng.integers(0, 3))
                        found += [(s, s + rng.uniform(1, 5), rng.normal()) for s in starts]
                        found = [segment for segment in found if segment[0] < segment[1]]
                        rows += [(*about, rank, *segment, score) for rank, segment in enumerate(found)]
                        if not found and stream == ALL and epoch == EPOCHS[-1]:
                            rows.append((*about, None, None, None, None, score))
        return pd.DataFrame(rows, columns=detections.DETECTIONS.names).astype({"rank": "Int32"})


def localise(runs: LocalisedRuns, section: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Write the files, run the command with the settings `section` as changed, read the result."""
    settings = {
        **section,
        "max_bad_share": 0.2,
        "dataset": "toy",
        "model": "mmsd",
        "compare_with": ["mmsd-base"],
        "seeds": runs.seeds,
        "bootstrap_samples": 200,
        **changes,
    }
    options = {**runs.write(), "--output": [str(runs.root / "result.json")]}
    arguments = [a for option, values in options.items() for a in (option, *values)]
    stage.main(["--settings", json.dumps(settings), *arguments])
    return json.loads((runs.root / "result.json").read_text())
