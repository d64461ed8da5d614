"""The losses of MMDist, one function each; equation numbers are the paper's (Bao et al., AAAI 2024)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vidistill.settings.mmdist import LossSettings


def reconstruction_error(logits: Tensor, tokens: Tensor, label_smoothing: float) -> Tensor:
    """r: mean over the sentence's words of the label-smoothed cross-entropy.

    Args:
        logits: (B, R, W, V+1).
        tokens: (B, W) ids, 0 for padding, which does not count.

    Returns:
        (B, R), in nats.
    """
    log_probabilities = logits.float().log_softmax(-1)
    targets = tokens.unsqueeze(1).unsqueeze(-1).expand(*logits.shape[:3], 1)
    nll = -log_probabilities.gather(-1, targets).squeeze(-1)
    errors = (1 - label_smoothing) * nll - label_smoothing * log_probabilities.mean(-1)
    valid = (tokens > 0).unsqueeze(1)
    return (errors * valid).sum(-1) / valid.sum(-1).clamp(min=1)


def reconstruction_loss(chosen: Tensor, full: Tensor, form: str) -> Tensor:
    """Eq. 1: the error of the chosen proposal with that of the whole video, (B,) each -> (B,)."""
    return (chosen + full) / 2 if form == "mean" else chosen + full


def ranking_loss(
    chosen: Tensor, full: Tensor, left: Tensor, right: Tensor, margin_full: float, margin: float
) -> Tensor:
    """Eq. 2: the chosen proposal explains the sentence better than the whole video and both negatives; (B,)."""
    return F.relu(chosen - full + margin_full) + F.relu(chosen - left + margin) + F.relu(chosen - right + margin)


def diversity_loss(masks: Tensor, diversity_lambda: float) -> Tensor:
    """CPL's diversity: || lambda I - G G^T ||_F^2 of masks (B, K, P), rows normalised to sum 1 -> (B,)."""
    g = masks / masks.sum(-1, keepdim=True)
    gram = g @ g.transpose(1, 2)
    return (diversity_lambda * torch.eye(g.shape[1], device=g.device) - gram).square().sum((1, 2))


def global_loss(reconstruction: Tensor, ranking: Tensor, diversity: Tensor, s: LossSettings) -> Tensor:
    """Eq. 3: reconstruction + ranking, with CPL's weights and diversity unless `global_terms` is `paper`; (B,)."""
    if s.global_terms == "paper":
        return reconstruction + ranking
    return reconstruction + s.ranking_weight * ranking + s.diversity_weight * diversity


def similarity(maps: Tensor, top_share: float) -> Tensor:
    """Eq. 5: l = mean of the top L/4 values of each map; (..., L) -> (...)."""
    return maps.topk(max(int(maps.shape[-1] * top_share), 1), dim=-1).values.mean(-1)


def same_pairs(video_index: Tensor, tokens: Tensor) -> Tensor:
    """(B, B) bool: pairs i != j with the same video or the same token sequence, which are not negatives."""
    same = (video_index.unsqueeze(1) == video_index) | (tokens.unsqueeze(1) == tokens).all(-1)
    return same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)


def pairing(similarities: Tensor, excluded: Tensor, temperature: float) -> Tensor:
    """Eq. 6: log-probability that sentence j belongs to video i, among all sentences of the batch.

    Args:
        similarities: (B, B), video i with sentence j.
        excluded: (B, B) bool, pairs left out of the denominator.

    Returns:
        (B, B), -inf for excluded pairs.
    """
    return (similarities / temperature).masked_fill(excluded, -torch.inf).log_softmax(1)


def local_loss(similarities: Tensor, excluded: Tensor, temperature: float, symmetric: bool) -> Tensor:
    """Eq. 7: InfoNCE of each video with its sentence, or the mean of both directions; (B, B) as `pairing` -> (B,)."""
    loss = -pairing(similarities, excluded, temperature).diagonal()
    if symmetric:
        loss = (loss - pairing(similarities.T, excluded.T, temperature).diagonal()) / 2
    return loss


def baseline_loss(global_loss: Tensor, local_loss: Tensor, alpha: float) -> Tensor:
    """Eq. 8: L^B = L_global + alpha L_local, (B,) each -> (B,)."""
    return global_loss + alpha * local_loss


def map_difference(student: Tensor, target: Tensor, form: str, mask: Tensor | None = None) -> Tensor:
    """phi of Eq. 11 and 13: mean absolute (or square) difference of maps (B, L); no gradient into `target` -> (B,).

    Args:
        mask: (B, L), the snippets that count; 0 for a map without any. None for all.
    """
    difference = student - target.detach()
    difference = difference.abs() if form == "absolute" else difference.square()
    return difference.mean(-1) if mask is None else (difference * mask).sum(-1) / mask.sum(-1).clamp(min=1)


def distillation_loss(global_loss: Tensor, map_difference: Tensor, alpha: float) -> Tensor:
    """Eq. 11: what the teacher adds, L_global of its proposal k^T + alpha phi(m^S, m^T); (B,) each -> (B,)."""
    return global_loss + alpha * map_difference


def student_loss(baseline_loss: Tensor, distillation_loss: Tensor, beta: float) -> Tensor:
    """Eq. 12: L^S = L^B + beta times what the teacher adds; (B,) each -> (B,)."""
    return baseline_loss + beta * distillation_loss


def mutual_loss(maps: list[Tensor], form: str) -> Tensor:
    """Eq. 13: each map learns from the other, phi(m_1, sg(m_2)) + phi(m_2, sg(m_1)); (B, L) each -> (B,)."""
    pairs = [map_difference(a, b, form) for a in maps for b in maps if a is not b]
    return torch.stack(pairs).sum(0)


def teacher_loss(global_loss: Tensor, local_losses: Tensor, mutual_loss: Tensor, alpha: float, mu: float) -> Tensor:
    """Eq. 14: L^T = L_global + alpha mean(L_local of each stream) + mu L_mutual; local_losses (streams, B) -> (B,)."""
    return global_loss + alpha * local_losses.mean(0) + mu * mutual_loss
