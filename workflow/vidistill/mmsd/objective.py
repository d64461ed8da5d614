"""The loss of a batch: a sum over its videos, L = L_cls + 0.1 L_att + 0.1 L_mkd + 2 L_pdl each."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vidistill.mmsd import losses
from vidistill.mmsd.network import Network, Video
from vidistill.mmsd.videos import Batch
from vidistill.settings.mmsd import TrainSettings


class PseudoLabels(NamedTuple):
    """A video's pseudo labels: of its own streams (M, T), which vote in each step, or a teacher's, which did vote."""

    values: Tensor  # (M, T), or (1, T)
    mask: Tensor | None = None  # (1, T) of a teacher's

    def to(self, device: torch.device) -> "PseudoLabels":
        return PseudoLabels(self.values.to(device), None if self.mask is None else self.mask.to(device))


class Objective:
    """The loss of a batch and its terms, for the model that the settings describe."""

    def __init__(self, network: Network, settings: TrainSettings):
        self.network, self.loss, self.pseudo_labels = network, settings.loss, settings.pseudo_labels
        self.mutual = len(network.heads) > 1 and self.loss.distillation_weight > 0

    def __call__(self, batch: Batch, pseudo_labels: Sequence[PseudoLabels] | None) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the videos' losses, which the gradient is of, and the mean over videos of loss and terms.

        Args:
            pseudo_labels: of each video; None before the first round.
        """
        outputs = self.network(batch.features, batch.lengths)
        known = [None] * len(outputs) if pseudo_labels is None else pseudo_labels
        each = [self._video(*of_one) for of_one in zip(outputs, batch.labels, known, strict=True)]
        terms = {name: torch.stack([terms[name] for terms in each]) for name in each[0]}
        weights = {
            "classification": 1.0,
            "attention": self.loss.attention_weight,
            "distillation": self.loss.distillation_weight,
            "pseudo_label": self.loss.pseudo_label_weight,
        }
        total = torch.stack([weights[name] * values for name, values in terms.items()]).sum(0)
        means = {name: values.detach().mean() for name, values in {"loss": total, **terms}.items()}
        return total.sum(), means

    def _video(self, video: Video, labels: Tensor, pseudo_labels: PseudoLabels | None) -> dict[str, Tensor]:
        """The terms of one video, each a sum over its streams."""
        loss = self.loss
        classification = losses.classification_loss(video.attended, video.mil, labels, loss.mil_weight)
        attention = losses.attention_loss(video.scores.sigmoid(), labels, loss.top_divisor)
        terms = {"classification": classification.sum(), "attention": attention.sum()}
        if self.mutual:
            terms["distillation"] = losses.mutual_loss(video.scores, loss.temperature).sum()
        if pseudo_labels is not None:
            terms["pseudo_label"] = self._pseudo_label(video, labels, pseudo_labels).sum()
        return terms

    def _pseudo_label(self, video: Video, labels: Tensor, pseudo_labels: PseudoLabels) -> Tensor:
        """L_pdl (M,)."""
        s = self.pseudo_labels
        if pseudo_labels.mask is not None:
            return losses.voted_loss(video.attention, pseudo_labels.values, pseudo_labels.mask)
        return losses.pseudo_label_loss(
            video.attention,
            pseudo_labels.values,
            video.scores,
            labels,
            reliable=s.reliable,
            margin=s.margin if s.voting else math.inf,
        )
