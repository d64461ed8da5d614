"""EMTM's models as stage `efficiency` measures them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vidistill.base.settings import parse
from vidistill.data import vocabulary as vocabularies
from vidistill.data.text import tokenise
from vidistill.emtm import model as models
from vidistill.emtm import predict
from vidistill.emtm.batch import with_words
from vidistill.emtm.map2d import Map2D
from vidistill.settings.emtm import TrainSettings
from vidistill.training import efficiency, samples
from vidistill.training.efficiency import SECONDS, Prepared


def prepare(path: Path, sentences: Sequence[str], device: torch.device) -> Prepared:
    """A model file on a device, with a sentence of median length and as many snippets of random features as it reads.

    Args:
        sentences: of the data set.

    Raises:
        UserError: the file is not a model of EMTM.
    """
    network, metadata = models.load(path)
    s, dim = parse(TrainSettings, metadata["settings"]), json.loads(metadata["shape"])["feature_dim"]

    def words(sentence: str) -> int:
        return min(len(tokenise(sentence)), s.words)

    sentence = efficiency.median_sentence(sentences, words)
    features = [torch.randn(1, s.length, dim, generator=torch.Generator().manual_seed(0))]
    asked = samples.of_sentences(features, [sentence])
    vocabulary, characters = vocabularies.loads(metadata["vocabulary"]), json.loads(metadata["characters"])
    queries = with_words(asked, vocabulary, characters, s)
    network.to(device)
    table = network.words if isinstance(network, Map2D) else network.shared.query.words

    @torch.no_grad()
    def answer() -> np.ndarray:
        moments, _, _ = predict.answer(network, queries.batch(np.zeros(1, dtype=np.int64), device))
        return (moments[0].cpu() * SECONDS).numpy()

    return Prepared(efficiency.parameters(network, table), words(sentence), s.length, answer)
