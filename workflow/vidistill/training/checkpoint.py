"""Training checkpoints: saved after each epoch, resumed if settings, code and data are unchanged."""

import io
import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import torch
from torch import nn

from vidistill.base import store
from vidistill.training.predictions import KEYS, PREDICTIONS

log = logging.getLogger(__name__)
FILE = "checkpoint.pt"


@dataclass
class Checkpoint:
    """The state after `epoch` epochs; `work` holds it, and each epoch's predictions, if any."""

    work: Path
    fingerprint: str
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)

    def restore(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Put the saved state, if any, into network and optimiser."""
        if self.state:
            network.load_state_dict(self.state["network"])
            optimiser.load_state_dict(self.state["optimiser"])

    def advance(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        row: dict[str, Any],
        predictions: pd.DataFrame | None,
    ) -> None:
        """Save a finished epoch: predictions first, since the checkpoint records that they exist."""
        self.epoch += 1
        self.history.append(row)
        if predictions is not None:
            predictions = predictions.assign(epoch=self.epoch)
            store.write_table(self._predictions(self.epoch), predictions, PREDICTIONS, KEYS)
        self.state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
        saved = io.BytesIO()  # written by Python, which reports why writing failed; PyTorch does not
        torch.save({"fingerprint": self.fingerprint, "epoch": self.epoch, "history": self.history, **self.state}, saved)
        with store.atomic(self.work / FILE) as temporary:
            temporary.write_bytes(saved.getbuffer())

    def write(self, history: Path, predictions: Path | None) -> None:
        """Write history.parquet and, unless None, predictions.parquet of all epochs."""
        rows = pd.DataFrame(self.history)
        schema = pa.schema([("epoch", pa.int16())] + [(c, pa.float64()) for c in sorted(rows.columns) if c != "epoch"])
        store.write_table(history, rows, schema, ["epoch"])
        if predictions is None:
            return
        tables = [store.read_table(self._predictions(epoch)) for epoch in range(1, self.epoch + 1)]
        store.write_table(predictions, pd.concat(tables), PREDICTIONS, KEYS)

    def remove(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)

    def _predictions(self, epoch: int) -> Path:
        return self.work / f"predictions-{epoch:04d}.parquet"


def open_checkpoint(work: Path, fingerprint: str) -> Checkpoint:
    """The checkpoint of an interrupted run with the same fingerprint in `work`, or a new one."""
    try:
        saved = torch.load(work / FILE, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        saved = None
    except Exception as error:  # damaged bytes can raise any exception
        log.warning("%s cannot be read (%s); training starts from the beginning", work / FILE, error)
        saved = None
    if saved is not None and saved["fingerprint"] != fingerprint:
        log.info("an interrupted run had other settings, code or data; training starts from the beginning")
        saved = None
    if saved is None:
        shutil.rmtree(work, ignore_errors=True)
        return Checkpoint(work, fingerprint)
    log.info("resumed after epoch %d", saved["epoch"])
    state = {"network": saved["network"], "optimiser": saved["optimiser"]}
    return Checkpoint(work, fingerprint, saved["epoch"], saved["history"], state)
