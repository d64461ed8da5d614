"""What figures about actions are drawn from: the result, and per model and seed the predictions and histories."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidistill.base import store
from vidistill.evaluation import localisation
from vidistill.evaluation import localisation_numbers as numbers
from vidistill.evaluation.inputs import Labelled
from vidistill.evaluation.localisation_numbers import Seeds
from vidistill.evaluation.truth import Truth, precision
from vidistill.settings.localisation import LocalisationSettings
from vidistill.training.knowledge import FUSED


@dataclass(frozen=True)
class Material:
    """The contents of the input files."""

    settings: LocalisationSettings
    result: Mapping[str, Any]
    truth: Truth
    found: Mapping[str, Seeds]  # model -> seed -> its predictions; no seeds if it predicts no video of the split
    histories: Mapping[tuple[str, int], pd.DataFrame]

    @property
    def models(self) -> list[str]:
        """The report's own model first."""
        return list(self.found)

    @property
    def trained(self) -> Mapping[str, Any]:
        """The settings of the training of the report's own model."""
        found: Mapping[str, Any] = self.result["models"][self.settings.model]["settings"]
        return found

    @property
    def streams(self) -> list[str]:
        """The streams that the report's own model may have, single-modal ones first."""
        return [*self.trained["streams"], FUSED]

    def scored(self, model: str) -> list[str]:
        """The videos that count in a model's numbers."""
        return numbers.scored_videos([self.found[model]], self.settings.exclude_videos)

    def last(self, model: str) -> list[pd.DataFrame]:
        """Each seed's segments after the last epoch."""
        return numbers.last(self.found[model])

    def precision(self, tables: Sequence[pd.DataFrame], videos: Sequence[str], tious: Sequence[float]) -> np.ndarray:
        """(S, T) mean average precision of S tables of segments, in percent."""
        truth = Truth(self.settings.model_copy(update={"tious": tuple(tious)}), self.truth.data)
        return np.concatenate([precision(truth.rank(table, videos)) for table in tables])[:, :-1]


def read(
    s: LocalisationSettings,
    result: Path,
    queries: Path,
    moments: Path,
    features: Mapping[str, Sequence[Path]],
    predictions: Labelled,
    histories: Labelled,
) -> Material:
    """Read everything.

    Raises:
        UserError: files do not match, as in stage `localisation`.
    """
    truth = Truth(s, localisation.read_data(queries, moments, features))
    models = (s.model, *s.compare_with)
    return Material(
        s,
        json.loads(result.read_text(encoding="utf-8")),
        truth,
        {model: localisation.read_seeds(s, predictions, model, truth) for model in models},
        {key: store.read_table(path) for key, path in histories.items()},
    )
