"""MMDist's models as stage `efficiency` measures them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vidistill.base.settings import parse
from vidistill.data import vocabulary as vocabularies
from vidistill.data.vocabulary import encode
from vidistill.mmdist import masking, predict, proposals
from vidistill.mmdist import model as models
from vidistill.mmdist.batch import with_words
from vidistill.settings.mmdist import TrainSettings
from vidistill.training import efficiency, samples
from vidistill.training.efficiency import SECONDS, Prepared


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
    features = [torch.randn(1, s.snippets, dim, generator=random) for dim in network.feature_dims]
    queries = with_words(samples.of_sentences(features, [sentence]), vocabulary)
    network.to(device)

    @torch.no_grad()
    def answer() -> np.ndarray:
        masked = masking.draws(queries.keys, queries.weights, s.seed, s.masks)
        asked = queries.batch(np.zeros(1, dtype=np.int64), masked, device)
        center, width, _, score, _ = predict.infer(network, asked, s.loss, s.score_weight)
        order = score[0].argsort(descending=True, stable=True)
        return (proposals.moments(center, width)[0, order].cpu() * SECONDS).numpy()

    words = len(encode(sentence, vocabulary))
    return Prepared(efficiency.parameters(network, network.embedding.weight), words, s.snippets, answer)
