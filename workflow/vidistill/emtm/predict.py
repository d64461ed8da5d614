"""Predict scored moments with a trained network."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidistill.emtm import decode, map2d
from vidistill.emtm.batch import Batch, Queries
from vidistill.emtm.map2d import Map2D
from vidistill.emtm.model import Network
from vidistill.training import predictions

BATCH = 64  # queries; predictions do not depend on it


class Predicted(NamedTuple):
    """A batch of queries, all on the CPU."""

    rows: np.ndarray  # (B,) indices of the samples
    moments: Tensor  # (B, 5, 2) shares of the video, best first
    scores: Tensor  # (B, 5)
    outputs: Tensor  # of the network: span logits (B, 2, T), or a map's scores (B, N, N)


@torch.no_grad()
def predict(network: Network, queries: Queries, *, device: torch.device) -> Iterator[Predicted]:
    """Predict all queries; neither order nor batches matter."""
    network.eval()
    # Sentences of equal length together, since batches are cut to their longest sentence.
    order = np.argsort((queries.words > 0).sum(1).numpy(), kind="stable")
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        yield Predicted(rows, *(x.cpu() for x in answer(network, queries.batch(rows, device))))


def answer(network: Network, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """The five best moments (B, 5, 2) of each query as shares of the video, their scores (B, 5), and the outputs."""
    if isinstance(network, Map2D):
        outputs = network(batch.features, batch.tokens)
        return *map2d.decode(outputs[:, *network.cells.T], network.cells, network.settings.clips), outputs
    outputs = network(batch).boundaries
    return *decode.decode(outputs, batch.snippets.sum(1)), outputs


def moment_table(queries: Queries, predicted: Predicted) -> pd.DataFrame:
    """One row per (query, moment); start and end in seconds."""
    return predictions.table(queries, predicted.rows, predicted.moments.numpy(), score=predicted.scores.numpy())
