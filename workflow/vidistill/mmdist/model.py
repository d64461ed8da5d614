"""Build MMDist's models from settings and from model files."""

import json
from pathlib import Path

import torch
from torch import Tensor

from vidistill.base import settings as settings_module
from vidistill.mmdist.network import Network
from vidistill.mmdist.teacher import Teacher
from vidistill.settings.mmdist import NetworkSettings
from vidistill.training import model_file


def build(
    settings: NetworkSettings, feature_dims: list[int], word_vectors: Tensor, *, learned_words: bool, local: bool
) -> Network:
    """The network of a model: `single` for baseline and student, `multimodal` for the teacher."""
    kind = {"single": Network, "multimodal": Teacher}[settings.kind]
    return kind(settings, feature_dims, word_vectors, learned_words=learned_words, local=local)


def save(path: Path, network: Network, **metadata: str) -> None:
    """Write the network; `metadata` are further texts in the file."""
    about = {
        "network": json.dumps(network.settings.model_dump(), sort_keys=True),
        "shape": json.dumps({"feature_dims": network.feature_dims, "local": network.has_local_branch}),
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
        shape = json.loads(metadata["shape"])
        network = build(
            settings_module.parse(NetworkSettings, metadata["network"]),
            shape["feature_dims"],
            torch.zeros_like(tensors["embedding.weight"]),
            learned_words=False,
            local=shape["local"],
        )
        network.load_state_dict(tensors)
    return network.eval(), metadata
