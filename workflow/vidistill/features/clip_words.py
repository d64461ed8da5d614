"""The text encoder of a CLIP model: a vector for each word."""

from collections.abc import Sequence

import numpy as np
import torch

from vidistill.base.progress import Pace
from vidistill.features import clip
from vidistill.settings.clip import TextEncoderSection


class TextEncoder:
    """Vectors of words.

    Args:
        settings: the model; without weights they are random, with the words still told apart.
        device: where it computes.

    Attributes:
        files: setting -> file that was read.

    Raises:
        UserError: see `clip.load`.
    """

    def __init__(self, settings: TextEncoderSection, device: torch.device):
        model = clip.load(settings)
        self._network, self._tokenise = model.network, clip.tokeniser(model, settings)
        del self._network.visual
        self._network.to(device)
        self._settings, self._device, self.files = settings, device, model.files

    @torch.inference_mode()
    def __call__(self, words: Sequence[str]) -> np.ndarray:
        """(W, E) float32 of norm 1, each word encoded on its own."""
        made, size = [], self._settings.batch
        pace = Pace("words", len(words))
        for start in range(0, len(words), size):
            texts = [self._settings.template.replace("{}", word) for word in words[start : start + size]]
            found = self._network.encode_text(self._tokenise(texts).to(self._device), normalize=True)
            made.append(found.float().cpu().numpy())
            pace.at(start + len(texts))
        return np.concatenate(made)
