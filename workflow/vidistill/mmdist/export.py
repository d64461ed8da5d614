"""Stage `export`: a teacher's pseudo labels and semantic activation maps, as two Parquet tables."""

from collections.abc import Sequence

import pandas as pd

from vidistill.base import device
from vidistill.base.settings import parse
from vidistill.base.stage import UserError, run
from vidistill.data import vocabulary as vocabularies
from vidistill.features import states
from vidistill.mmdist import batch, predict, proposals
from vidistill.mmdist import model as models
from vidistill.mmdist.batch import Queries
from vidistill.mmdist.predict import Predicted
from vidistill.settings.export import ExportSettings
from vidistill.settings.mmdist import TrainSettings
from vidistill.training import boundaries, exported, knowledge
from vidistill.training.knowledge import FUSED


def pseudo_labels(queries: Queries, predicted: Predicted) -> pd.DataFrame:
    """One row per (query, proposal); rank 0 has the best score, ties go to the lower proposal index."""
    table = predict.proposal_table(queries, predicted)
    table = table.sort_values(["query_id", "score", "proposal_index"], ascending=[True, False, True])
    table["rank"] = table.groupby("query_id").cumcount()
    return table


def activation_maps(
    queries: Queries, predicted: Predicted, settings: TrainSettings, form: ExportSettings
) -> pd.DataFrame:
    """Per query start and end, and semantic maps: one per stream, and their mean, `fused`."""
    found = boundaries.of_proposals(
        proposals.moments(predicted.center, predicted.width),
        predicted.score,
        settings.snippets,
        sigma=form.sigma,
        temperature=form.temperature,
        unify=form.unify,
    )
    maps = {(kind, FUSED): values for kind, values in found._asdict().items()}
    fused = predict.fuse(predicted.maps)
    if fused is not None:
        maps["semantic", FUSED] = fused
    if len(predicted.maps) > 1:
        maps |= {("semantic", stream): values for stream, values in zip(settings.streams, predicted.maps, strict=True)}
    return pd.concat(
        knowledge.map_rows(queries, predicted.rows, values.numpy(), kind=kind, stream=stream)
        for (kind, stream), values in maps.items()
    )


def main(argv: Sequence[str] | None = None) -> None:
    args = exported.arguments(__doc__).parse_args(argv)
    settings = parse(ExportSettings, args.settings)
    where = device.choose(settings.device, settings.threads)
    network, metadata = models.load(args.model)
    if "settings" not in metadata:
        raise UserError(f"{args.model} does not say how it was trained; train it with this version.")
    s = parse(TrainSettings, metadata["settings"])
    files = states.by_stream(args.features)
    queries = batch.load(
        args.queries,
        vocabularies.loads(metadata["vocabulary"]),
        [files.get(stream, []) for stream in s.streams],
        splits=[*s.train_splits, *s.test_splits],
        snippets=s.snippets,
        normalise=s.normalise,
    ).on(where)
    network.to(where)
    labels, maps = [], []
    for part in predict.predict(network, queries, s, where):
        labels.append(pseudo_labels(queries, part))
        maps.append(activation_maps(queries, part, s, settings))
    exported.write(args, s, queries, labels, maps, unify=settings.unify, supervision="weak")


if __name__ == "__main__":
    run(main)
