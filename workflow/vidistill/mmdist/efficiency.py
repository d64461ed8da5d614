"""MMDist's models as stage `efficiency` measures them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vidistill.base.settings import parse
from vidistill.data import vocabulary as vocabularies
from vidistill.data.vocabulary import encode
from vidistill.mmdist import model as models
from vidistill.mmdist import predict, proposals
from vidistill.mmdist.batch import with_words
from vidistill.settings.mmdist import TrainSettings
from vidistill.training import efficiency
from vidistill.training.efficiency import SECONDS, Prepared
from vidistill.training.samples import Samples


def prepare(path: Path, sentences: Sequence[str], device: torch.device) -> Prepared:
    """A model file on a device, with a sentence of median length and L snippets of random features.

    Args:
        sentences: of the data set.

    Raises:
        UserError: the file is not a model of MMDist.
    """
    network, metadata = models.load(path)
    s, vocabulary = parse(TrainSettings, metadata["settings"]), vocabularies.loads(metadata["vocabulary"])
    sentence = efficiency.median_sentence(sentences, lambda text: len(encode(text, vocabulary)))
    random = torch.Generator().manual_seed(0)
    asked = Samples(
        query_ids=["query"],
        video_ids=["video"],
        splits=["test"],
        sentences=[sentence],
        durations=np.array([SECONDS]),
        video_index=torch.zeros(1, dtype=torch.long),
        features=[torch.randn(1, s.snippets, dim, generator=random) for dim in network.feature_dims],
        lengths=torch.tensor([s.snippets]),
    )
    queries = with_words(asked, vocabulary)
    network.to(device)

    def answer() -> np.ndarray:
        (part,) = predict.predict(network, queries, s.loss, seed=s.seed, score_weight=s.score_weight, device=device)
        order = part.score[0].argsort(descending=True, stable=True)
        return (proposals.moments(part.center, part.width)[0, order] * SECONDS).numpy()

    words = len(encode(sentence, vocabulary))
    return Prepared(efficiency.parameters(network, network.embedding.weight), words, s.snippets, answer)
