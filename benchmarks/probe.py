"""How far could each stream get with supervision? A small network that sees the training moments, for comparison alone.

A weakly supervised result near the probe's is near what the features allow; a probe near the video-free baselines says
that the features, not the method, are the limit. Run it on a data set that the workflow has built:

    PYTHONPATH=workflow python benchmarks/probe.py results demo --snippets 32
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidistill.base import store
from vidistill.data import vocabulary as vocabularies
from vidistill.mmdist import batch
from vidistill.training.samples import Samples


class Probe(nn.Module):
    """A logit for each snippet, whether the moment covers it: convolutions, scaled by the sentence's words."""

    def __init__(self, feature_dim: int, words: int, dim: int = 64):
        super().__init__()
        self.words = nn.EmbeddingBag(words, dim, mode="mean", padding_idx=0)
        self.frames = nn.Conv1d(feature_dim, dim, 5, padding=2)
        self.mixed = nn.Conv1d(dim, dim, 5, padding=2)
        self.out = nn.Conv1d(dim, 1, 5, padding=2)

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """(B, L, F) and (B, W) -> (B, L)."""
        video = F.relu(self.frames(F.dropout(features, 0.1, self.training).transpose(1, 2)))
        return self.out(F.relu(self.mixed(video * self.words(tokens).unsqueeze(-1)))).squeeze(1)


def best_interval(probabilities: np.ndarray) -> tuple[float, float]:
    """The run of snippets with the highest expected IoU, as shares of the video; probabilities (L,)."""
    sums = np.concatenate([[0.0], np.cumsum(probabilities)])
    inside = sums[None, :] - sums[:, None]
    length = np.arange(len(sums))[None, :] - np.arange(len(sums))[:, None]
    expected = np.where(length > 0, inside / np.maximum(length + sums[-1] - inside, 1e-9), -1.0)
    start, end = np.unravel_index(expected.argmax(), expected.shape)
    return start / len(probabilities), end / len(probabilities)


def overlaps(predicted: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """IoU (N,) of intervals (N, 2)."""
    common = np.minimum(predicted[:, 1], moments[:, 1]) - np.maximum(predicted[:, 0], moments[:, 0])
    common = np.maximum(common, 0)
    return common / (np.ptp(predicted, axis=1) + np.ptp(moments, axis=1) - common)


def probe(loaded: Samples, moments: np.ndarray, streams: list[int], epochs: int, seed: int) -> np.ndarray:
    """Train on the training split, return the IoU of each test query. moments (N, 2): shares of the video."""
    torch.manual_seed(seed)
    features = torch.cat([loaded.features[i].float() for i in streams], dim=-1)
    features = (features - features.mean((0, 1))) / features.std((0, 1)).clamp(min=1e-6)
    size = features.shape[1]
    centers = (np.arange(size) + 0.5) / size
    inside = (centers >= moments[:, :1]) & (centers < moments[:, 1:])
    training = np.flatnonzero(np.array(loaded.splits) == "train")
    test = np.flatnonzero(np.array(loaded.splits) == "test")
    network = Probe(features.shape[-1], int(loaded.tokens.max()) + 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(training)
        for first in range(0, len(order), 32):
            rows = torch.from_numpy(order[first : first + 32])
            logits = network(features[loaded.video_index[rows]], loaded.tokens[rows])
            loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(inside[rows]).float())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        rows = torch.from_numpy(test)
        covered = network.eval()(features[loaded.video_index[rows]], loaded.tokens[rows]).sigmoid().numpy()
    return overlaps(np.array([best_interval(row) for row in covered]), moments[test])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the workflow's results folder")
    parser.add_argument("dataset")
    parser.add_argument("--collection", help="of the data set, when it has another name")
    parser.add_argument("--streams", nargs="+", default=["rgb", "flow"])
    parser.add_argument("--snippets", type=int, default=200)
    parser.add_argument("--normalise", choices=["none", "l2"], default="none")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    folder = args.results / args.dataset
    shards = args.results / "features" / (args.collection or args.dataset)
    loaded = batch.load(
        folder / "queries.parquet",
        vocabularies.load(folder / "vocabulary.json"),
        [sorted((shards / stream).glob("*.h5")) for stream in args.streams],
        splits=["train", "test"],
        snippets=args.snippets,
        normalise=args.normalise,
    )
    table = store.read_table(folder / "moments.parquet").drop_duplicates("query_id").set_index("query_id")
    loaded = loaded.take(np.array([q in table.index for q in loaded.query_ids]))
    moments = table.loc[loaded.query_ids, ["start", "end"]].to_numpy() / loaded.durations[:, None]
    for chosen in [[i] for i in range(len(args.streams))] + [list(range(len(args.streams)))]:
        found = np.stack([probe(loaded, moments, chosen, args.epochs, seed) for seed in range(args.seeds)])
        scores = {f"R@{m}": 100 * (found >= m).mean(1) for m in (0.3, 0.5, 0.7)} | {"mIoU": 100 * found.mean(1)}
        line = {name: f"{x.mean():.1f} ± {x.std(ddof=1) if len(x) > 1 else 0:.1f}" for name, x in scores.items()}
        print("+".join(args.streams[i] for i in chosen), json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
