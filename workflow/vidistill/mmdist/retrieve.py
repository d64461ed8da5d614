"""Stage `retrieve` of MMDist: where the right video ranks among all videos of a split, for each sentence."""

import json
from collections.abc import Sequence

import torch

from vidistill.base import device
from vidistill.base.settings import parse
from vidistill.base.stage import run
from vidistill.data import vocabulary as vocabularies
from vidistill.features import states
from vidistill.mmdist import batch, fit
from vidistill.mmdist import model as models
from vidistill.mmdist.fit import VIDEOS
from vidistill.settings.mmdist import TrainSettings
from vidistill.settings.retrieve import RetrieveSettings
from vidistill.training import retrieval


def main(argv: Sequence[str] | None = None) -> None:
    args = retrieval.arguments(__doc__).parse_args(argv)
    settings = parse(RetrieveSettings, args.settings)
    where = device.choose(settings.device, settings.threads)
    network, metadata = models.load(args.model)
    s, vocabulary = parse(TrainSettings, metadata["settings"]), vocabularies.loads(metadata["vocabulary"])
    files = states.by_stream(args.features)
    loaded = batch.load(
        args.queries,
        vocabulary,
        [files.get(stream, []) for stream in s.streams],
        splits=None,  # as in training: a split may have no query with features
        snippets=s.snippets,
        normalise=s.normalise,
    )
    queries = retrieval.of_split(loaded, settings.split)
    if not len(queries) or not network.has_local_branch:
        retrieval.write_nothing(args.output)
        return
    network.to(where)
    by = fit.standard(fit.sentences(network, vocabulary, json.loads(metadata.get("bank", "[]"))), s.loss)
    asked = fit.sentences(network, vocabulary, queries.sentences)
    videos = queries.video_index.unique()
    fits = torch.cat(
        [
            fit.of(fit.snippets(network, queries.features_of(some, where)), asked, by).cpu()
            for some in videos.split(VIDEOS)
        ]
    )
    retrieval.write(args.output, queries, queries, videos, fits.T.numpy(), json.loads(metadata.get("bar", "null")))


if __name__ == "__main__":
    run(main)
