"""Load a trained model with its metadata, from its file or from a result."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidistill.base import files, store
from vidistill.base.settings import parse
from vidistill.base.stage import UserError
from vidistill.data import vocabulary as vocabularies
from vidistill.data.vocabulary import Vocabulary
from vidistill.mmdist import model as models
from vidistill.mmdist.network import Network
from vidistill.settings.mmdist import TrainSettings

REMEDY = "give a model.safetensors, or a result such as results/student_demo.json"


@dataclass(frozen=True)
class Trained:
    """A model file.

    Attributes:
        network: in evaluation mode, on the CPU.
        features: stream -> provenance of its features, in the network's order of streams.
        files: stream -> setting -> path of the extractor's file in training.
    """

    path: Path
    network: Network
    settings: TrainSettings
    vocabulary: Vocabulary
    features: dict[str, dict[str, Any]]
    files: dict[str, dict[str, str]]

    @property
    def name(self) -> str:
        s = self.settings
        return f"{s.model} of {s.dataset}, seed {s.seed}"


def load(path: str | Path) -> Trained:
    """Load a model file, or the model of the first seed of a result (JSON).

    Raises:
        UserError: `path` is neither, or the result's model file is missing or has changed.
    """
    path = Path(path)
    files.check_input(path, REMEDY)
    if path.suffix == ".json":
        path = of_result(path)
    network, metadata = models.load(path)
    try:
        settings = parse(TrainSettings, metadata["settings"])
        vocabulary = vocabularies.loads(metadata["vocabulary"])
        features = json.loads(metadata["features"])
        return Trained(
            path,
            network,
            settings,
            vocabulary,
            {stream: features[stream] for stream in settings.streams},
            json.loads(metadata.get("files", "{}")),  # missing in old models
        )
    except KeyError as error:
        raise UserError(
            f"{path} does not record how it was trained ({error} is missing); train it again with this version."
        ) from error
    except UserError as error:
        raise UserError(f"{path} was trained by another version ({error}); use that one, or train it again.") from error


def of_result(path: Path) -> Path:
    """The model file of a result's first seed, at its place relative to the result.

    Raises:
        UserError: `path` is not a result, or the model is missing or a different one.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        name, seed = result["model"], result["seeds"][0]
        model = path.parent / result["dataset"] / name / f"seed-{seed}" / "model.safetensors"
        sha256 = result["models"][name]["sha256"][str(seed)]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path} is not a result; {REMEDY}.") from error
    files.check_input(model, f"{path} needs this model; put it there, or give a model.safetensors")
    if store.file_digest(model) != sha256:
        raise UserError(f"{model} is not the model of {path}; run the workflow again, or give the model file itself.")
    return model
