"""Stage `export` of EMTM: what a network knows, as two Parquet tables: its best moments, and starts and ends."""

import json
from collections.abc import Sequence

import pandas as pd

from vidistill.base import device
from vidistill.base.settings import parse
from vidistill.base.stage import run
from vidistill.data import vocabulary as vocabularies
from vidistill.emtm import batch, predict
from vidistill.emtm import model as models
from vidistill.emtm.batch import Queries
from vidistill.emtm.map2d import Map2D
from vidistill.emtm.model import Network
from vidistill.emtm.predict import Predicted
from vidistill.features import states
from vidistill.settings.emtm import TrainSettings
from vidistill.settings.export import ExportSettings
from vidistill.settings.train import Unify
from vidistill.training import boundaries, exported, knowledge


def pseudo_labels(queries: Queries, predicted: Predicted) -> pd.DataFrame:
    """One row per (query, moment); rank 0 is the best."""
    table = predict.moment_table(queries, predicted)
    return table.assign(rank=table["proposal_index"], proposal_index=None)


def activation_maps(network: Network, queries: Queries, predicted: Predicted, unify: Unify) -> pd.DataFrame:
    """The rows `start` and `end` of each query: a value per clip of a map, or per valid snippet."""
    if isinstance(network, Map2D):
        found, lengths = boundaries.of_map(predicted.outputs, network.mask.cpu(), unify), None
    else:
        start, end = predicted.outputs.unbind(1)
        valid = ~start.isneginf()
        found, lengths = boundaries.of_logits(start, end, valid, unify), valid.sum(1).numpy()
    return pd.concat(
        knowledge.map_rows(queries, predicted.rows, values.numpy(), kind=kind, lengths=lengths)
        for kind, values in found._asdict().items()
    )


def main(argv: Sequence[str] | None = None) -> None:
    args = exported.arguments(__doc__).parse_args(argv)
    settings = parse(ExportSettings, args.settings)
    where = device.choose(settings.device, settings.threads)
    network, metadata = models.load(args.model)
    s = parse(TrainSettings, metadata["settings"])
    files = states.by_stream(args.features)
    splits = [*s.train_splits, *s.test_splits]
    loaded = batch.load(args.queries, [files.get(stream, []) for stream in s.streams], s, splits=splits).on(where)
    vocabulary, known = vocabularies.loads(metadata["vocabulary"]), json.loads(metadata["characters"])
    queries = batch.with_words(loaded, vocabulary, known, s)
    labels, maps = [], []
    for part in predict.predict(network.to(where), queries, device=where):
        labels.append(pseudo_labels(queries, part))
        maps.append(activation_maps(network, queries, part, settings.unify))
    exported.write(args, s, queries, labels, maps, unify=settings.unify, supervision=s.supervision)


if __name__ == "__main__":
    run(main)
