"""Vectors of words by a text encoder, in a file, and how they become those that models are trained on.

Vectors of a text encoder point in nearly the same direction. Less their mean, they tell words apart.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data.glove import INITIAL_STD


class Encoded(NamedTuple):
    """Words of a data set as a text encoder gives them.

    Attributes:
        vectors: word -> (E,) float32.
        provenance: of the vectors.
        files: setting -> path of the encoder's file.
    """

    vectors: dict[str, np.ndarray]
    provenance: dict[str, Any]
    files: dict[str, str]


class Centring(NamedTuple):
    """The map from a text encoder's vectors to those that models are trained on."""

    mean: np.ndarray  # (E,)
    scale: float

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """(..., E) -> (..., E), float32."""
        return ((vectors - self.mean) * self.scale).astype(np.float32)


def centring(vectors: np.ndarray) -> Centring:
    """The one that gives (V, E) vectors mean 0 and, over all numbers, the standard deviation of GloVe's."""
    mean = vectors.mean(0, dtype=np.float64)
    return Centring(mean, INITIAL_STD / max(float((vectors - mean).std()), 1e-12))


def write(
    path: Path, words: Sequence[str], vectors: np.ndarray, provenance: Mapping[str, Any], files: Mapping[str, str]
) -> None:
    """Write the words' vectors (W, E) float32."""
    about = {"words": list(words), "provenance": dict(provenance), "files": dict(files)}
    with store.atomic(path) as temporary:
        save_file({"vectors": vectors}, temporary, {"encoded_words": json.dumps(about, sort_keys=True)})


def read(path: str | Path) -> Encoded:
    """Read what `write` wrote.

    Raises:
        UserError: the file is missing or another.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads(file.metadata()["encoded_words"])
            rows = file.get_tensor("vectors")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} holds no encoded words of this workflow ({error!r}); make it again.") from None
    return Encoded(dict(zip(about["words"], rows, strict=True)), about["provenance"], about["files"])
