"""Stage `localise`: the segments that a trained model finds, as a table and in the form of the field's toolkits.

It reads no label. Nothing is trained again for another threshold.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from vidistill.base import device, store
from vidistill.base.settings import parse
from vidistill.base.stage import arguments, run
from vidistill.features import states
from vidistill.mmsd import model as models
from vidistill.mmsd import predict, segments, snapshots, videos
from vidistill.mmsd.model import Model
from vidistill.mmsd.videos import Videos
from vidistill.settings.localise import LocaliseSettings
from vidistill.training import detections
from vidistill.training.detections import ALL, DETECTIONS

log = logging.getLogger(__name__)


def localise(
    model: Model, asked: Videos, settings: LocaliseSettings, device: torch.device, *, epoch: int, last: bool
) -> pd.DataFrame:
    """The table of predictions of some videos in one epoch; of the last also those of each stream, and the scores of
    classes without segments."""
    network, s = model.network, settings
    weights = {ALL: predict.stream_weights(s.stream_weights, network.heads)}
    if last and len(network.heads) > 1:
        weights |= dict(zip(network.heads, np.eye(len(network.heads)), strict=True))
    rows: list[tuple[object, ...]] = []
    for row, video in enumerate(predict.predict(network, asked, device)):
        for stream, of_heads in weights.items():
            fused = predict.fuse(video, of_heads)
            found = predict.localise(fused, s)
            for c, label in enumerate(model.classes):
                about = (epoch, stream, asked.video_ids[row], asked.splits[row], label)
                score = float(fused.video_scores[c])
                for rank, segment in enumerate(found.get(c, [])):
                    rows.append((*about, rank, *segments.seconds(segment, asked.features[row]), segment.score, score))
                if last and stream == ALL and not found.get(c):
                    rows.append((*about, None, None, None, None, score))
    return pd.DataFrame(rows, columns=DETECTIONS.names)


def check_times(asked: Videos) -> None:
    """Raise UserError for videos whose seconds are unknown."""
    pairs = zip(asked.video_ids, asked.features, strict=True)
    states.check_dated(video_id for video_id, features in pairs if not np.isfinite(features.times).all())


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--snapshots", type=Path, help="weights of earlier epochs; without them the last is predicted")
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--features", nargs="+", required=True, help="STREAM=H5, every shard of every stream")
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--detections", type=Path, required=True)
    args = parser.parse_args(argv)
    settings = parse(LocaliseSettings, args.settings)
    where = device.choose(settings.device, settings.threads)
    model = models.load(args.model)
    s, network = model.settings, model.network.to(where)
    files = states.by_stream(args.features)
    watched, at_last = videos.to_predict(args.queries, [files.get(stream, []) for stream in s.streams], s)
    for asked in (watched, at_last):
        check_times(asked)
    epoch = s.optimisation.epochs
    tables = [localise(model, asked, settings, where, epoch=epoch, last=True) for asked in (watched, at_last)]
    test = [v for v, split in zip(watched.video_ids, watched.splits, strict=True) if split in s.test_splits]
    last = pd.concat(tables)
    for number, weights in snapshots.read(args.snapshots) if args.snapshots else ():
        network.load_state_dict(weights)
        tables.append(localise(model, watched, settings, where, epoch=number, last=False))
    about = {"dataset": s.dataset, "settings": args.settings, "model_sha256": store.file_digest(args.model)}
    detections.write(args.predictions, pd.concat(tables), **about)
    answer = last[last["stream"] == ALL]
    shown = test or [*watched.video_ids, *at_last.video_ids]
    about_json = f"vidistill, {s.model} of {s.dataset}"
    found = answer[answer["video_id"].isin(shown)]
    detections.write_json(args.detections, found, shown, about_json, settings.id_prefix)
    log.info("%s, seed %d: %d segments in %d videos", s.model, s.seed, answer["start"].notna().sum(), len(shown))


if __name__ == "__main__":
    run(main)
