"""Stage `train` of EMTM: student, SeqPAN and map2d. Moments reach it as one table of training moments alone."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vidistill.base import code, device, store
from vidistill.base.settings import parse
from vidistill.base.stage import UserError, run
from vidistill.data import vocabulary as vocabularies
from vidistill.emtm import batch, characters, predict, targets
from vidistill.emtm import model as models
from vidistill.emtm.batch import Queries
from vidistill.emtm.map2d import Map2D
from vidistill.emtm.model import Shape
from vidistill.emtm.objective import MapObjective, Objective
from vidistill.emtm.targets import Targets
from vidistill.features import states
from vidistill.settings.emtm import TrainSettings
from vidistill.training import asking, knowledge, loop, predictions, samples, stage
from vidistill.training.checkpoint import Checkpoint, open_checkpoint

log = logging.getLogger(__name__)


def train(
    settings: TrainSettings,
    objective: Objective | MapObjective,
    training: tuple[Queries, Targets],
    held_out: tuple[Queries, Targets] | None,
    watched: Queries,
    at_last: Queries,
    checkpoint: Checkpoint,
) -> None:
    """Train from `checkpoint` to the last epoch; predictions for `watched` are kept after each epoch.

    Args:
        objective: on its device; its network is trained in place.
        held_out: queries whose hard loss the history keeps.
        watched: test and held-out queries.
        at_last: queries that are predicted only after the last epoch.
    """
    s = settings
    where = next(objective.parameters()).device
    queries, taught = training

    def loss(rows: np.ndarray, _: int) -> tuple[Tensor, dict[str, Tensor]]:
        return objective(taught.add_to(queries.batch(rows, where), rows))

    def predicted(last: bool) -> pd.DataFrame:
        tables = [
            predict.moment_table(asked, part)
            for asked in ([watched, at_last] if last else [watched])
            for part in predict.predict(objective.network, asked, device=where)
        ]
        return pd.concat(tables) if tables else predictions.nothing()

    loop.train(
        objective,
        s.optimisation,
        checkpoint,
        name=s.model,
        seed=s.seed,
        count=len(queries),
        loss=loss,
        watch=lambda _: {"held_out_loss": held_out_loss(objective, held_out, where)},
        predict=predicted,
    )


@torch.no_grad()
def held_out_loss(
    objective: Objective | MapObjective, held_out: tuple[Queries, Targets] | None, where: torch.device
) -> float:
    """The network's own hard losses on the held-out queries; NaN without held-out queries."""
    if held_out is None:
        return float("nan")
    objective.eval()
    queries, taught = held_out
    total = 0.0
    for first in range(0, len(queries), predict.BATCH):
        rows = np.arange(first, min(first + predict.BATCH, len(queries)))
        total += objective.hard(taught.add_to(queries.batch(rows, where), rows)).item() * len(rows)
    return total / len(queries)


def read_moments(
    settings: TrainSettings, training_moments: Path | None, labels: Path | None
) -> tuple[pd.DataFrame, Path]:
    """The moments that are the hard labels (see `targets`), and their file.

    Raises:
        UserError: the file that the supervision needs is missing, or another one is given.
    """
    s = settings
    given = {"--training-moments": training_moments, "--labels": labels}
    wanted = "--training-moments" if s.supervision == "full" else "--labels"
    if [name for name, file in given.items() if file is not None] != [wanted]:
        raise UserError(f"{s.model} has supervision: {s.supervision}; give {wanted} and no other labels.")
    file = given[wanted]
    assert file is not None
    read = targets.training_moments if s.supervision == "full" else targets.pseudo_moments
    return read(file), file


def main(argv: Sequence[str] | None = None) -> None:
    parser = stage.arguments(__doc__)
    parser.add_argument("--training-moments", type=Path, help="of supervision full")
    parser.add_argument("--labels", type=Path, help="pseudo labels of a model, of supervision pseudo")
    args = parser.parse_args(argv)
    s = parse(TrainSettings, args.settings)
    if len(args.activation_maps) != len(s.teachers):
        raise UserError(
            f"{s.model} has {len(s.teachers)} teachers, and --activation-maps {len(args.activation_maps)} files; "
            "give one of each."
        )
    if s.teachers and s.network != "student":
        raise UserError(f"{s.model} has network: {s.network}, which no teacher teaches; remove its teachers.")
    where = device.choose(s.device, s.threads)
    vocabulary = vocabularies.load(args.vocabulary)
    vectors, learned_words = vocabularies.load_word_vectors(args.word_vectors)
    moments, source = read_moments(s, args.training_moments, args.labels)
    knowledge.check_supervision([*args.activation_maps, *([args.labels] if args.labels else [])], s.supervision)
    files = states.by_stream(args.features)
    loaded = batch.load(args.queries, [files.get(stream, []) for stream in s.streams], s, splits=None).on(where)
    parts = stage.divide(loaded, s, args.queries)
    known = characters.known(loaded.take(parts.training).sentences)
    queries = batch.with_words(loaded, vocabulary, known, s)
    watched, at_last = queries.take(parts.watched), queries.take(parts.at_last)
    corners = s.distillation.corners
    training = targets.read(queries.take(parts.training), moments, source, args.activation_maps, corners=corners)
    kept = watched.take(np.isin(watched.splits, s.train_splits))
    held_out = targets.read(kept, moments, source, [], corners=corners) if len(kept) else None
    asked = len(watched) + len(at_last)
    read_by_training = len(training[0]) + (len(held_out[0]) if held_out else 0)
    log.info("%s, seed %d: %d queries to train on, %d to predict", s.model, s.seed, len(training[0]), asked)
    torch.manual_seed(s.seed)
    shape = Shape(sum(x.shape[-1] for x in loaded.features), *vectors.shape)
    network = models.build(s, shape.feature_dim, vectors, learned_words=learned_words, characters=known)
    objective = MapObjective(network) if isinstance(network, Map2D) else Objective(network, s)
    objective.to(where)
    code_of_it = code.digest("vidistill.emtm.train")
    read = [args.word_vectors, source, *args.activation_maps]
    fingerprint = [args.settings, code_of_it, queries.digest(), *map(store.file_digest, read)]
    with store.alone(args.work):
        checkpoint = open_checkpoint(args.work, store.digest(*fingerprint))
        train(s, objective, training, held_out, watched, at_last, checkpoint)
        checkpoint.write(args.history, args.predictions)
        models.save(
            args.model,
            network,
            s,
            shape=shape,
            characters=known,
            vocabulary=args.vocabulary.read_text(encoding="utf-8"),
            features=json.dumps(samples.provenance(files), sort_keys=True),
            files=json.dumps(samples.provenance(files, "files"), sort_keys=True),
            window=asking.window(loaded.take(parts.training)),
            code=code_of_it,
            supervision=s.supervision,
            training_moments=str(read_by_training if s.supervision == "full" else 0),
            versions=json.dumps(store.versions("torch", "numpy"), sort_keys=True),
        )
        checkpoint.remove()


if __name__ == "__main__":
    run(main)
