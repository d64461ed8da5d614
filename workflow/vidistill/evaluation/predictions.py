"""The predictions of one seed of a model, and their score against the moments."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.evaluation import average_precision, metrics, ranking
from vidistill.evaluation.ranking import Rule
from vidistill.settings.evaluate import VoteWeight

FLAT = 1e-5  # float32 scores without a map differ from the errors by less
COLUMNS = ["epoch", "query_id", "split", "proposal_index", "start", "end", "score", "reconstruction_error"]


@dataclass(frozen=True)
class Answers:
    """A model's answers to N queries after the last epoch, K proposals per query."""

    query_ids: pd.Index  # (N,)
    splits: np.ndarray  # (N,)
    ranked: np.ndarray  # (N, K, 3) start, end, score; best first

    def count(self) -> dict[str, int]:
        """Split -> number of answered queries."""
        return {str(split): int((self.splits == split).sum()) for split in np.unique(self.splits)}


@dataclass(frozen=True)
class Predictions:
    """The proposals for N queries after each of E epochs, K per query."""

    query_ids: pd.Index  # (N,)
    epochs: np.ndarray  # (E,) ascending
    windows: np.ndarray  # (E, N, K, 2) seconds
    scores: np.ndarray  # (E, N, K)
    errors: np.ndarray  # (E, N, K) reconstruction errors, NaN if the model has none


@dataclass(frozen=True)
class Scored:
    """The score of one seed's predictions; N queries, M metrics."""

    query_ids: pd.Index  # (N,) queries with a moment
    epochs: np.ndarray  # (E,)
    by_epoch: np.ndarray  # (E, M) percent, by score
    values: dict[Rule, np.ndarray]  # (N, M) percent, last epoch; loss, vote and map need errors, map a map


def read_ids(path: Path, split: str) -> set[str]:
    """The predicted queries of `split`."""
    table = store.read_table(path, ["query_id", "split"])
    return set(table.loc[table["split"] == split, "query_id"].unique())


def read(path: Path, split: str, learned: Collection[str]) -> tuple[Predictions | None, Answers]:
    """A model's predictions for the queries of `split` after each epoch, and its answers after the last.

    Args:
        split: the evaluated split; the first result is None if it has no predicted query.
        learned: the training splits, whose queries are answers only if there are no others.

    Raises:
        UserError: there are no predictions, some proposals are missing, or a number is missing.
    """
    table = store.read_table(path, COLUMNS)
    if table.empty:
        raise UserError(f"{path} has no predictions; train the model again.")
    own = table[table["split"] == split]
    last = table[table["epoch"] == table["epoch"].max()]
    others = last[~last["split"].isin(list(learned))]
    answered = last if others.empty else others
    at_last = _grids(path, answered)
    order = ranking.rank("score", at_last.windows[0], at_last.scores[0], at_last.errors[0])
    proposals = np.concatenate([at_last.windows[0].astype(np.float64), at_last.scores[0, ..., None]], axis=-1)
    splits = answered.drop_duplicates("query_id").set_index("query_id")["split"]
    answers = Answers(
        at_last.query_ids,
        splits.loc[at_last.query_ids].to_numpy(),
        np.take_along_axis(proposals, order[..., None], axis=1),
    )
    return None if own.empty else _grids(path, own), answers


def _grids(path: Path, table: pd.DataFrame) -> Predictions:
    """Convert a table with one row per epoch, query and proposal to arrays."""
    numbers, query_ids = pd.factorize(table["query_id"], sort=True)
    order = np.lexsort([table["proposal_index"], numbers, table["epoch"]])
    epochs = np.unique(table["epoch"])
    shape = (len(epochs), len(query_ids), len(table) // (len(epochs) * len(query_ids)))

    def grid(values: np.ndarray) -> np.ndarray:
        return values[order].reshape(shape)

    whole = np.prod(shape) == len(table)
    if not (
        whole
        and (grid(table["epoch"].to_numpy()) == epochs[:, None, None]).all()
        and (grid(numbers) == np.arange(len(query_ids))[:, None]).all()
    ):
        raise UserError(f"{path}: the number of proposals differs between queries or epochs; train the model again.")
    predictions = Predictions(
        pd.Index(query_ids),
        epochs,
        np.stack([grid(table["start"].to_numpy()), grid(table["end"].to_numpy())], axis=-1),
        grid(table["score"].to_numpy()),
        grid(table["reconstruction_error"].to_numpy(dtype=np.float32, na_value=np.nan)),
    )
    numbered = np.isfinite(predictions.scores) | np.isneginf(predictions.scores)  # -inf: no window, of other programs
    if not (np.isfinite(predictions.windows).all() and numbered.all()):
        raise UserError(f"{path} has predictions without start, end or score; check the features and train again.")
    return predictions


def score(
    predictions: Predictions,
    targets: Mapping[str, np.ndarray],
    thresholds: Sequence[float],
    vote_weight: VoteWeight,
    tious: Sequence[float] = (),
) -> Scored | None:
    """Score predictions against moments; None if no query has a moment.

    Args:
        targets: query id -> (G, 2) moments in seconds; queries without moments are left out.
        tious: thresholds of the mean average precision over windows, see `metrics.names`.
    """
    kept = np.array([query_id in targets for query_id in predictions.query_ids], dtype=bool)
    if not kept.any():
        return None
    query_ids = predictions.query_ids[kept]
    truth = [targets[query_id] for query_id in query_ids]
    moments = pad(truth)
    by_epoch = []
    values: dict[Rule, np.ndarray] = {}
    for e in range(len(predictions.epochs)):
        windows = predictions.windows[e, kept].astype(np.float64)
        scores, errors = predictions.scores[e, kept], predictions.errors[e, kept]
        overlap = metrics.best_iou(windows, moments)

        def measure(order: np.ndarray, windows: np.ndarray = windows, overlap: np.ndarray = overlap) -> np.ndarray:
            columns = metrics.per_query(np.take_along_axis(overlap, order, axis=1), thresholds)
            if not tious:
                return columns
            ordered = np.take_along_axis(windows, order[..., None], axis=1)
            return np.concatenate([columns, average_precision.of_windows(ordered, truth, tious)], axis=1)

        rules: list[Rule] = ["score"]
        if e == len(predictions.epochs) - 1:
            values["oracle"] = measure(overlap.argmax(axis=1)[:, None])
            if np.isfinite(errors).all():
                rules += ["loss", "vote"]
                if np.ptp(scores + errors, axis=1).max() > FLAT:
                    rules.append("map")
        for rule in rules:
            order = ranking.rank(rule, windows, scores, errors, vote_weight)
            values[rule] = measure(order)
            if rule == "score":
                by_epoch.append(values[rule].mean(axis=0))
    return Scored(query_ids, predictions.epochs, np.stack(by_epoch), values)


def pad(moments: Sequence[np.ndarray]) -> np.ndarray:
    """Stack (G_n, 2) moments to (N, G, 2); a query with fewer than G repeats its first moment."""
    most = max((len(m) for m in moments), default=1)
    return np.stack([np.concatenate([m, np.repeat(m[:1], most - len(m), axis=0)]) for m in moments])


def json_lines(answers: Answers, queries: pd.DataFrame) -> list[dict[str, Any]]:
    """One object per query, windows best first, in seconds; not rounded, to keep ties the same elsewhere. Windows that
    only pad the table are left out."""
    rows = queries.set_index("query_id").loc[answers.query_ids]
    return [
        {
            **{"qid": query_id, "query": sentence, "vid": video_id},
            "pred_relevant_windows": ranked[np.isfinite(ranked[:, 2])].tolist(),
        }
        for query_id, sentence, video_id, ranked in zip(
            answers.query_ids, rows["sentence"], rows["video_id"], answers.ranked, strict=True
        )
    ]
