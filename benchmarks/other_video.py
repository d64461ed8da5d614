"""What models still find when they are shown another video: what they know of sentences, and not of what they see.

Each test sentence is asked of its own video and of the next one; the answer, a share of the video, is measured against
the sentence's moments. Means over the seeds that are there.

    PYTHONPATH=workflow python benchmarks/other_video.py --dataset charades-clip --collection clip --models fast teacher
"""

import argparse
import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from windows import read

from vidistill.commands import trained
from vidistill.commands.trained import Trained
from vidistill.evaluation import metrics

THRESHOLDS = (0.3, 0.5, 0.7)


def ious(model: Trained, a: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """IoU (N, 1) of the best answer to each query, from its own video and from the next one."""
    data = a.results / a.dataset
    features, durations = read(a.results, a.collection or a.dataset, list(model.features))
    queries = pd.read_parquet(data / "queries.parquet").query("split == @a.split")
    moments = pd.read_parquet(data / "moments.parquet").groupby("query_id")[["start", "end"]]
    asked = queries[
        queries["query_id"].isin(moments.groups) & queries["video_id"].isin(features[model.settings.streams[0]])
    ]
    videos = sorted(set(asked["video_id"]))
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for place, video in enumerate(videos):
        of_video = asked[asked["video_id"] == video]
        for shown, measured in zip((video, videos[(place + 1) % len(videos)]), found, strict=True):
            snippets = model.snippets({stream: values[shown] for stream, values in features.items()})
            for answer in model.ask(snippets, of_video["sentence"].tolist(), torch.device("cpu")):
                query = of_video.iloc[answer.row]
                seconds = query["duration"] if math.isnan(durations[video]) else durations[video]
                best = answer.moments[answer.score.argmax()] * seconds
                truths = moments.get_group(query["query_id"]).to_numpy()
                measured.append(metrics.best_iou(best[None, None], truths[None])[0])
    own, another = map(np.array, found)
    return own, another


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--dataset", default="demo")
    parser.add_argument("--collection", help="if it has another name than the data set")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--split", default="test")
    a = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | video | seeds |", " | ".join(metrics.names(THRESHOLDS, best_of=False)), "|")
    for name in a.models:
        seeds = [trained.load(path) for path in sorted((a.results / a.dataset / name).glob("seed-*/model.safetensors"))]
        measured = [ious(model, a) for model in seeds]
        for place, video in enumerate(("its own", "another")):
            values = [metrics.per_query(found[place], THRESHOLDS, best_of=False).mean(0) for found in measured]
            numbers = " | ".join(f"{value:.1f}" for value in np.mean(values, axis=0))
            print(f"| {name} | {video} | {len(seeds)} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
