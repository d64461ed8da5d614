"""Inputs of the figures: the result, and per model and seed the predictions, histories and exported tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidistill.base import store
from vidistill.evaluation import inputs, metrics, predictions
from vidistill.evaluation.evaluate import EvaluateSettings
from vidistill.evaluation.inputs import DataSet, Labelled
from vidistill.evaluation.predictions import Answers, Scored
from vidistill.features import states

CURVE = tuple(i / 20 for i in range(1, 20))  # m of the curve of R@m
FUSED = "fused"


@dataclass(frozen=True)
class Paths:
    """The stage's input files; pseudo labels and activation maps only for exported models."""

    result: Path
    queries: Path
    moments: Path
    features: Mapping[str, Sequence[Path]]  # stream -> shards
    predictions: Labelled
    histories: Labelled
    pseudo_labels: Labelled
    activation_maps: Labelled


@dataclass(frozen=True)
class Material:
    """The contents of the input files."""

    settings: EvaluateSettings
    result: Mapping[str, Any]
    data: DataSet
    scored: Mapping[str, Mapping[int, Scored]]  # model -> seed -> with `thresholds`; no seeds if nothing is scored
    answers: Mapping[str, Answers]  # model -> answers of the first seed
    histories: Mapping[tuple[str, int], pd.DataFrame]
    labels: Mapping[tuple[str, int], pd.DataFrame]  # (model, seed) -> its best proposal of each query, by query_id
    maps: Labelled

    @property
    def models(self) -> list[str]:
        """The report's own model first."""
        return list(self.scored)

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns of `Scored.values`: the result's metrics, and R@m along the curve."""
        return metrics.names(thresholds(self.settings), self.settings.window_tious)

    @cached_property
    def sentences(self) -> pd.DataFrame:
        """The table of queries by query_id."""
        return self.data.queries.set_index("query_id")

    @cached_property
    def durations(self) -> dict[str, float]:
        """Video -> seconds, where known: from the features, else from the annotations."""
        given = self.data.queries.dropna(subset=["duration"])
        known = dict(zip(given["video_id"], given["duration"].astype(float), strict=True))
        return {**known, **self.data.known_durations}

    def moments(self, query_ids: Sequence[str] | pd.Index) -> np.ndarray:
        """(N, G, 2) seconds, for queries with known moments."""
        return predictions.pad([self.data.targets[query_id] for query_id in query_ids])

    def column(self, scored: Scored, name: str) -> np.ndarray:
        """(N,) percent of one metric, one per query."""
        return np.asarray(scored.values["score"][:, self.names.index(name)])

    def seed_means(self, model: str, names: Sequence[str]) -> np.ndarray:
        """(S, M) of these metrics, in percent."""
        columns = [self.names.index(name) for name in names]
        return np.stack([s.values["score"].mean(axis=0)[columns] for s in self.scored[model].values()])

    def activation(self, model: str, seed: int, query_ids: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
        """Query -> stream -> (L,) semantic activation map, or, of a model without, `start` and `end` -> (L,)
        distributions; empty for a model that wrote neither."""
        if (model, seed) not in self.maps:
            return {}
        table = store.read_table(self.maps[model, seed], ["query_id", "stream", "kind", "values"])
        semantic = table["kind"] == "semantic"
        rows = table[table["query_id"].isin(query_ids) & (semantic | (not semantic.any()))]
        found: dict[str, dict[str, np.ndarray]] = {}
        names = rows["stream"] if semantic.any() else rows["kind"]
        for query_id, name, values in zip(rows["query_id"], names, rows["values"], strict=True):
            found.setdefault(query_id, {})[name] = np.asarray(values, dtype=np.float64)
        return found


def thresholds(s: EvaluateSettings) -> tuple[float, ...]:
    """The thresholds of the result, and those of the curve."""
    return (*s.thresholds, *(m for m in CURVE if m not in s.thresholds))


def read(s: EvaluateSettings, paths: Paths) -> Material:
    """Read everything.

    Raises:
        UserError: files do not match, as in stage `evaluate`.
    """
    data = DataSet(
        inputs.read_queries(paths.queries),
        inputs.read_moments(paths.moments),
        {name: states.read(name, shards) for name, shards in paths.features.items()},
    )
    result = json.loads(paths.result.read_text(encoding="utf-8"))
    scored: dict[str, dict[int, Scored]] = {}
    answers: dict[str, Answers] = {}
    for model in (s.model, *s.compare_with):
        scored[model], learned = {}, result["models"][model]["settings"]["train_splits"]
        for seed in sorted(seed for name, seed in paths.predictions if name == model):
            found, answered = predictions.read(paths.predictions[model, seed], s.split, learned)
            answers.setdefault(model, answered)
            if found and (
                beside := predictions.score(found, data.targets, thresholds(s), s.vote_weight, s.window_tious)
            ):
                scored[model][seed] = beside
    return Material(
        settings=s,
        result=result,
        data=data,
        scored=scored,
        answers=answers,
        histories={key: store.read_table(path) for key, path in paths.histories.items()},
        labels={key: _best(path) for key, path in paths.pseudo_labels.items()},
        maps=paths.activation_maps,
    )


def _best(path: Path) -> pd.DataFrame:
    """The pseudo labels of rank 0, by query_id: video_id, split, start, end (seconds)."""
    table = store.read_table(path, ["query_id", "video_id", "split", "rank", "start", "end"])
    return table[table["rank"] == 0].drop(columns="rank").drop_duplicates("query_id").set_index("query_id")
