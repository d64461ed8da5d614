"""Load a trained model of actions (MMSD), and how its segments are found."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from vidistill.base import store
from vidistill.base.settings import parse
from vidistill.base.stage import UserError
from vidistill.commands import packed, trained
from vidistill.mmsd import model as models
from vidistill.mmsd.model import Model
from vidistill.mmsd.network import Network
from vidistill.settings.localise import LocaliseSettings
from vidistill.settings.mmsd import TrainSettings


@dataclass(frozen=True)
class TrainedActions:
    """A model file.

    Attributes:
        segments: how segments are found, see `segment_settings`.
        features: stream -> provenance of its features, in the network's order of streams.
        files: stream -> setting -> path of the extractor's file in training.
    """

    path: Path
    model: Model
    segments: LocaliseSettings
    features: dict[str, dict[str, Any]]
    files: dict[str, dict[str, str]]

    @property
    def network(self) -> Network:
        return self.model.network

    @property
    def settings(self) -> TrainSettings:
        return self.model.settings

    @property
    def name(self) -> str:
        s = self.settings
        return f"{s.model} of {s.dataset}, seed {s.seed}"


def load(path: str | Path) -> TrainedActions:
    """Load a model file, or the model of the first seed of a result (JSON).

    Raises:
        UserError: `path` is neither, the result's model file is missing or has changed, or the model reads sentences.
    """
    path = trained.file_of(path)
    metadata = store.read_model_metadata(path)
    if metadata.get("method") != "mmsd":
        raise UserError(f"{path} is a model that reads sentences, not one of actions; ask it with `vidistill ground`.")
    try:
        model = models.load(path)
    except UserError as error:
        raise UserError(f"{path} was trained by another version ({error}); use that one, or train it again.") from error
    features = json.loads(metadata["features"])
    return TrainedActions(
        path,
        model,
        segment_settings(path, model.settings),
        {stream: features[stream] for stream in model.settings.streams},
        json.loads(metadata["files"]),
    )


def segment_settings(path: Path, settings: TrainSettings) -> LocaliseSettings:
    """Those of the predictions beside a model file, or of its pack, if they are by this model; else those of its
    pseudo labels."""
    about: dict[str, Any] = {}
    try:
        about = store.read_metadata(path.with_name("predictions.parquet"))
    except (OSError, pa.ArrowInvalid):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(path.with_name(packed.SETTINGS).read_text(encoding="utf-8"))
            about = {"model_sha256": content["model_sha256"], "settings": json.dumps(content["localise"])}
    if about.get("model_sha256") == store.file_digest(path):
        return parse(LocaliseSettings, about["settings"])
    return LocaliseSettings(**settings.segments.model_dump(), device="cpu")
