"""What the stages `export` of all methods share: arguments, and a teacher's two tables."""

import argparse
import json
import logging
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from vidistill.base import stage, store
from vidistill.settings.train import ModelSettings, Unify
from vidistill.training import knowledge
from vidistill.training.knowledge import FUSED
from vidistill.training.samples import Samples

log = logging.getLogger(__name__)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options of every method."""
    parser = stage.arguments(description)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--features", nargs="+", required=True, help="STREAM=H5, every shard of every stream")
    parser.add_argument("--pseudo-labels", type=Path, required=True)
    parser.add_argument("--activation-maps", type=Path, required=True)
    return parser


def write(
    args: argparse.Namespace,
    settings: ModelSettings,
    queries: Samples,
    labels: Iterable[pd.DataFrame],
    maps: Iterable[pd.DataFrame],
    *,
    unify: Unify,
    supervision: str,
) -> None:
    """Write a teacher's two tables, with where they come from.

    Args:
        args: of `arguments`.
        settings: of the model.
        labels, maps: parts of the tables, without the teacher's name and seed.
    """
    s, model = settings, store.read_model_metadata(args.model)
    teacher = {"teacher": s.model, "seed": s.seed, "round": 0}
    about = {
        "dataset": s.dataset,
        "splits": json.dumps([*s.train_splits, *s.test_splits]),
        "settings": model["settings"],
        "model_sha256": store.file_digest(args.model),
        "data_sha256": queries.digest(),
        "features": model["features"],
        "unify": unify,
        "supervision": supervision,
    }
    knowledge.write_labels(args.pseudo_labels, pd.concat(labels).assign(stream=FUSED, **teacher), **about)
    knowledge.write_maps(args.activation_maps, pd.concat(maps).assign(confidence=None, **teacher), **about)
    log.info("%d queries of %s, seed %d", len(queries), s.model, s.seed)
