"""The training loop: order, precision, clipping, history, checkpoints, resume. Callables give loss and predictions."""

import logging
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from vidistill.base import store
from vidistill.base.progress import Pace
from vidistill.base.stage import UserError
from vidistill.settings.train import OptimisationSettings, Precision
from vidistill.training import optimiser
from vidistill.training.checkpoint import Checkpoint

log = logging.getLogger(__name__)


def is_held_out(video_id: str, share: float) -> bool:
    """Whether a training video is held out: a function of its id alone."""
    return int(store.digest(video_id)[:8], 16) / 2**32 < share


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The autocast context of a precision, also inside another one."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def train(
    network: nn.Module,
    settings: OptimisationSettings,
    checkpoint: Checkpoint,
    *,
    name: str,
    seed: int,
    count: int,
    loss: Callable[[np.ndarray, int], tuple[Tensor, dict[str, Tensor]]],
    watch: Callable[[int], dict[str, float]],
    predict: Callable[[bool], pd.DataFrame] | None,
) -> None:
    """Train from `checkpoint` to the last epoch.

    Args:
        network: on its device; trained in place.
        name: of the model, for messages.
        count: N, the number of samples.
        loss: (rows (B,) of the samples, epoch from 1) -> the batch's loss, and terms whose means the history keeps.
        watch: called after each epoch, with it -> further numbers for the history.
        predict: called after each epoch with whether it is the last -> predictions to keep; None without any.

    Raises:
        UserError: a loss is not finite.
    """
    o, where = settings, next(network.parameters()).device
    parameters = [p for p in network.parameters() if p.requires_grad]
    adam = optimiser.build(network, o)
    checkpoint.restore(network, adam)
    updates_per_epoch = -(-count // o.batch_size)
    rate = optimiser.schedule(o, updates_per_epoch)
    for epoch in range(checkpoint.epoch + 1, o.epochs + 1):
        started = time.monotonic()
        # Seeded by the epoch, so a resumed run draws the same numbers as an uninterrupted one.
        torch.manual_seed(int(store.digest(str(seed), str(epoch))[:15], 16))
        order = np.random.default_rng([seed, epoch]).permutation(count)
        network.train()
        sums: dict[str, float] = {}
        pace = Pace(f"epoch {epoch} of {o.epochs}, batches", updates_per_epoch)
        for step, first in enumerate(range(0, count, o.batch_size)):
            rows = order[first : first + o.batch_size]
            update = (epoch - 1) * updates_per_epoch + step + 1
            optimiser.set_rate(adam, o, rate(update), update)
            with autocast(o.precision, where):
                total, terms = loss(rows, epoch)
            if not torch.isfinite(total):
                raise UserError(
                    f"the loss of {name}, seed {seed} is {total.item()} in epoch {epoch}; lower "
                    "train.optimisation.learning_rate, or look for extreme values in the features."
                )
            adam.zero_grad()
            total.backward()
            if o.gradient_norm is not None:
                torch.nn.utils.clip_grad_norm_(parameters, o.gradient_norm)
            adam.step()
            for term, value in {"loss": total, **terms}.items():
                sums[term] = sums.get(term, 0.0) + value.item() * len(rows)
            pace.at(step + 1)
        row = {term: value / count for term, value in sums.items()}
        row |= {"epoch": epoch, "learning_rate": rate(update), **watch(epoch)}
        checkpoint.advance(network, adam, row, predict(epoch == o.epochs) if predict else None)
        left = (time.monotonic() - started) * (o.epochs - epoch)
        log.info("epoch %d of %d, loss %.4f, %.0f s left", epoch, o.epochs, row["loss"], left)
