"""Long videos whole and by windows: videos of the test split joined to longer ones, and asked for all their sentences.

A moment counts as right if it overlaps a true moment of the sentence, in any of the joined videos, by an IoU of 0.5.
The moments above the model's bar (--all of `vidistill ground`) are compared with all true ones: precision is the share
of the found ones that are right, recall that of the true ones that are found.

    PYTHONPATH=workflow python benchmarks/windows.py --dataset demo --model student --videos 12
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch

from vidistill.commands.ground import Answer, Grounder
from vidistill.commands.one_video import Video
from vidistill.evaluation import bootstrap
from vidistill.evaluation.metrics import iou

IOU = 0.5


def joined(
    features: dict[str, dict[str, np.ndarray]], durations: dict[str, float], videos: list[str]
) -> tuple[Video, np.ndarray]:
    """The videos one after another, at the highest rate of rows that one of them has, and where each begins."""
    rows = next(iter(features.values()))
    rate = max(len(rows[video]) / durations[video] for video in videos)
    parts: dict[str, list[np.ndarray]] = {stream: [] for stream in features}
    for stream, of_stream in features.items():
        for video in videos:
            values, count = of_stream[video], max(1, round(rate * durations[video]))
            parts[stream].append(values[(np.arange(count) / count * len(values)).astype(int)])
    starts = np.concatenate([[0.0], np.cumsum([durations[video] for video in videos])])
    whole = {stream: np.concatenate(values) for stream, values in parts.items()}
    return Video("+".join(videos), float(starts[-1]), whole), starts[:-1]


def read(folder: Path, shards: str, streams: list[str]) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, float]]:
    """Features by stream and video, and durations where files have them."""
    found: dict[str, dict[str, np.ndarray]] = {stream: {} for stream in streams}
    durations: dict[str, float] = {}
    for stream in streams:
        for file in sorted((folder / "features" / shards / stream).glob("*.h5")):
            with h5py.File(file) as h5:
                for group in h5.values():
                    if "features" in group:
                        found[stream][str(group.attrs["video_id"])] = group["features"][:]
                        durations[str(group.attrs["video_id"])] = float(group.attrs.get("duration", math.nan))
    return found, durations


def right(answer: Answer, truths: np.ndarray) -> tuple[bool, bool, int, int, int]:
    """Whether the best moment is right, and one of five; moments above the bar, those right, true ones found."""
    best = [max(float(iou(np.array([m.start, m.end]), truth)) for truth in truths) for m in answer.moments[:5]]
    above = np.array([(m.start, m.end) for m in answer.above]).reshape(-1, 2)
    hits = iou(above[:, None], truths[None]) >= IOU
    return best[0] >= IOU, max(best) >= IOU, len(above), int(hits.any(1).sum()), int(hits.any(0).sum())


def groups(a: argparse.Namespace, grounder: Grounder) -> Iterator[tuple[Video, dict[str, np.ndarray], list[str]]]:
    """Joined videos, their sentences with all true moments, and sentences of no video among them."""
    data = a.results / a.dataset
    features, durations = read(a.results, a.collection or a.dataset, list(grounder.trained.features))
    queries = pd.read_parquet(data / "queries.parquet").query("split == @a.split")
    moments = pd.read_parquet(data / "moments.parquet").groupby("query_id")[["start", "end"]]
    annotated = dict(zip(queries["video_id"], queries["duration"], strict=True))
    durations = {v: annotated[v] if math.isnan(durations[v]) else durations[v] for v in annotated if v in durations}
    videos = np.random.default_rng(0).permutation(sorted(durations)).tolist()
    for first in range(0, len(videos) - a.videos + 1, a.videos):
        some = videos[first : first + a.videos]
        video, starts = joined(features, durations, some)
        truths: dict[str, list[np.ndarray]] = {}
        for row in queries[queries["video_id"].isin(some)].itertuples():
            if row.query_id in moments.groups:
                truths.setdefault(row.sentence, []).extend(
                    moments.get_group(row.query_id).to_numpy() + starts[some.index(row.video_id)]
                )
        others = sorted(set(queries["sentence"]) - set(truths))
        foreign = np.random.default_rng(first).choice(others, len(truths), replace=False).tolist()
        yield video, {sentence: np.array(found) for sentence, found in truths.items()}, foreign


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--dataset", default="demo")
    parser.add_argument("--collection", help="whose features they are (default: the data set's name)")
    parser.add_argument("--model", default="student")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default="test")
    parser.add_argument("--videos", type=int, default=12, help="joined to one")
    parser.add_argument("--groups", type=int, default=1000, help="joined videos at most")
    parser.add_argument("--window", type=float, help="seconds (default: the model's)")
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    model = a.results / a.dataset / a.model / f"seed-{a.seed}" / "model.safetensors"
    ways = {
        "whole": Grounder(model, device="cpu", threads=a.threads, window=math.inf),
        "windows": Grounder(model, device="cpu", threads=a.threads, window=a.window),
    }
    found: dict[str, list[np.ndarray]] = {way: [] for way in ways}
    refused, lengths = [], []
    for number, (video, truths, foreign) in enumerate(groups(a, ways["whole"])):
        if number == a.groups:
            break
        lengths.append(video.duration)
        for way, grounder in ways.items():
            answers = grounder.ask(video, list(truths))
            rows = [
                (*right(one, truths[one.sentence]), len(truths[one.sentence]), one.in_video is False) for one in answers
            ]
            found[way].append(np.array(rows, dtype=float))
        refused.append([answer.in_video is False for answer in ways["windows"].ask(video, foreign)])
    print(f"{vars(a)}; {len(lengths)} videos of {np.mean(lengths):.0f} s, windows of {ways['windows'].window:.1f} s")
    for way, of_groups in found.items():
        rows = np.concatenate(of_groups)
        owner = np.repeat(np.arange(len(of_groups)), list(map(len, of_groups)))
        sums = np.stack([np.bincount(owner, column) for column in (rows[:, 0], rows[:, 1], np.ones(len(rows)))])
        draws = np.concatenate(list(bootstrap.draws(len(of_groups), 2000, 0))) @ sums.T
        low, high = np.percentile(100 * draws[:, 0] / draws[:, 2], [2.5, 97.5])
        top, five, shown, precise, recalled, true, absent = rows.sum(0)
        print(
            f"{way:8} {len(rows)} sentences: R@{IOU} {100 * top / len(rows):.1f} ({low:.1f} to {high:.1f}), "
            f"R5@{IOU} {100 * five / len(rows):.1f}; above the bar {shown / len(rows):.2f} a sentence of "
            f"{true / len(rows):.2f} true ones, precision {100 * precise / max(shown, 1):.1f}, recall "
            f"{100 * recalled / true:.1f}; refused {100 * absent / len(rows):.1f}"
        )
    print(f"sentences of other videos refused, by windows: {100 * np.mean([x for row in refused for x in row]):.1f}")


if __name__ == "__main__":
    main()
