"""MMSD's models as stage `efficiency` measures them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vidistill.mmsd import ask
from vidistill.mmsd import model as models
from vidistill.mmsd.ask import Answer
from vidistill.settings.localise import LocaliseSettings
from vidistill.training import efficiency
from vidistill.training.efficiency import SECONDS, Prepared


def prepare(path: Path, sentences: Sequence[str], device: torch.device) -> Prepared:
    """A model file on a device, with random features of as many snippets as its training videos have in the median.

    Args:
        sentences: are not read; a model finds the segments of all its labels at once.

    Raises:
        UserError: the file is not a model of MMSD.
    """
    model = models.load(path)
    model.network.to(device)
    snippets, random = int(model.metadata["snippets"]), np.random.default_rng(0)
    dims = zip(model.settings.streams, model.network.feature_dims, strict=True)
    features = {stream: random.standard_normal((snippets, dim), np.float32) for stream, dim in dims}
    settings = LocaliseSettings(device="auto")  # its defaults; the device is the given one

    def answer() -> Answer:
        return ask.ask(model, settings, features, {}, SECONDS, device)

    return Prepared(efficiency.parameters(model.network), 0, snippets, answer)
