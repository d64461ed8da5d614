"""Rounds of pseudo labels: what the network knows after some epochs, written to a table of activation maps and read
back by query, as students read it."""

import logging
import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidistill.base import store
from vidistill.mmsd import losses, predict, tables
from vidistill.mmsd.network import Network
from vidistill.mmsd.objective import PseudoLabels
from vidistill.mmsd.tables import Sequences
from vidistill.mmsd.videos import Videos
from vidistill.settings.mmsd import PseudoLabelSettings, TrainSettings
from vidistill.training import knowledge
from vidistill.training.voting import vote

log = logging.getLogger(__name__)
# Shares of the training videos' snippets in the history: labelled foreground, with a target to train on, and with a
# target that the votes of other streams have changed.
SHARES = ("foreground", "supervised", "voted")
FEW = 0.01  # share of foreground labels, or of others, under which labels have collapsed


class Rounds:
    """The rounds of a training; the table of each that has ended is a file in `work`.

    Attributes:
        ends: epochs with which rounds 1, 2, ... end; the last epoch always ends one.
        kept: each video's pseudo labels as read from the last table; empty before the first round ends.
    """

    def __init__(self, settings: TrainSettings, network: Network, videos: Videos, work: Path):
        self.settings, self.network, self.videos, self.work = settings, network, videos, work
        s, o = settings.pseudo_labels, settings.optimisation
        updates_per_epoch = -(-len(videos) // o.batch_size)
        first = s.every if s.first_update is None else math.ceil(s.first_update / updates_per_epoch)
        self.ends = sorted({*range(first, o.epochs + 1, s.every), o.epochs})
        self.kept: list[Sequences] = []

    def resume(self, epoch: int) -> None:
        """Read the labels of the last round that ended by this epoch, if any."""
        if number := sum(end <= epoch for end in self.ends):
            self._read(number)

    def pseudo_labels(self, rows: np.ndarray, device: torch.device) -> list[PseudoLabels] | None:
        """Those of the videos `rows` to train on; None before the first round ends."""
        return [PseudoLabels(self.kept[i].values).to(device) for i in rows] if self.kept else None

    def after(self, epoch: int, device: torch.device) -> dict[str, float]:
        """If a round ends with this epoch: write its table, read it back, and say what the history keeps."""
        if epoch not in self.ends:
            return {}
        number, s = self.ends.index(epoch) + 1, self.settings.pseudo_labels
        rows, votes = [], []
        for row, video in enumerate(predict.predict(self.network, self.videos, device)):
            now = Sequences(foreground(video.attention, s), losses.confidence(video.scores, self.videos.labels(row)))
            kept = remember(self.kept[row], now) if self.kept and s.memory else remember(None, now)
            margin = s.margin if s.voting else math.inf
            target, mask = vote(kept.values, now.confidence, reliable=s.reliable, margin=margin)
            votes.append(torch.stack([kept.values, mask, mask & (target != kept.values)]))
            for kind, found in {"foreground": now._replace(values=video.attention), "pseudo_label": kept}.items():
                rows += tables.map_rows(self.videos, row, self.network.heads, found, kind=kind, **self._about(number))
        knowledge.write_maps(self._file(number), pd.DataFrame(rows))
        self._read(number)
        return self._shares(number, torch.cat(votes, dim=-1).mean(-1))

    def table(self) -> pd.DataFrame:
        """The rows of all rounds, or of the last."""
        last = len(self.ends)
        first = last if self.settings.pseudo_labels.keep_rounds == "last" else 1
        return pd.concat([store.read_table(self._file(number)) for number in range(first, last + 1)])

    def _about(self, number: int) -> dict[str, object]:
        return {"teacher": self.settings.model, "seed": self.settings.seed, "round": number}

    def _file(self, number: int) -> Path:
        return self.work / f"round-{number:03d}.parquet"

    def _read(self, number: int) -> None:
        found = tables.read(self._file(number), self.videos, self.network.heads, number)
        self.kept = [x for x in found if x is not None]
        assert len(self.kept) == len(self.videos)

    def _shares(self, number: int, shares: Tensor) -> dict[str, float]:
        """Shares (3, M) by name and stream; a warning where labels to train on have collapsed or none is reliable."""
        own = self.settings.loss.pseudo_label_weight > 0 and not self.settings.teachers
        for stream, found, supervised, _ in zip(self.network.heads, *shares.tolist(), strict=True) if own else ():
            if not FEW <= found <= 1 - FEW:
                log.warning(
                    "round %d: %.1f %% of the labels of %s are foreground; they have collapsed and teach themselves; "
                    "try mmsd.pseudo_labels.foreground: relative, or a later first_update",
                    number,
                    100 * found,
                    stream,
                )
            if supervised < FEW:
                log.warning("round %d: %.1f %% of the labels of %s are reliable", number, 100 * supervised, stream)
        return {
            f"{name}_{stream}": value
            for name, values in zip(SHARES, shares.tolist(), strict=True)
            for stream, value in zip(self.network.heads, values, strict=True)
        }


def foreground(attention: Tensor, settings: PseudoLabelSettings) -> Tensor:
    """b (M, T): 1 where the attention is above the threshold, as it is or rescaled to 0..1 over the video."""
    if settings.foreground == "relative":
        lowest, highest = attention.amin(1, keepdim=True), attention.amax(1, keepdim=True)
        attention = torch.where(highest > lowest, (attention - lowest) / (highest - lowest), 0.0)
    return (attention > settings.threshold).float()


def remember(before: Sequences | None, now: Sequences) -> Sequences:
    """Labels and confidence after a round: a snippet's change only where the new confidence is strictly larger.

    Args:
        before: None at first or without memory, as if all were 0.
    """
    if before is None:
        before = Sequences(*map(torch.zeros_like, now))
    surer = now.confidence > before.confidence
    return Sequences(*(torch.where(surer, *both) for both in zip(now, before, strict=True)))
