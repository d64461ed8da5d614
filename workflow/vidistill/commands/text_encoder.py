"""Vectors of words that a model does not know, by the text encoder that its own word vectors are from."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.commands import recipe
from vidistill.commands.trained import Trained
from vidistill.commands.words import Vectors
from vidistill.data.encoded_words import Centring
from vidistill.features import tracked
from vidistill.features.clip_words import TextEncoder
from vidistill.settings.clip import TextEncoderSettings

log = logging.getLogger(__name__)


def of_model(trained: Trained, given: Sequence[str | Path], device: torch.device) -> Vectors | None:
    """The vectors of any words in the space of a model's own; None if they are from no text encoder.

    The encoder is loaded for the first word that the model does not know. Where it cannot be, a warning says so and
    such words have no vector.

    Args:
        given: files that may be the encoder's, matched by content.
    """
    about = trained.vocabulary.encoder
    if about is None:
        return None
    known = dict(zip(trained.vocabulary.words, trained.word_vectors, strict=True))
    centred = Centring(np.array(about["mean"]), about["scale"])
    encoders: list[TextEncoder | None] = []

    def vectors(words: Sequence[str]) -> dict[str, np.ndarray]:
        new = [word for word in words if word not in known]
        if new and not encoders:
            encoders.append(_loaded(trained, given, device))
        encoder = encoders[0] if encoders else None
        found = dict(zip(new, centred(encoder(new)), strict=True)) if new and encoder else {}
        return {word: known[word] for word in words if word in known} | found

    return vectors


def _loaded(trained: Trained, given: Sequence[str | Path], device: torch.device) -> TextEncoder | None:
    about = trained.vocabulary.encoder
    assert about is not None
    provenance = about["provenance"]
    try:
        files = {
            name: _found(name, provenance[f"{name}_sha256"], about["files"].get(name), given)
            for name in tracked.FILES
            if f"{name}_sha256" in provenance
        }
        content = {**provenance["settings"], **files, "device": device.type, "threads": torch.get_num_threads()}
        return TextEncoder(settings_module.parse(TextEncoderSettings, json.dumps(content)), device)
    except UserError as error:
        log.warning("words that the model does not know are left out, without its text encoder: %s", error)
        return None


def _found(name: str, sha256: str, recorded: str | None, given: Sequence[str | Path]) -> str:
    # Of the files that are given, others may belong to the extractors of features.
    fitting = [path for path in given if Path(path).is_file() and store.file_digest(path) == sha256]
    return recipe.located(f"`{name}` of the model's text encoder", sha256, recorded, fitting)
