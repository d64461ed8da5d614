"""Stage `retrieve` of EMTM: where the right video ranks among all videos of a split, for each sentence.

A video is as good as the score of its best moment. Training sees no other video with a sentence, so nothing makes these
scores comparable between videos.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from vidistill.base import device
from vidistill.base.settings import parse
from vidistill.base.stage import run
from vidistill.data import vocabulary as vocabularies
from vidistill.emtm import batch, predict
from vidistill.emtm import model as models
from vidistill.emtm.batch import Queries
from vidistill.emtm.model import Network
from vidistill.features import states
from vidistill.settings.emtm import TrainSettings
from vidistill.settings.retrieve import RetrieveSettings
from vidistill.training import retrieval


def best_scores(network: Network, query: Queries, videos: Tensor, where: torch.device) -> np.ndarray:
    """The score of the best moment in each video (V,), of a single query."""
    count = len(videos)
    pairs = replace(
        query,
        query_ids=query.query_ids * count,
        words=query.words.expand(count, -1),
        video_index=videos,
    )
    found = np.empty(count)
    for part in predict.predict(network, pairs, device=where):
        found[part.rows] = part.scores[:, 0]
    return found


def main(argv: Sequence[str] | None = None) -> None:
    args = retrieval.arguments(__doc__).parse_args(argv)
    settings = parse(RetrieveSettings, args.settings)
    where = device.choose(settings.device, settings.threads)
    network, metadata = models.load(args.model)
    s, vocabulary = parse(TrainSettings, metadata["settings"]), vocabularies.loads(metadata["vocabulary"])
    files = states.by_stream(args.features)
    loaded = batch.load(args.queries, [files.get(stream, []) for stream in s.streams], s, splits=None)
    queries = retrieval.of_split(
        batch.with_words(loaded, vocabulary, json.loads(metadata["characters"]), s), settings.split
    )
    if not len(queries):
        retrieval.write_nothing(args.output)
        return
    network.to(where)
    videos = queries.video_index.unique()
    asked = retrieval.some(queries, settings.pairs // len(videos))
    ones = np.eye(len(asked), dtype=bool)
    scores = np.stack([best_scores(network, asked.take(one), videos, where) for one in ones])
    retrieval.write(args.output, asked, queries, videos, scores, None)


if __name__ == "__main__":
    run(main)
