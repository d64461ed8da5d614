"""Build MMSD's models from settings and from model files."""

import json
from pathlib import Path
from typing import NamedTuple

from vidistill.base import settings as settings_module
from vidistill.mmsd.network import Network
from vidistill.settings.mmsd import TrainSettings
from vidistill.training import model_file


class Model(NamedTuple):
    """A model file.

    Attributes:
        network: in evaluation mode.
        classes: (C,) names.
        metadata: the file's texts.
    """

    network: Network
    classes: tuple[str, ...]
    settings: TrainSettings
    metadata: dict[str, str]


def save(path: Path, network: Network, classes: tuple[str, ...], settings: TrainSettings, **metadata: str) -> None:
    """Write the network; `metadata` are further texts in the file."""
    about = {
        "method": "mmsd",
        "settings": json.dumps(settings.model_dump(), sort_keys=True),
        "shape": json.dumps({"feature_dims": network.feature_dims}),
        "classes": json.dumps(classes),
        **metadata,
    }
    model_file.save(path, network, about)


def load(path: Path) -> Model:
    """Read a model file.

    Raises:
        UserError: it is not a model of MMSD that this version can read.
    """
    with model_file.reading(path):
        tensors, metadata = model_file.load(path)
        settings = settings_module.parse(TrainSettings, metadata["settings"])
        classes = tuple(json.loads(metadata["classes"]))
        network = Network(
            settings.network,
            settings.streams,
            json.loads(metadata["shape"])["feature_dims"],
            len(classes),
        )
        network.load_state_dict(tensors)
    return Model(network.eval(), classes, settings, metadata)
