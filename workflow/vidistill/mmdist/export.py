"""Stage `export`: a teacher's pseudo labels and semantic activation maps, as two Parquet tables."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vidistill.base import device, store
from vidistill.base.settings import parse
from vidistill.base.stage import UserError, arguments, run
from vidistill.data import vocabulary as vocabularies
from vidistill.features import states
from vidistill.mmdist import batch, predict, proposals
from vidistill.mmdist import model as models
from vidistill.mmdist.batch import Queries
from vidistill.mmdist.predict import Predicted
from vidistill.settings.export import ExportSettings
from vidistill.settings.mmdist import TrainSettings
from vidistill.training import boundaries, knowledge
from vidistill.training.boundaries import Boundaries
from vidistill.training.knowledge import FUSED

log = logging.getLogger(__name__)


def pseudo_labels(queries: Queries, predicted: Predicted, teacher: str, seed: int) -> pd.DataFrame:
    """One row per (query, proposal); rank 0 has the best score, ties go to the lower proposal index."""
    table = predict.proposal_table(queries, predicted)
    table = table.sort_values(["query_id", "score", "proposal_index"], ascending=[True, False, True])
    table["rank"] = table.groupby("query_id").cumcount()
    return table.assign(teacher=teacher, stream=FUSED, seed=seed, round=0)


def activation_maps(
    queries: Queries, predicted: Predicted, ends: Boundaries, teacher: str, streams: tuple[str, ...], seed: int
) -> pd.DataFrame:
    """Semantic maps, a row per (query, stream) and one for their mean, `fused`; and the starts and ends of a query."""
    maps = {("start", FUSED): ends.start, ("end", FUSED): ends.end}
    fused = predict.fuse(predicted.maps)
    if fused is not None:
        maps["semantic", FUSED] = fused
    if len(predicted.maps) > 1:
        maps |= {("semantic", stream): values for stream, values in zip(streams, predicted.maps, strict=True)}
    parts = [
        knowledge.map_rows(queries, predicted.rows, values.numpy(), kind=kind, stream=stream)
        for (kind, stream), values in maps.items()
    ]
    return pd.concat(parts).assign(teacher=teacher, seed=seed, round=0, confidence=None)


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--features", nargs="+", required=True, help="STREAM=H5, every shard of every stream")
    parser.add_argument("--pseudo-labels", type=Path, required=True)
    parser.add_argument("--activation-maps", type=Path, required=True)
    args = parser.parse_args(argv)
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
    )
    network.to(where)
    labels, maps = [], []
    for p in predict.predict(network, queries, s.loss, seed=s.seed, score_weight=s.score_weight, device=where):
        ends = boundaries.of_proposals(
            proposals.moments(p.center, p.width),
            p.score,
            s.snippets,
            sigma=settings.sigma,
            temperature=settings.temperature,
            unify=settings.unify,
        )
        labels.append(pseudo_labels(queries, p, s.model, s.seed))
        maps.append(activation_maps(queries, p, ends, s.model, s.streams, s.seed))
    about = {
        "dataset": s.dataset,
        "splits": json.dumps([*s.train_splits, *s.test_splits]),
        "settings": metadata["settings"],
        "model_sha256": store.file_digest(args.model),
        "data_sha256": queries.digest(),
        "features": metadata["features"],
        "unify": settings.unify,
        "supervision": "weak",
    }
    knowledge.write_labels(args.pseudo_labels, pd.concat(labels), **about)
    knowledge.write_maps(args.activation_maps, pd.concat(maps), **about)
    log.info("%d queries of %s, seed %d", len(queries), s.model, s.seed)


if __name__ == "__main__":
    run(main)
