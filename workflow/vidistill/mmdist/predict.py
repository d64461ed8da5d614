"""Predict scored proposals and semantic activation maps with a trained network."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidistill.mmdist import losses, masking, proposals
from vidistill.mmdist.batch import Batch, Queries
from vidistill.mmdist.network import Network, encode, semantic_map
from vidistill.settings.mmdist import LossSettings, TrainSettings
from vidistill.training import predictions

BATCH = 64  # queries; predictions do not depend on it


class Predicted(NamedTuple):
    """A batch of queries, all on the CPU."""

    rows: np.ndarray  # (B,) indices of the samples
    center: Tensor  # (B, K)
    width: Tensor
    errors: Tensor
    score: Tensor
    maps: list[Tensor]  # (B, L) per stream; empty without a local branch


def score(center: Tensor, width: Tensor, errors: Tensor, semantic: Tensor | None, weight: float) -> Tensor:
    """Eq. 9: gamma * mean of m over the proposal's snippets p_s..p_e - r; centres (B, K), maps (B, L) -> (B, K)."""
    if semantic is None:
        return -errors
    return weight * map_mean(center, width, semantic) - errors


def map_mean(center: Tensor, width: Tensor, semantic: Tensor) -> Tensor:
    """Mean (B, K) of maps (B, L) over each proposal: snippets from floor(sL) to ceil(eL) - 1, at least one."""
    first, stop = proposals.snippets(proposals.moments(center, width), semantic.shape[-1])
    sums = torch.cat([torch.zeros_like(semantic[:, :1]), semantic], dim=1).double().cumsum(1)
    return ((sums.gather(1, stop) - sums.gather(1, first)) / (stop - first)).float()


@torch.no_grad()
def predict(network: Network, queries: Queries, settings: TrainSettings, device: torch.device) -> Iterator[Predicted]:
    """Predict all queries. Masked words depend on the seed and the words only, so order and batches do not matter."""
    network.eval()
    s = settings
    masked = masking.draws(queries.keys, queries.weights, s.seed, s.masks)
    # Sentences of equal length together, since batches are cut to their longest sentence.
    order = np.argsort((queries.weights > 0).sum(1), kind="stable")
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        batch = queries.batch(rows, masked, device)
        center, width, errors, scores, maps = infer(network, batch, s.loss, s.score_weight)
        yield Predicted(rows, center.cpu(), width.cpu(), errors.cpu(), scores.cpu(), [m.cpu() for m in maps])


def infer(
    network: Network, batch: Batch, loss: LossSettings, score_weight: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor]]:
    """Centres, widths, errors and scores (B, K) of a batch, and the maps (B, L) of its streams, if any."""
    encoded = encode(network, batch.features, batch.tokens)
    by_draw = []
    for masked in batch.masked_words.unbind(1):
        logits = network.reconstruct(encoded.frames, encoded.sentence, masked, encoded.masks)
        by_draw.append(losses.reconstruction_error(logits, batch.tokens, loss.label_smoothing))
    errors = torch.stack(by_draw).mean(0)
    maps: list[Tensor] = []
    if network.has_local_branch:
        snippets = network.snippet_features(batch.features, encoded.frames)
        maps = [semantic_map(v, encoded.sentence.feature) for v in snippets]
    fused = fuse(maps)
    if fused is not None and not loss.global_learning:
        scores = map_mean(encoded.center, encoded.width, fused)
    else:
        scores = score(encoded.center, encoded.width, errors, fused, score_weight)
    return encoded.center, encoded.width, errors, scores, maps


def fuse(maps: list[Tensor]) -> Tensor | None:
    """m_T: the mean of the streams' maps."""
    return torch.stack(maps).mean(0) if maps else None


def proposal_table(queries: Queries, predicted: Predicted) -> pd.DataFrame:
    """One row per (query, proposal); start and end in seconds."""
    return predictions.table(
        queries,
        predicted.rows,
        proposals.moments(predicted.center, predicted.width).numpy(),
        center=predicted.center.numpy(),
        width=predicted.width.numpy(),
        score=predicted.score.numpy(),
        reconstruction_error=predicted.errors.numpy(),
    )
