"""A model's predictions of one seed, and what they are worth beside the moments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdist import store
from mmdist.evaluation import metrics, ranking
from mmdist.evaluation.ranking import Rule, VoteWeight
from mmdist.stage import UserError

COLUMNS = ["epoch", "query_id", "split", "proposal_index", "start", "end", "score", "reconstruction_error"]


@dataclass(frozen=True)
class Predictions:
    """The proposals of N queries after each of E epochs, K a query."""

    query_ids: pd.Index  # (N,)
    epochs: np.ndarray  # (E,) ascending
    windows: np.ndarray  # (E, N, K, 2) seconds
    scores: np.ndarray  # (E, N, K)
    errors: np.ndarray  # (E, N, K) reconstruction errors, NaN where the model has none


@dataclass(frozen=True)
class Scored:
    """One seed's predictions beside the moments; N queries, M metrics."""

    query_ids: pd.Index  # (N,) those with a moment
    epochs: np.ndarray  # (E,)
    by_epoch: np.ndarray  # (E, M) percent, by score
    values: dict[Rule, np.ndarray]  # (N, M) percent, last epoch; without loss and vote where there are no errors
    ranked: np.ndarray  # (N, K, 3) start, end, score; last epoch, best first


def read_ids(path: Path, split: str) -> set[str]:
    """The queries of `split` that are predicted."""
    table = store.read_table(path, ["query_id", "split"])
    return set(table.loc[table["split"] == split, "query_id"].unique())


def read(path: Path, split: str) -> Predictions:
    """Predictions for the queries of `split`, after each epoch.

    Raises:
        UserError: there are none, an epoch or a query lacks some, or a number is missing.
    """
    table = store.read_table(path, COLUMNS)
    table = table[table["split"] == split]
    if table.empty:
        raise UserError(f"{path} predicts nothing in the split {split!r}; see evaluate.split and train.test_splits.")
    numbers, query_ids = pd.factorize(table["query_id"])
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
        raise UserError(f"{path}: not every epoch has equally many proposals for each query; train the model again.")
    predictions = Predictions(
        pd.Index(query_ids),
        epochs,
        np.stack([grid(table["start"].to_numpy()), grid(table["end"].to_numpy())], axis=-1),
        grid(table["score"].to_numpy()),
        grid(table["reconstruction_error"].to_numpy(dtype=np.float32, na_value=np.nan)),
    )
    if not (np.isfinite(predictions.windows).all() and np.isfinite(predictions.scores).all()):
        raise UserError(f"{path} has predictions without start, end or score; check the features and train again.")
    return predictions


def score(
    predictions: Predictions, targets: Mapping[str, np.ndarray], thresholds: Sequence[float], vote_weight: VoteWeight
) -> Scored:
    """Put the predictions beside the moments.

    Args:
        targets: query id -> (G, 2) seconds, moments of the query; other queries are left out, one must be left.
    """
    kept = np.array([query_id in targets for query_id in predictions.query_ids], dtype=bool)
    query_ids = predictions.query_ids[kept]
    moments = pad([targets[query_id] for query_id in query_ids])
    by_epoch = []
    values: dict[Rule, np.ndarray] = {}
    for e in range(len(predictions.epochs)):
        windows = predictions.windows[e, kept].astype(np.float64)
        scores, errors = predictions.scores[e, kept], predictions.errors[e, kept]
        overlap = metrics.best_iou(windows, moments)
        rules: list[Rule] = ["score"]
        if e == len(predictions.epochs) - 1 and np.isfinite(errors).all():
            rules += ["loss", "vote"]
        for rule in rules:
            order = ranking.rank(rule, windows, scores, errors, vote_weight)
            values[rule] = metrics.per_query(np.take_along_axis(overlap, order, axis=1), thresholds)
            if rule == "score":
                by_score = order
                by_epoch.append(values[rule].mean(axis=0))
    proposals = np.concatenate([windows, scores[..., None]], axis=-1)
    ranked = np.take_along_axis(proposals, by_score[..., None], axis=1)
    return Scored(query_ids, predictions.epochs, np.stack(by_epoch), values, ranked)


def pad(moments: Sequence[np.ndarray]) -> np.ndarray:
    """Lists of (G_n, 2) moments as one (N, G, 2), the first moment repeated where a query has fewer than G."""
    most = max((len(m) for m in moments), default=1)
    return np.stack([np.concatenate([m, np.repeat(m[:1], most - len(m), axis=0)]) for m in moments])


def json_lines(scored: Scored, queries: pd.DataFrame) -> list[dict[str, Any]]:
    """One object a query, windows best first, in seconds; unrounded for the same ties elsewhere."""
    rows = queries.set_index("query_id").loc[scored.query_ids]
    return [
        {"qid": query_id, "query": sentence, "vid": video_id, "pred_relevant_windows": windows}
        for query_id, sentence, video_id, windows in zip(
            scored.query_ids, rows["sentence"], rows["video_id"], scored.ranked.tolist(), strict=True
        )
    ]
