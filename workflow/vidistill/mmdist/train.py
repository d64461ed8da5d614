"""Stage `train` of MMDist: baseline, teacher and student. It never reads moments."""

import functools
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from vidistill.base import code, device, store
from vidistill.base.settings import parse
from vidistill.base.stage import UserError, run
from vidistill.data import vocabulary as vocabularies
from vidistill.features import states
from vidistill.mmdist import batch, fit, masking, predict, targets
from vidistill.mmdist import model as models
from vidistill.mmdist.batch import Queries
from vidistill.mmdist.network import Network
from vidistill.mmdist.objective import Objective
from vidistill.mmdist.targets import Targets
from vidistill.settings.mmdist import TrainSettings
from vidistill.training import asking, knowledge, loop, predictions, samples, stage
from vidistill.training.checkpoint import Checkpoint, open_checkpoint

log = logging.getLogger(__name__)


def train(
    settings: TrainSettings,
    network: Network,
    training: Queries,
    taught: Targets | None,
    watched: Queries,
    at_last: Queries,
    checkpoint: Checkpoint,
) -> None:
    """Train from `checkpoint` to the last epoch; predictions for `watched` are kept after each epoch.

    Args:
        network: on its device; trained in place.
        taught: the teachers' targets for `training`, in the same order; None without a teacher.
        watched: test and held-out queries.
        at_last: queries that are predicted only after the last epoch.
    """
    s, o = settings, settings.optimisation
    where = next(network.parameters()).device
    if s.compile:
        for stack in (network.video_stack, network.text_stack):
            stack.compile(dynamic=True)  # sentence lengths differ between batches
    selection = loop.autocast(s.selection_precision, where)
    objective = Objective(network, s.loss, s.distillation if s.teachers else None, selection)
    held_out = watched.take(np.isin(watched.splits, s.train_splits))

    @functools.lru_cache(maxsize=1)
    def masked_words(epoch: int) -> np.ndarray:
        return masking.masked_words(training.keys, training.weights, s.seed, epoch)

    def loss(rows: np.ndarray, epoch: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        asked = training.batch(rows, masked_words(epoch), where)
        return objective(asked if taught is None else taught.add_to(asked, rows), epoch / o.epochs)

    def predicted(last: bool) -> pd.DataFrame:
        tables = [
            predict.proposal_table(asked, part)
            for asked in ([watched, at_last] if last else [watched])
            for part in predict.predict(network, asked, s, where)
        ]
        return pd.concat(tables) if tables else predictions.nothing()

    loop.train(
        network,
        o,
        checkpoint,
        name=s.model,
        seed=s.seed,
        count=len(training),
        loss=loss,
        watch=lambda _: {"held_out_loss": held_out_loss(objective, s, held_out, where)},
        predict=predicted,
    )


@torch.no_grad()
def held_out_loss(objective: Objective, settings: TrainSettings, held_out: Queries, where: torch.device) -> float:
    """The label-free loss on the held-out queries, without distillation; NaN without held-out queries."""
    if len(held_out) == 0:
        return float("nan")
    network = objective.network.eval()
    alone = Objective(network, objective.loss, None, objective.selection_autocast)
    masked = masking.masked_words(held_out.keys, held_out.weights, settings.seed, masking.EVALUATION)
    size = settings.optimisation.batch_size
    total = 0.0
    for first in range(0, len(held_out), size):
        rows = np.arange(first, min(first + size, len(held_out)))
        total += alone(held_out.batch(rows, masked, where), 1.0)[0].item() * len(rows)
    return total / len(held_out)


def read_targets(
    settings: TrainSettings, training: Queries, pseudo_labels: list[Path], activation_maps: list[Path]
) -> tuple[Queries, Targets, list[Path]]:
    """The queries for which the teachers have targets, the targets, and the tables that are read.

    Raises:
        UserError: a table is missing, or does not match the student.
    """
    s, levels = settings, settings.distillation
    choosing = levels.global_level and len(s.teachers) > 1  # between pseudo labels, by the maps
    wanted = {
        "--pseudo-labels": (levels.global_level, pseudo_labels),
        "--activation-maps": ((levels.local_level and s.loss.local_learning) or choosing, activation_maps),
    }
    for option, (needed, files) in wanted.items():
        if needed and len(files) != len(s.teachers):
            raise UserError(
                f"{s.model} needs a table of each teacher for {option}, {len(s.teachers)} in all, not {len(files)}."
            )
    labels, maps = (files if needed else [] for needed, files in wanted.values())
    training, taught = targets.read(training, labels, maps, s)
    if levels.proposal == "index" and not taught.names_proposals(s.network.proposals):
        raise UserError(
            f"{' or '.join(map(str, labels))} has a proposal_index outside the student's {s.network.proposals} "
            "proposals; set mmdist.distillation.proposal: overlap."
        )
    return training, taught, [*labels, *maps]


def main(argv: Sequence[str] | None = None) -> None:
    args = stage.arguments(__doc__).parse_args(argv)
    s = parse(TrainSettings, args.settings)
    where = device.choose(s.device, s.threads)
    vocabulary = vocabularies.load(args.vocabulary)
    vectors, learned_words = vocabularies.load_word_vectors(args.word_vectors)
    files = states.by_stream(args.features)
    loaded = batch.load(
        args.queries,
        vocabulary,
        [files.get(stream, []) for stream in s.streams],
        splits=None,
        snippets=s.snippets,
        normalise=s.normalise,
    ).on(where)
    parts = stage.divide(loaded, s, args.queries)
    training, watched, at_last = map(loaded.take, parts)
    taught, tables = None, list[Path]()
    if s.teachers:
        training, taught, tables = read_targets(s, training, args.pseudo_labels, args.activation_maps)
        knowledge.check_supervision(tables, "weak")
    asked = len(watched) + len(at_last)
    log.info("%s, seed %d: %d queries to train on, %d to predict", s.model, s.seed, len(training), asked)
    torch.manual_seed(s.seed)
    dims = [x.shape[-1] for x in loaded.features]
    network = models.build(s.network, dims, vectors, learned_words=learned_words, local=s.loss.local_learning)
    network.to(where)
    code_of_it = code.digest("vidistill.mmdist.train")
    fingerprint = [args.settings, code_of_it, loaded.digest(), *map(store.file_digest, [args.word_vectors, *tables])]
    with store.alone(args.work):
        checkpoint = open_checkpoint(args.work, store.digest(*fingerprint))
        train(s, network, training, taught, watched, at_last, checkpoint)
        checkpoint.write(args.history, args.predictions)
        known, held_out = loaded.take(parts.training), watched.take(np.isin(watched.splits, s.train_splits))
        models.save(
            args.model,
            network,
            settings=json.dumps(s.model_dump(), sort_keys=True),
            vocabulary=args.vocabulary.read_text(encoding="utf-8"),
            features=json.dumps(samples.provenance(files), sort_keys=True),
            files=json.dumps(samples.provenance(files, "files"), sort_keys=True),
            window=asking.window(known),
            **(fit.calibrate(network, vocabulary, s.loss, known, held_out) if network.has_local_branch else {}),
            code=code_of_it,
            supervision="weak",
            training_moments="0",
            versions=json.dumps(store.versions("torch", "numpy"), sort_keys=True),
        )
        checkpoint.remove()


if __name__ == "__main__":
    run(main)
