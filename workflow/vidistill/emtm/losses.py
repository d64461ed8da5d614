"""The losses of EMTM, one function each, means over the batch (Liang et al., arXiv 2308.03725).

Boundaries are (B, 2, T): start and end at each snippet, whose losses are added.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from vidistill.settings.emtm import LossSettings

FLOOR = 1e-8  # of a mixture, in its logarithm


def location_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the hard labels and the masked softmax, start + end.

    Args:
        logits: (B, 2, T), -inf on padding.
        labels: (B, 2, T), sum 1.
    """
    return -(labels * _log_softmax(logits)).sum((1, 2)).mean()


def matching_loss(logits: Tensor, classes: Tensor, valid: Tensor) -> Tensor:
    """Cross-entropy of each snippet's class, a mean over the batch's valid snippets (SeqPAN).

    Args:
        logits: (B, T, 4).
        classes: (B, T).
        valid: (B, T) bool.
    """
    errors = F.cross_entropy(logits.transpose(1, 2), classes, reduction="none")
    return (errors * valid).sum() / valid.sum()


def overlap_of_labels(labels: Tensor) -> Tensor:
    """How far label embeddings (4, d) are from orthogonal: the norm of E E^T beside its diagonal (SeqPAN)."""
    products = labels @ labels.T
    others = products - torch.diag(products.diagonal())
    return (others.square().sum() + 1e-12).sqrt()


def aggregation_loss(mixture: Tensor, labels: Tensor) -> Tensor:
    """KAU: cross-entropy of the hard labels and the teachers' mixture, start + end; (B, 2, T) each."""
    return -(labels * (mixture + FLOOR).log()).sum((1, 2)).mean()


def released_aggregation_loss(mixture: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """The released KAU loss: the mixture counts as logits, though it is a distribution; `valid` (B, T) bool."""
    return location_loss(mixture.masked_fill(~valid.unsqueeze(1), -torch.inf), labels)


def distillation_loss(logits: Tensor, mixture: Tensor, temperature: float) -> Tensor:
    """KL(t || p), start + end, on valid snippets, of t ~ P~^(1/T) and p = softmax(logits / T).

    Args:
        logits: (B, 2, T) of the student, -inf on padding.
        mixture: (B, 2, T) of the teachers, 0 on padding.
    """
    # Below every number that counts, where a root's gradient would be infinite.
    tiny = torch.finfo(mixture.dtype).tiny
    theirs = (mixture.clamp(min=tiny).log() / temperature).masked_fill(logits.isneginf(), -torch.inf)
    return _divergence(_log_softmax(theirs), _log_softmax(logits / temperature))


def released_distillation_loss(logits: Tensor, mixture: Tensor, temperature: float, valid: Tensor) -> Tensor:
    """The released distillation loss: both sides scaled to norm 1, a softmax with T, and a second softmax.

    Padding takes part, at 0; `valid` is (B, T) bool.
    """
    ours = logits.masked_fill(~valid.unsqueeze(1), 0)
    twice = [(F.normalize(x, dim=-1) / temperature).softmax(-1).log_softmax(-1) for x in (mixture, ours)]
    return _divergence(*twice)


def total(terms: dict[str, Tensor], s: LossSettings) -> Tensor:
    """L = loc + match (student) + loc + match (isomorphic teacher) + KAU + 0.1 KD, of the terms that there are."""
    weights = {
        "location": s.location,
        "matching": s.matching,
        "isomorphic_location": s.isomorphic * s.location,
        "isomorphic_matching": s.isomorphic * s.matching,
        "aggregation": s.aggregation,
        "distillation": s.distillation,
    }
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()


def _log_softmax(logits: Tensor) -> Tensor:
    """Logarithm of the softmax over the last axis, 0 where the logits are -inf."""
    return logits.log_softmax(-1).masked_fill(logits.isneginf(), 0)


def _divergence(theirs: Tensor, ours: Tensor) -> Tensor:
    """KL of log-probabilities (B, 2, T), 0 on padding."""
    return (theirs.exp() * (theirs - ours)).sum((1, 2)).mean()
