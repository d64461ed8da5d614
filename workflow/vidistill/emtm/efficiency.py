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
from vidistill.training import efficiency
from vidistill.training.efficiency import SECONDS, Prepared
from vidistill.training.samples import Samples


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
    asked = Samples(
        query_ids=["query"],
        video_ids=["video"],
        splits=["test"],
        sentences=[sentence],
        durations=np.array([SECONDS]),
        video_index=torch.zeros(1, dtype=torch.long),
        features=[torch.randn(1, s.length, dim, generator=torch.Generator().manual_seed(0))],
        lengths=torch.tensor([s.length]),
    )
    vocabulary, characters = vocabularies.loads(metadata["vocabulary"]), json.loads(metadata["characters"])
    queries = with_words(asked, vocabulary, characters, s)
    network.to(device)
    table = network.words if isinstance(network, Map2D) else network.shared.query.words

    def answer() -> np.ndarray:
        (part,) = predict.predict(network, queries, device=device)
        return (part.moments[0] * SECONDS).numpy()

    return Prepared(efficiency.parameters(network, table), words(sentence), s.length, answer)
