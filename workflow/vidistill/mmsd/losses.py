"""The losses of one video, each of M streams at once; labels are (C,) bool, the last class of C+1 is the background."""

import torch
from torch import Tensor

from vidistill.training.voting import vote


def classification_loss(attended: Tensor, mil: Tensor, labels: Tensor, mil_weight: float) -> Tensor:
    """L_cls (M,): cross-entropy of the attention branch with [y, 0], and of the MIL branch with [y, 1].

    Args:
        attended, mil: (M, C+1) logits.
    """
    y = labels.to(attended.dtype)
    without, background = (torch.cat([y, y.new_full((1,), x)]) for x in (0.0, 1.0))

    def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
        return -(logits.log_softmax(-1) * (target / target.sum())).sum(-1)

    return cross_entropy(attended, without) + mil_weight * cross_entropy(mil, background)


def attention_loss(gates: Tensor, labels: Tensor, divisor: int) -> Tensor:
    """L_att (M,): the mean of the k lowest less that of the k highest gates of labelled classes and background, and
    less the mean difference of the highest labelled class and the background; k = max(T // divisor, 1).

    Args:
        gates: (M, T, C+1) g = sigmoid(a).
    """
    present = torch.cat([labels, labels.new_ones(1)])
    k = max(gates.shape[1] // divisor, 1)
    gates = gates[..., present]
    contrast = (gates.topk(k, 1, largest=False).values - gates.topk(k, 1).values).mean(1).sum(-1)
    separation = (gates[..., :-1].amax(-1) - gates[..., -1]).abs().mean(1)
    return contrast - separation


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KD(s <- t) (M,): cross-entropy of softened scores (M, T, C+1), mean over snippets; no gradient to the teacher."""
    target = (teacher.detach() / temperature).softmax(-1)
    return -(target * (student / temperature).log_softmax(-1)).sum(-1).mean(-1)


def mutual_loss(scores: Tensor, temperature: float) -> Tensor:
    """L_mkd (3,): two single-modal streams (first) teach each other, and their mean score teaches the fused stream."""
    one, other, _ = scores
    return distillation_loss(scores, torch.stack([other, one, (one + other) / 2]), temperature)


def confidence(scores: Tensor, labels: Tensor) -> Tensor:
    """q (M, T): |sum of the labelled classes' softmax less the background's| of scores (M, T, C+1)."""
    p = scores.softmax(-1)
    return (p[..., :-1][..., labels].sum(-1) - p[..., -1]).abs()


def voted_loss(attention: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """L_pdl (M,): mean of (A - target)^2 over snippets with a mask, 0 without any.

    Args:
        attention: (M, T).
        target, mask: (M, T), or (1, T) for all streams.
    """
    return ((attention - target) ** 2 * mask).sum(1) / mask.sum(1).clamp(min=1)


def pseudo_label_loss(
    attention: Tensor, pseudo_labels: Tensor, scores: Tensor, labels: Tensor, *, reliable: float, margin: float
) -> Tensor:
    """L_pdl (M,) with self-voting: targets by the confidence of these scores, without gradient.

    Args:
        attention, pseudo_labels: (M, T).
        margin: infinite for each stream's own labels.
    """
    target, mask = vote(pseudo_labels, confidence(scores.detach(), labels), reliable=reliable, margin=margin)
    return voted_loss(attention, target, mask)
