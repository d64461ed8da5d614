"""Model files: weights as safetensors, and texts in the file's metadata."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vidistill.base import store
from vidistill.base.stage import UserError


def save(path: Path, network: nn.Module, metadata: dict[str, str]) -> None:
    """Write a network's weights; `metadata` are texts stored with them."""
    tensors = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
    with store.atomic(path) as temporary:
        # A single entry: safetensors writes several in random order, so that equal models would differ in bytes.
        save_file(tensors, temporary, {store.MODEL_KEY: json.dumps(metadata, sort_keys=True)})


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights by name, and the file's metadata.

    Raises:
        UserError: the file is not a model of this project.
    """
    metadata = store.read_model_metadata(path)
    return load_file(path), metadata


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one sentence that the content of `path` does not fit the network that is made of it."""
    try:
        yield
    except (SafetensorError, KeyError, RuntimeError, TypeError) as error:
        raise UserError(
            f"{path} is not a model that this command can read ({error}); name another one, or train it again."
        ) from error
