"""Build EMTM's models from settings and from model files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vidistill.base import settings as settings_module
from vidistill.emtm.map2d import Map2D
from vidistill.emtm.span import SpanNetwork
from vidistill.settings.emtm import TrainSettings
from vidistill.training import model_file

Network = SpanNetwork | Map2D


class Shape(NamedTuple):
    """What a network's size depends on besides its settings and characters."""

    feature_dim: int  # of all streams together
    words: int  # V + 1, with padding
    word_dim: int


def build(
    settings: TrainSettings,
    feature_dim: int,
    word_vectors: Tensor,
    *,
    learned_words: bool,
    characters: Sequence[str],
) -> Network:
    """The network of a model.

    Args:
        word_vectors: (V + 1, E), row 0 for padding.
        learned_words: train the word vectors, too.
        characters: that are known.
    """
    s = settings
    if s.network == "map2d":
        return Map2D(s.map2d, feature_dim, word_vectors, learned_words)
    return SpanNetwork(
        s.span,
        feature_dim,
        s.snippets,
        word_vectors,
        learned_words=learned_words,
        characters=len(characters) + 1,
        dual=s.network == "seqpan",
    )


def save(
    path: Path, network: Network, settings: TrainSettings, *, shape: Shape, characters: Sequence[str], **metadata: str
) -> None:
    """Write the network that predicts; `metadata` are further texts in the file."""
    about = {
        "method": "emtm",
        "settings": json.dumps(settings.model_dump(), sort_keys=True),
        "shape": json.dumps(shape._asdict()),
        "characters": json.dumps(characters),
        **metadata,
    }
    model_file.save(path, network, about)


def load(path: Path) -> tuple[Network, dict[str, str]]:
    """The network in evaluation mode, and the file's metadata.

    Raises:
        UserError: the file is not a model of this project.
    """
    with model_file.reading(path):
        tensors, metadata = model_file.load(path)
        shape = Shape(**json.loads(metadata["shape"]))
        network = build(
            settings_module.parse(TrainSettings, metadata["settings"]),
            shape.feature_dim,
            torch.zeros(shape.words, shape.word_dim),
            learned_words=False,
            characters=json.loads(metadata["characters"]),
        )
        network.load_state_dict(tensors)
    return network.eval(), metadata
