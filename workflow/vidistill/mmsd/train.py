"""Stage `train` of MMSD: the model and, in rounds, its two tables. It reads no moment and no label of a test video."""

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
from vidistill.base.stage import UserError, arguments, run
from vidistill.features import states
from vidistill.mmsd import model as models
from vidistill.mmsd import snapshots, targets, teaching, videos
from vidistill.mmsd.network import Network
from vidistill.mmsd.objective import Objective, PseudoLabels
from vidistill.mmsd.rounds import Rounds
from vidistill.mmsd.videos import Videos
from vidistill.settings.mmsd import TrainSettings
from vidistill.training import knowledge, loop, samples
from vidistill.training.checkpoint import Checkpoint, open_checkpoint

log = logging.getLogger(__name__)


def train(
    settings: TrainSettings,
    network: Network,
    training: Videos,
    taught: list[PseudoLabels] | None,
    held_out: Videos,
    checkpoint: Checkpoint,
) -> Rounds:
    """Train from `checkpoint` to the last epoch, and return the rounds, whose tables are in the checkpoint's folder.

    Args:
        network: on its device; trained in place.
        taught: the teachers' pseudo labels of `training`, in the same order; None for the model's own.
    """
    s, where = settings, next(network.parameters()).device
    objective = Objective(network, s)
    rounds = Rounds(s, network, training, checkpoint.work)
    rounds.resume(checkpoint.epoch)

    def loss(rows: np.ndarray, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        return objective(training.batch(rows, where), pseudo_labels(rows))

    def pseudo_labels(rows: np.ndarray) -> list[PseudoLabels] | None:
        if not s.loss.pseudo_label_weight:
            return None
        return rounds.pseudo_labels(rows, where) if taught is None else [taught[i].to(where) for i in rows]

    def watch(epoch: int) -> dict[str, float]:
        if epoch in snapshot_epochs(s):
            snapshots.keep(checkpoint.work, epoch, network)
        return {"held_out_loss": held_out_loss(objective, s, held_out, where), **rounds.after(epoch, where)}

    loop.train(
        network,
        s.optimisation,
        checkpoint,
        name=s.model,
        seed=s.seed,
        count=len(training),
        loss=loss,
        watch=watch,
        predict=None,
    )
    return rounds


def snapshot_epochs(settings: TrainSettings) -> range:
    """The epochs, beside the last, whose weights are kept."""
    return range(settings.predict_every, settings.optimisation.epochs, settings.predict_every)


@torch.no_grad()
def held_out_loss(objective: Objective, settings: TrainSettings, held_out: Videos, where: torch.device) -> float:
    """The mean loss of the held-out videos, which needs no moments, without pseudo labels; NaN without such videos."""
    if len(held_out) == 0:
        return float("nan")
    objective.network.eval()
    size = settings.optimisation.batch_size
    parts = [np.arange(first, min(first + size, len(held_out))) for first in range(0, len(held_out), size)]
    return sum(objective(held_out.batch(rows, where), None)[0].item() for rows in parts) / len(held_out)


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--features", nargs="+", required=True, help="STREAM=H5, every shard of every stream")
    parser.add_argument("--teacher-maps", type=Path, nargs="*", default=[], help="activation maps of the teachers")
    for output in ("--model", "--snapshots", "--history", "--pseudo-labels", "--activation-maps", "--work"):
        parser.add_argument(output, type=Path, required=True)
    args = parser.parse_args(argv)
    s = parse(TrainSettings, args.settings)
    where = device.choose(s.device, s.threads)
    files = states.by_stream(args.features)
    labelled, classes = videos.labelled(args.queries, [files.get(stream, []) for stream in s.streams], s)
    held_out = np.array([loop.is_held_out(video_id, s.held_out) for video_id in labelled.video_ids])
    training = labelled.take(~held_out)
    if len(training) == 0:
        raise UserError("train.held_out leaves no video to train on; lower it.")
    if len(args.teacher_maps) != len(s.teachers):
        raise UserError(f"{s.model} needs --teacher-maps of {len(s.teachers)} teachers, not {len(args.teacher_maps)}.")
    taught = None
    if s.teachers:
        training, taught = targets.read(training, args.teacher_maps, s)
    log.info("%s, seed %d: %d videos to train on, %d classes", s.model, s.seed, len(training), len(classes))
    torch.manual_seed(s.seed)
    dims = [x.shape[1] for x in training.features[0].streams]
    network = Network(s.network, s.streams, dims, len(classes)).to(where)
    code_of_it = code.digest("vidistill.mmsd.train")
    data = labelled.digest()
    fingerprint = [args.settings, code_of_it, data, *map(store.file_digest, args.teacher_maps)]
    with store.alone(args.work):
        checkpoint = open_checkpoint(args.work, store.digest(*fingerprint))
        rounds = train(s, network, training, taught, labelled.take(held_out), checkpoint)
        checkpoint.write(args.history, None)
        features = json.dumps(samples.provenance(files), sort_keys=True)
        models.save(
            args.model,
            network,
            classes,
            s,
            features=features,
            snippets=str(int(np.median([len(x.times) for x in training.features]))),  # of a video, for measurements
            files=json.dumps(samples.provenance(files, "files"), sort_keys=True),
            code=code_of_it,
            versions=json.dumps(store.versions("torch", "numpy"), sort_keys=True),
        )
        snapshots.pack(args.work, snapshot_epochs(s), args.snapshots)
        labels, maps = teaching.of_videos(network, training, s, len(rounds.ends), where)
        about = {
            "dataset": s.dataset,
            "splits": json.dumps(s.train_splits),
            "settings": json.dumps(s.model_dump(), sort_keys=True),
            "model_sha256": store.file_digest(args.model),
            "data_sha256": data,
            "features": features,
            "supervision": "weak",
        }
        knowledge.write_labels(args.pseudo_labels, labels, **about)
        knowledge.write_maps(args.activation_maps, pd.concat([rounds.table(), maps]), **about)
        checkpoint.remove()


if __name__ == "__main__":
    run(main)
