"""The order of a query's proposals: by score (Eq. 9), by either part of it, and by CPL's vote."""

from typing import Literal

import numpy as np

from vidistill.evaluation.metrics import iou
from vidistill.settings.evaluate import VoteWeight

Rule = Literal["score", "loss", "vote", "map", "oracle"]


def rank(
    rule: Rule, windows: np.ndarray, scores: np.ndarray, errors: np.ndarray, vote_weight: VoteWeight = "one"
) -> np.ndarray:
    """Proposal indices (N, K), best first; ties go to the lower proposal index.

    Args:
        rule: `score`: highest score; `loss`: lowest reconstruction error; `map`: what the score has beside the error;
            `vote`: most votes, ties by loss. `oracle` needs the moments and is not known here.
        windows: (N, K, 2) seconds.
        scores: (N, K).
        errors: (N, K) reconstruction errors; not used by `score`.
        vote_weight: see `votes`.
    """
    if rule == "score":
        return np.argsort(-scores, axis=1, kind="stable")
    if rule == "map":
        return np.argsort(-(scores + errors), axis=1, kind="stable")
    by_loss = np.argsort(errors, axis=1, kind="stable")
    if rule == "loss":
        return by_loss
    # Rounded, because a sum's last bit depends on the order of its terms and would break ties at random.
    ballot = np.round(votes(windows, by_loss[:, 0], vote_weight), 9)
    order = np.argsort(-np.take_along_axis(ballot, by_loss, axis=1), axis=1, kind="stable")
    return np.take_along_axis(by_loss, order, axis=1)


def votes(windows: np.ndarray, loss_best: np.ndarray, vote_weight: VoteWeight) -> np.ndarray:
    """CPL's votes: vote_i = sum_j IoU(i, j) c_j over a query's proposals.

    Args:
        windows: (N, K, 2).
        loss_best: (N,) index of the proposal with the lowest reconstruction error.
        vote_weight: c_j is the IoU of proposal j with the loss-best one (`iou`, Charades-STA, where proposals overlap
            little) or 1 (`one`, ActivityNet Captions).

    Returns:
        (N, K).
    """
    overlap = iou(windows[:, :, None], windows[:, None])  # (N, K, K)
    if vote_weight == "one":
        return overlap.sum(axis=2)
    weight = np.take_along_axis(overlap, loss_best[:, None, None], axis=1)  # (N, 1, K)
    return (overlap * weight).sum(axis=2)
