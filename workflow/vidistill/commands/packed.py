"""A packed model: one folder with the model, its result, settings, the recipe of its features, and a card."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from vidistill.base import store
from vidistill.base.stage import UserError

MODEL, RESULT, SETTINGS, FEATURES, CARD = (
    "model.safetensors",
    "result.json",
    "settings.json",
    "features.json",
    "README.md",  # as model hubs name a card
)
FILES = (MODEL, RESULT, SETTINGS, FEATURES, CARD)


class About(NamedTuple):
    """What a packed model says about itself.

    Attributes:
        result: the content of its result.
        metadata: the texts stored with the model.
        sha256: of the model file.
    """

    result: dict[str, Any]
    metadata: dict[str, str]
    sha256: str

    @property
    def name(self) -> str:
        return str(self.result["model"])

    @property
    def seed(self) -> int:
        """The seed of the result whose model this is.

        Raises:
            UserError: there is none.
        """
        digests = self.result["models"][self.name]["sha256"]
        for seed, sha256 in digests.items():
            if sha256 == self.sha256:
                return int(seed)
        raise UserError(f"{MODEL} is not the model of {RESULT}; pack the model again.")


def model_of(folder: Path) -> Path:
    """The model file of a packed model.

    Raises:
        UserError: the folder is not one, or its files do not belong together.
    """
    if not all((folder / name).is_file() for name in (MODEL, RESULT)):
        raise UserError(
            f"{folder} is not a packed model (it lacks {MODEL} or {RESULT}); give a folder that `vidistill pack` "
            f"wrote, or the {MODEL} itself."
        )
    try:
        _ = read(folder).seed
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    return folder / MODEL


def read(folder: Path) -> About:
    """Read a packed model's result and metadata.

    Raises:
        UserError: they cannot be read.
    """
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        _ = result["models"][result["model"]]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / RESULT} is not a result ({error!r}); pack the model again.") from error
    return About(result, store.read_model_metadata(folder / MODEL), store.file_digest(folder / MODEL))


def recipe(metadata: dict[str, str]) -> dict[str, Any]:
    """How a model's features and word vectors were made, and names and digests of the files that this needs."""
    features, files = json.loads(metadata["features"]), json.loads(metadata.get("files", "{}"))
    streams = json.loads(metadata["settings"])["streams"]
    found: dict[str, Any] = {
        "streams": {
            stream: {
                "provenance": features[stream],
                "files": _needed(features[stream], files.get(stream, {})),
            }
            for stream in streams
        }
    }
    vocabulary = json.loads(metadata.get("vocabulary", "{}"))
    if encoder := vocabulary.get("provenance", {}).get("text_encoder"):
        found["words"] = {
            "provenance": encoder["provenance"],
            "files": _needed(encoder["provenance"], encoder["files"]),
        }
    return found


def _needed(provenance: dict[str, Any], paths: dict[str, str]) -> dict[str, dict[str, str]]:
    """Setting -> name and SHA-256 of its file; the folders that it lay in are nobody else's business."""
    return {
        setting: {"name": Path(paths.get(setting, setting)).name, "sha256": sha256}
        for key, sha256 in sorted(provenance.items())
        if (setting := key.removesuffix("_sha256")) != key and sha256
    }
