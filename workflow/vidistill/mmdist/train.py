"""Stage `train`: one training loop for baseline, teacher and student; no moment is ever read."""

import dataclasses
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from vidistill.base import code, device, store
from vidistill.base.progress import Pace
from vidistill.base.settings import parse
from vidistill.base.stage import UserError, arguments, run
from vidistill.base.wording import plural
from vidistill.data import vocabulary as vocabularies
from vidistill.mmdist import masking, predict
from vidistill.mmdist import model as models
from vidistill.mmdist.losses import LossSettings
from vidistill.mmdist.network import Network, NetworkSettings
from vidistill.mmdist.objective import DistillationSettings, Objective
from vidistill.training import knowledge, samples
from vidistill.training.checkpoint import Progress, open_progress
from vidistill.training.knowledge import Lesson
from vidistill.training.samples import Normalise, Samples

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OptimisationSettings:
    epochs: int
    batch_size: int
    learning_rate: float
    warmup_updates: int
    gradient_norm: float
    precision: Literal["fp32", "bf16"]
    selection_precision: Literal["fp32", "bf16"]
    compile: bool


@dataclass(frozen=True)
class TrainSettings:
    dataset: str
    model: str
    seed: int
    streams: tuple[str, ...]
    teachers: tuple[str, ...]
    device: device.Device
    threads: int
    train_splits: tuple[str, ...]
    test_splits: tuple[str, ...]
    held_out: float
    snippets: int
    normalise: Normalise
    score_weight: float
    network: NetworkSettings
    loss: LossSettings
    distillation: DistillationSettings
    optimisation: OptimisationSettings


def learning_rate(update: int, peak: float, warmup: int) -> float:
    """Linear warm-up over `warmup` updates (counted from 1), then peak * sqrt(warmup / update)."""
    return peak * (update / warmup if update <= warmup else (warmup / update) ** 0.5)


def is_held_out(video_id: str, share: float) -> bool:
    """Whether a training video is kept out of training: a function of its id alone."""
    return int(store.digest(video_id)[:8], 16) / 2**32 < share


def train(
    settings: TrainSettings,
    network: Network,
    training: Samples,
    lesson: Lesson | None,
    watched: Samples,
    at_last: Samples,
    progress: Progress,
) -> None:
    """Train from where `progress` stands to the last epoch; predictions for `watched` are kept after each epoch.

    Args:
        network: on its device; it is trained in place.
        lesson: the teacher's knowledge of `training`, in its order; None but for a student.
        watched: test queries, and the held-out ones.
        at_last: queries that are predicted after the last epoch alone.
    """
    s, o = settings, settings.optimisation
    where = next(network.parameters()).device
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=o.learning_rate, betas=(0.9, 0.999))
    progress.restore(network, optimiser)
    if o.compile:
        for stack in (network.video_stack, network.text_stack):
            stack.compile(dynamic=True)  # lengths of sentences differ from batch to batch
    objective = Objective(
        network, s.loss, s.distillation if s.teachers else None, _autocast(o.selection_precision, where)
    )
    updates_per_epoch = -(-len(training) // o.batch_size)
    held_out = watched.take(np.isin(watched.splits, s.train_splits))
    for epoch in range(progress.epoch + 1, o.epochs + 1):
        started = time.monotonic()
        # Seeded by the epoch: a run that is resumed draws what the undisturbed one would have drawn.
        torch.manual_seed(int(store.digest(str(s.seed), str(epoch))[:15], 16))
        order = np.random.default_rng([s.seed, epoch]).permutation(len(training))
        hidden = masking.hidden_words(training.keys, training.weights, s.seed, epoch)
        network.train()
        sums: dict[str, float] = {}
        pace = Pace(f"epoch {epoch}/{o.epochs}, batches", updates_per_epoch)
        for step, first in enumerate(range(0, len(order), o.batch_size)):
            rows = order[first : first + o.batch_size]
            rate = learning_rate((epoch - 1) * updates_per_epoch + step + 1, o.learning_rate, o.warmup_updates)
            for group in optimiser.param_groups:
                group["lr"] = rate
            batch = training.batch(rows, hidden, where)
            if lesson is not None:
                batch = lesson.add_to(batch, rows)
            with _autocast(o.precision, where):
                loss, terms = objective(batch, epoch / o.epochs)
            if not torch.isfinite(loss):
                raise UserError(
                    f"the loss of {s.model}, seed {s.seed} is {loss.item()} in epoch {epoch}; lower "
                    "train.optimisation.learning_rate, or look for extreme values in the features."
                )
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, o.gradient_norm)
            optimiser.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(rows)
            pace.at(step + 1)
        row = {name: total / len(training) for name, total in sums.items()}
        row |= {"epoch": epoch, "learning_rate": rate, "held_out_loss": held_out_loss(objective, s, held_out, where)}
        predicted = [
            predict.proposal_table(asked, p).assign(epoch=epoch)
            for asked in ([watched, at_last] if epoch == o.epochs else [watched])
            for p in predict.predict(network, asked, s.loss, seed=s.seed, score_weight=s.score_weight, device=where)
        ]
        nothing = pd.DataFrame(columns=predict.PREDICTIONS.names)
        progress.advance(network, optimiser, row, pd.concat(predicted) if predicted else nothing)
        left = (time.monotonic() - started) * (o.epochs - epoch)
        log.info("epoch %d/%d, loss %.4f, %.0f s left", epoch, o.epochs, row["loss"], left)


@torch.no_grad()
def held_out_loss(objective: Objective, settings: TrainSettings, held_out: Samples, where: torch.device) -> float:
    """The label-free loss on the held-out queries, without what a teacher adds; NaN when there are none."""
    if len(held_out) == 0:
        return float("nan")
    network = objective.network.eval()
    alone = Objective(network, objective.loss, None, objective.selection_autocast)
    hidden = masking.hidden_words(held_out.keys, held_out.weights, settings.seed, masking.EVALUATION)
    size = settings.optimisation.batch_size
    total = 0.0
    for first in range(0, len(held_out), size):
        rows = np.arange(first, min(first + size, len(held_out)))
        total += alone(held_out.batch(rows, hidden, where), 1.0)[0].item() * len(rows)
    return total / len(held_out)


def _autocast(precision: str, where: torch.device) -> torch.autocast:
    """The context of a precision, also within that of another one."""
    return torch.autocast(where.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--word-vectors", type=Path, required=True)
    parser.add_argument("--features", nargs="+", required=True, help="STREAM=H5, every shard of every stream")
    parser.add_argument("--pseudo-labels", type=Path, nargs="*", default=[], help="of the teachers")
    parser.add_argument(
        "--activation-maps", type=Path, nargs="*", default=[], help="of the teachers, in the same order"
    )
    for output in ("--model", "--history", "--predictions", "--work"):
        parser.add_argument(output, type=Path, required=True)
    args = parser.parse_args()
    s = parse(TrainSettings, args.settings)
    where = device.choose(s.device, s.threads)
    vocabulary = vocabularies.load(args.vocabulary)
    vectors, learned_words = vocabularies.load_word_vectors(args.word_vectors)
    loaded = samples.load(
        args.queries,
        vocabulary,
        samples.files_by_stream(args.features, s.streams),
        splits=None,
        snippets=s.snippets,
        normalise=s.normalise,
    )
    in_training = np.isin(loaded.splits, s.train_splits)
    held_out = in_training & np.array([is_held_out(v, s.held_out) for v in loaded.video_ids])
    each_epoch = held_out | (~in_training & np.isin(loaded.splits, s.test_splits))
    # Where there is no other query, answers to those of training are what is wanted.
    once = ~each_epoch & (in_training if in_training.all() else ~in_training)
    training, watched, at_last = (loaded.take(rows) for rows in (in_training & ~held_out, each_epoch, once))
    if len(training) == 0:
        raise UserError(
            f"{args.queries} has no query to train on in {', '.join(s.train_splits)}; see train.train_splits."
        )
    asked = loaded.take(each_epoch | once)
    if undated := sorted({v for v, d in zip(asked.video_ids, asked.durations, strict=True) if np.isnan(d)}):
        example = repr(undated[0]) if len(undated) == 1 else f"{undated[0]!r} and others"
        raise UserError(
            f"the duration of {plural(len(undated), 'video')} is unknown ({example}), and predictions are in seconds; "
            "give it in the annotations (duration), name the folder of the videos, or set seconds_per_row of the "
            "features."
        )
    lesson = None
    fingerprint = [
        args.settings,
        code.digest("vidistill.mmdist.train"),
        loaded.digest(),
        store.file_digest(args.word_vectors),
    ]
    if s.teachers:
        if len(s.teachers) > 1 or len(args.pseudo_labels) != 1:
            raise UserError(
                f"{s.model} names the teachers {', '.join(s.teachers)}; this student learns from exactly one."
            )
        labels, maps = args.pseudo_labels[0], args.activation_maps[0]
        training, lesson = knowledge.read(training, labels, maps, s.snippets)
        if s.distillation.proposal == "index" and not lesson.names_proposals(s.network.proposals):
            raise UserError(
                f"{labels} names no proposal of the student's {s.network.proposals} for some query; set "
                "train.distillation.proposal: overlap."
            )
        fingerprint += [store.file_digest(labels), store.file_digest(maps)]
    log.info("%s, seed %d: %d queries to train on, %d to predict", s.model, s.seed, len(training), len(asked))
    torch.manual_seed(s.seed)
    dims = [x.shape[-1] for x in loaded.features]
    network = models.build(s.network, dims, vectors, learned_words=learned_words, local=s.loss.local_learning)
    network.to(where)
    with store.alone(args.work):
        progress = open_progress(args.work, store.digest(*fingerprint))
        train(s, network, training, lesson, watched, at_last, progress)
        progress.write(args.history, args.predictions)
        models.save(
            args.model,
            network,
            settings=json.dumps(dataclasses.asdict(s), sort_keys=True),
            vocabulary=args.vocabulary.read_text(encoding="utf-8"),
            features=json.dumps(samples.provenance(args.features), sort_keys=True),
            files=json.dumps(samples.provenance(args.features, "files"), sort_keys=True),
            code=code.digest("vidistill.mmdist.train"),
            versions=json.dumps(store.versions("torch", "numpy"), sort_keys=True),
        )
        progress.remove()


if __name__ == "__main__":
    run(main)
