"""Trained models as modules of tensors alone, for `vidistill onnx`."""

import json
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vidistill.base import store
from vidistill.commands.trained import EMTMModel, MMDistModel, Trained
from vidistill.emtm import predict as emtm_predict
from vidistill.emtm.batch import Batch as EMTMBatch
from vidistill.emtm.characters import LENGTH
from vidistill.emtm.map2d import Map2D
from vidistill.mmdist import predict, proposals
from vidistill.mmdist.batch import Batch


class Exportable(NamedTuple):
    """A module, examples of its inputs by name (batches of 2), the names of its outputs, and texts for the file."""

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: list[str]
    metadata: dict[str, str]


class Grounding(nn.Module):
    """A model of MMDist."""

    def __init__(self, model: MMDistModel):
        super().__init__()
        self.network, self._settings = model.network, model.settings

    def forward(self, features: Tensor, tokens: Tensor, masked_words: Tensor) -> tuple[Tensor, ...]:
        """Proposals of a batch of sentences.

        Args:
            features: (B, L, D), resampled to the model's L snippets; streams are concatenated.
            tokens: (B, W) ids of known words, 0 for padding.
            masked_words: (B, M, W) bool, the words masked for scoring in each of the M draws of `mmdist.masks`.

        Returns:
            Starts and ends (B, K, 2), from 0 to 1; scores and reconstruction errors (B, K); with a local branch, the
            semantic activation map (B, L).
        """
        streams = list(features.split(self.network.feature_dims, dim=-1))
        batch = Batch(streams, torch.arange(tokens.shape[0]), tokens, masked_words)
        s = self._settings
        center, width, errors, scores, maps = predict.infer(self.network, batch, s.loss, s.score_weight)
        fused = predict.fuse(maps)
        return (proposals.moments(center, width), scores, errors, *([] if fused is None else [fused]))


class SpanGrounding(nn.Module):
    """A student of EMTM, or SeqPAN."""

    def __init__(self, model: EMTMModel):
        super().__init__()
        self.network = model.network

    def forward(self, features: Tensor, snippets: Tensor, tokens: Tensor, spelling: Tensor) -> tuple[Tensor, Tensor]:
        """The five best moments of a batch of sentences.

        Args:
            features: (B, L, D), at most L snippets per video, zero-padded; streams are concatenated.
            snippets: (B, L) bool, which of them the video has.
            tokens: (B, W) ids of words, V + 1 for those that are not among the V known ones, 0 for padding.
            spelling: (B, W, 16) ids of their characters, see `emtm.characters.spell`.

        Returns:
            Starts and ends (B, 5, 2), from 0 to 1, best first, and scores (B, 5).
        """
        moments, scores, _ = emtm_predict.answer(self.network, EMTMBatch(features, snippets, tokens, spelling))
        return moments, scores


class MapGrounding(nn.Module):
    """The teacher map2d of EMTM."""

    def __init__(self, model: EMTMModel):
        super().__init__()
        self.network = model.network

    def forward(self, features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """As `SpanGrounding`; features (B, R, D) are of all R rows."""
        unread = EMTMBatch(features, tokens.new_ones(features.shape[:2]), tokens, tokens)
        moments, scores, _ = emtm_predict.answer(self.network, unread)
        return moments, scores


def of(model: Trained) -> Exportable:
    """A model as a module. Sentences are padded to the longest that it reads."""
    about = {
        "model": model.name,
        "sha256": store.file_digest(model.path),
        "vocabulary": json.dumps(model.vocabulary.words),
        "features": json.dumps(model.features, sort_keys=True),
    }
    if isinstance(model, EMTMModel):
        return _of_emtm(model, about)
    assert isinstance(model, MMDistModel)
    s = model.settings
    tokens = _tokens(model.vocabulary.max_words)
    inputs = {"features": torch.zeros(2, s.snippets, sum(model.network.feature_dims)), "tokens": tokens}
    outputs = ["moments", "scores", "reconstruction_errors"]
    about |= {"word_weights": json.dumps(model.vocabulary.weights), "seed": str(s.seed)}
    return Exportable(
        Grounding(model).eval(),
        {**inputs, "masked_words": (tokens > 0).unsqueeze(1).expand(-1, s.masks, -1).clone()},
        [*outputs, "activation_map"] if model.network.has_local_branch else outputs,
        {**about, "snippets": str(s.snippets), "normalise": s.normalise},
    )


def _of_emtm(model: EMTMModel, about: dict[str, str]) -> Exportable:
    s, network, tokens = model.settings, model.network, _tokens(model.settings.words)
    about = {**about, "snippets": str(s.length), "normalise": s.scaling}
    if isinstance(network, Map2D):
        inputs = {"features": torch.zeros(2, s.length, network.clip_projection.in_features), "tokens": tokens}
        return Exportable(MapGrounding(model).eval(), inputs, ["moments", "scores"], about)
    features = torch.zeros(2, s.length, network.shared.video.projection.in_features)
    inputs = {"features": features, "snippets": torch.ones(2, s.length, dtype=torch.bool), "tokens": tokens}
    inputs["spelling"] = tokens.unsqueeze(-1).expand(-1, -1, LENGTH).clone()
    about["characters"] = json.dumps(model.characters)
    return Exportable(SpanGrounding(model).eval(), inputs, ["moments", "scores"], about)


def _tokens(words: int) -> Tensor:
    """Two sentences of three words."""
    tokens = torch.zeros(2, words, dtype=torch.long)
    tokens[:, :3] = 1
    return tokens
