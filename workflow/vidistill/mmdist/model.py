"""A model as one file: weights as safetensors, and the settings that build it in the file's metadata."""

import dataclasses
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.mmdist.network import Network, NetworkSettings
from vidistill.mmdist.teacher import Teacher


def build(
    settings: NetworkSettings, feature_dims: list[int], word_vectors: Tensor, *, learned_words: bool, local: bool
) -> Network:
    """The network of a model: `single` for baseline and student, `multimodal` for the teacher."""
    kind = {"single": Network, "multimodal": Teacher}[settings.kind]
    return kind(settings, feature_dims, word_vectors, learned_words=learned_words, local=local)


def save(path: Path, network: Network, **metadata: str) -> None:
    """Write the network; `metadata` are texts that travel with it."""
    about = {
        "network": json.dumps(dataclasses.asdict(network.settings), sort_keys=True),
        "shape": json.dumps({"feature_dims": network.feature_dims, "local": network.has_local_branch}),
        **metadata,
    }
    tensors = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
    with store.atomic(path) as temporary:
        # One entry: safetensors writes several in random order, and equal models would differ in their bytes.
        save_file(tensors, temporary, {store.MODEL_KEY: json.dumps(about, sort_keys=True)})


def load(path: Path) -> tuple[Network, dict[str, str]]:
    """The network in evaluation mode, and the file's metadata.

    Raises:
        UserError: the file is no model of this project.
    """
    metadata = store.read_model_metadata(path)
    try:
        tensors = load_file(path)
        shape = json.loads(metadata["shape"])
        network = build(
            settings_module.parse(NetworkSettings, metadata["network"]),
            shape["feature_dims"],
            torch.zeros_like(tensors["embedding.weight"]),
            learned_words=False,
            local=shape["local"],
        )
        network.load_state_dict(tensors)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise UserError(f"{path} is no model that this version can read ({error}); train it again.") from error
    return network.eval(), metadata
