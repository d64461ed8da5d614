"""Numbers of the result: over seeds, over epochs, and comparisons. In percent, with four decimals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vidistill.evaluation import bootstrap, power
from vidistill.evaluation.predictions import Scored
from vidistill.evaluation.ranking import Rule

Intervals = Callable[[np.ndarray], np.ndarray | None]  # (N, M) -> (M, 2), `bootstrap.intervals` with its settings
Seeds = Mapping[int, Scored]

OTHER_RULES: dict[Rule, str] = {
    "loss": "by CPL's loss rule",
    "vote": "by CPL's vote rule",
    "map": "by the map alone",
    "oracle": "the best proposal",  # which nobody knows: how far a better choice would get
}
ORACLE = "the epoch was chosen on the reported queries: do not report it or compare with it"


def number(value: float) -> float:
    """Rounded, so that equal runs write equal bytes with any linear algebra library; never -0.0."""
    return round(float(value), 4) + 0.0


def means(values: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """(N, M') to one number per metric, for the first M' of `names`."""
    return {name: number(mean) for name, mean in zip(names, values.mean(axis=0), strict=False)}


def over_seeds(values: np.ndarray, names: Sequence[str], seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Mean, sample standard deviation (None for one seed) and single seeds of (S, M)."""
    spread = values.std(axis=0, ddof=1) if len(seeds) > 1 else None
    return {
        name: {
            "mean": number(values[:, m].mean()),
            "std": None if spread is None else number(spread[m]),
            "per_seed": {str(seed): number(values[s, m]) for s, seed in enumerate(seeds)},
        }
        for m, name in enumerate(names)
    }


def by_rule(scored: Seeds, rule: Rule, names: Sequence[str]) -> dict[str, dict[str, Any]] | None:
    """Metrics of the last epoch by one ranking rule; None if a seed has no reconstruction errors."""
    if any(rule not in s.values for s in scored.values()):
        return None
    return over_seeds(np.stack([s.values[rule].mean(axis=0) for s in scored.values()]), names, list(scored))


def over_queries(scored: Seeds, query_ids: pd.Index) -> np.ndarray:
    """(N, M) for the given queries, mean over seeds."""
    return np.mean([s.values["score"][s.query_ids.get_indexer(query_ids)] for s in scored.values()], axis=0)


def by_seed(scored: Seeds, query_ids: pd.Index) -> dict[int, np.ndarray]:
    """Seed -> (M,) means over the given queries."""
    return {seed: s.values["score"][s.query_ids.get_indexer(query_ids)].mean(axis=0) for seed, s in scored.items()}


def add_intervals(metrics: dict[str, dict[str, Any]], scored: Seeds, intervals: Intervals) -> None:
    """Add to each metric its interval over queries."""
    found = intervals(over_queries(scored, next(iter(scored.values())).query_ids))
    for m, metric in enumerate(metrics.values()):
        metric["interval"] = None if found is None else [number(limit) for limit in found[m]]


def compare(
    ours: np.ndarray,
    theirs: np.ndarray,
    names: Sequence[str],
    intervals: Intervals,
    by_seed: np.ndarray,
    confidence: float,
) -> dict[str, Any]:
    """Two methods on the same queries, (N, M) each: the difference, its interval, whether that excludes 0, and how many
    queries and seeds the difference needs to be clear.

    Args:
        by_seed: (S, M) differences of the seeds that both have.
    """
    found = intervals(ours - theirs)
    queries, seeds = power.of_columns(ours - theirs, confidence), power.of_columns(by_seed, confidence)
    return {
        name: {
            "ours": number(ours[:, m].mean()),
            "theirs": number(theirs[:, m].mean()),
            "difference": number((ours - theirs)[:, m].mean()),
            "interval": None if found is None else [number(limit) for limit in found[m]],
            "resolved": found is not None and bootstrap.excludes_zero(found[m]),
            "needs": {"queries": queries[m], "seeds": seeds[m]},
        }
        for m, name in enumerate(names)
    }


def selection(
    scored: Seeds, histories: Mapping[int, pd.DataFrame], names: Sequence[str], oracle_metric: str
) -> dict[str, Any]:
    """Metrics for other choices of the epoch: last (reported), best on the test split, lowest held-out loss.

    Args:
        histories: seed -> `history.parquet`.
    """
    last = {seed: len(s.epochs) - 1 for seed, s in scored.items()}
    best = {seed: int(s.by_epoch[:, names.index(oracle_metric)].argmax()) for seed, s in scored.items()}
    held_out = {seed: lowest_held_out(s.epochs, histories[seed]) for seed, s in scored.items()}
    found = {seed: e for seed, e in held_out.items() if e is not None}
    common = sorted(set.intersection(*(set(s.epochs.tolist()) for s in scored.values())))
    curves = np.mean([s.by_epoch[np.isin(s.epochs, common)] for s in scored.values()], axis=0)
    return {
        "reported": "last",
        "last": {"epoch": _epochs(scored, last)},
        "oracle": {"note": ORACLE, "criterion": oracle_metric, **_at(scored, best, names)},
        "held_out": {"criterion": "held_out_loss", **_at(scored, found, names)} if len(found) == len(scored) else None,
        "by_epoch": {"epoch": common, **{name: [number(v) for v in curves[:, m]] for m, name in enumerate(names)}},
    }


def lowest_held_out(epochs: np.ndarray, history: pd.DataFrame) -> int | None:
    """Index in `epochs` of the lowest held-out loss; None without such a loss or predictions of that epoch."""
    if "held_out_loss" not in history:
        return None
    losses = history.set_index("epoch")["held_out_loss"].dropna().astype(np.float64)
    found = np.flatnonzero(epochs == losses.idxmin()).tolist() if len(losses) else []
    return found[0] if found else None


def _at(scored: Seeds, chosen: Mapping[int, int], names: Sequence[str]) -> dict[str, Any]:
    values = np.stack([s.by_epoch[chosen[seed]] for seed, s in scored.items()])
    return {"epoch": _epochs(scored, chosen), "metrics": over_seeds(values, names, list(scored))}


def _epochs(scored: Seeds, chosen: Mapping[int, int]) -> dict[str, int]:
    return {str(seed): int(s.epochs[chosen[seed]]) for seed, s in scored.items()}
