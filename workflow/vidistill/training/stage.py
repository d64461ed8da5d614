"""What the stages `train` of all methods share: arguments, and which queries are trained on and predicted."""

import argparse
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from vidistill.base import stage
from vidistill.base.stage import UserError
from vidistill.features import states
from vidistill.settings.train import TrainSection
from vidistill.training import loop
from vidistill.training.samples import Samples

S = TypeVar("S", bound=Samples)


class Parts(NamedTuple):
    """Rows (N,) bool of queries to train on, to predict after each epoch, and to predict after the last."""

    training: np.ndarray
    watched: np.ndarray  # test and held-out queries
    at_last: np.ndarray


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options of every method."""
    parser = stage.arguments(description)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--word-vectors", type=Path, required=True)
    parser.add_argument("--features", nargs="+", required=True, help="STREAM=H5, every shard of every stream")
    parser.add_argument("--pseudo-labels", type=Path, nargs="*", default=[], help="of the teachers")
    parser.add_argument(
        "--activation-maps", type=Path, nargs="*", default=[], help="of the teachers, in the same order"
    )
    for output in ("--model", "--history", "--predictions", "--work"):
        parser.add_argument(output, type=Path, required=True)
    return parser


def divide(queries: Samples, settings: TrainSection, file: Path) -> Parts:
    """Divide the queries of `file`.

    Raises:
        UserError: there is nothing to train on, or a query to predict is of a video of unknown duration.
    """
    in_training = np.isin(queries.splits, settings.train_splits)
    held_out = in_training & np.array([loop.is_held_out(v, settings.held_out) for v in queries.video_ids])
    watched = held_out | (~in_training & np.isin(queries.splits, settings.test_splits))
    # Without other queries, the training queries are answered.
    at_last = ~watched & (in_training if in_training.all() else ~in_training)
    training = in_training & ~held_out
    if not training.any():
        raise UserError(
            f"{file} has no query to train on in {', '.join(settings.train_splits)}; see train.train_splits."
        )
    asked = np.flatnonzero(watched | at_last)
    states.check_dated(queries.video_ids[i] for i in asked if np.isnan(queries.durations[i]))
    return Parts(training, watched, at_last)
