"""How well models find the right video among many, and how often they refuse sentences: from tables of retrieval."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.base.wording import percent, plural
from vidistill.evaluation import bootstrap, summary
from vidistill.evaluation.inputs import Labelled
from vidistill.settings.evaluate import Reporting
from vidistill.training.retrieval import RETRIEVAL

RECALL = (1, 5)  # k of recall@k


def describe(settings: Reporting, files: Labelled, models: Iterable[str]) -> dict[str, dict[str, Any] | None]:
    """Model -> its numbers, of models whose tables are given; None for one that compares no sentences with videos."""
    by_seed: dict[str, dict[int, Path]] = {model: {} for model in models}
    for (model, seed), file in files.items():
        by_seed.get(model, {})[seed] = file
    return {model: of_model(settings, given) for model, given in by_seed.items() if given}


def of_model(settings: Reporting, files: Mapping[int, Path]) -> dict[str, Any] | None:
    """The numbers of a model over seeds, in percent, but for ranks; None if its tables are empty.

    The right video of a sentence is the one that it is annotated for. Intervals are over these videos, which are
    resampled with all their sentences.

    Args:
        files: seed -> table.

    Raises:
        UserError: seeds have other queries.
    """
    tables = {seed: store.read_table(file, RETRIEVAL.names) for seed, file in files.items()}
    first = next(iter(tables.values()))
    for seed, table in tables.items():
        if not table["query_id"].equals(first["query_id"]):
            raise UserError(f"{files[seed]} has other queries than the first seed; make it again.")
    if first.empty:
        return None
    ranks = np.stack([table["rank"].to_numpy(np.float64) for table in tables.values()])  # (S, N)
    numbers, owner = pd.factorize(first["video_id"])[0], first["video_id"].nunique()
    seeds = list(tables)

    def number(per_seed: np.ndarray, of_draws: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
        """With its interval, by its values (R,) for R draws of the videos (R, V)."""
        (found,) = summary.over_seeds(per_seed[:, None], ["number"], seeds).values()
        if owner < 2:
            return found | {"interval": None}
        draws = bootstrap.draws(owner, settings.bootstrap_samples, settings.bootstrap_seed)
        (limits,) = bootstrap.limits(np.concatenate([of_draws(times) for times in draws])[:, None], settings.confidence)
        return found | {"interval": [summary.number(limit) for limit in limits]}

    def share(hits: np.ndarray, of: np.ndarray) -> dict[str, Any]:
        """Percent of (S, N) counts in (S, N) counts."""
        top, bottom = (_of_videos(values, numbers, owner) for values in (hits, of))  # (S, V)
        return number(
            100 * hits.sum(1) / of.sum(1),
            lambda times: 100 * np.mean((times @ top.T) / np.maximum(times @ bottom.T, 1), axis=1),
        )

    videos, ones = int(first["videos"].iloc[0]), np.ones_like(ranks)
    found: dict[str, Any] = {
        "queries": len(first),
        "videos": videos,
        **{f"recall@{k}": share((ranks <= k).astype(np.float64), ones) for k in RECALL},
        "median_rank": number(np.median(ranks, axis=1), lambda times: _medians(ranks, times[:, numbers])),
        "chance": {
            **{f"recall@{k}": summary.number(100 * min(k / videos, 1)) for k in RECALL},
            "median_rank": (videos + 1) / 2,
        },
    }
    refused = {
        name: np.stack([table[name].to_numpy(np.float64, na_value=np.nan) for table in tables.values()])
        for name in ("refused", "others_refused", "others")
    }
    if np.isfinite(refused["refused"]).all():
        found["refused"] = {
            "own": share(refused["refused"], ones),
            "others": share(refused["others_refused"], refused["others"]) if refused["others"].sum() else None,
        }
    return found


def sentence(model: str, found: Mapping[str, Any]) -> str:
    """The numbers of a model in a sentence."""
    count, videos, chance = found["queries"], found["videos"], found["chance"]
    first, five = (percent(found[f"recall@{k}"]["mean"], count) for k in RECALL)
    said = (
        f"{model}: of {plural(videos, 'video')} the right one is first for {first} % of {plural(count, 'sentence')} "
        f"(chance {chance['recall@1']:.1f} %), among five for {five} % ({chance['recall@5']:.1f} %), median rank "
        f"{found['median_rank']['mean']:.0f} ({chance['median_rank']:.0f})"
    )
    if not found.get("refused"):
        return said
    own, others = found["refused"]["own"], found["refused"]["others"]
    said += f"; refused in their own video {percent(own['mean'], count)} %"
    return said + (f", in others {percent(others['mean'], count)} %" if others else "")


def _of_videos(values: np.ndarray, numbers: np.ndarray, count: int) -> np.ndarray:
    """Sums (S, V) over the queries of each video of (S, N)."""
    return np.stack([np.bincount(numbers, row, count) for row in values])


def _medians(ranks: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Median ranks (R,), mean over seeds, of (S, N) ranks of which query n counts times[r, n] times."""
    medians = []
    for row in ranks:
        order = np.argsort(row, kind="stable")
        counted = np.cumsum(times[:, order], axis=1)
        half = (counted[:, -1:] + 1) / 2  # between two of an even number
        low, high = ((counted >= bound).argmax(axis=1) for bound in (np.floor(half), np.ceil(half)))
        medians.append((row[order][low] + row[order][high]) / 2)
    return np.mean(medians, axis=0)
