"""A student's targets: the vote of its teachers' pseudo labels, joined to its videos by query."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from vidistill.base.stage import UserError
from vidistill.base.wording import plural
from vidistill.mmsd import tables
from vidistill.mmsd.objective import PseudoLabels
from vidistill.mmsd.videos import Videos
from vidistill.settings.mmsd import TrainSettings
from vidistill.training.voting import consensus

log = logging.getLogger(__name__)


def read(videos: Videos, files: Sequence[Path], settings: TrainSettings) -> tuple[Videos, list[PseudoLabels]]:
    """The videos for which every teacher has pseudo labels, and one target for each snippet that any stream labels.

    Sources are the streams of the teachers' last rounds. Each has a target by self-voting; the student's is their mean.

    Args:
        files: the teachers' activation maps.

    Raises:
        UserError: no video has pseudo labels, or a table does not fit.
    """
    streams, s = settings.distillation.streams, settings.pseudo_labels
    found = list(zip(*(tables.read(file, videos, streams, None) for file in files), strict=True))
    known = [all(of_one is not None for of_one in sources) for sources in found]
    if not any(known):
        raise UserError(
            f"{files[0]} has pseudo labels of none of the videos to train on, in all of the streams "
            f"{', '.join(streams)}; use tables of the same data set, or correct mmsd.distillation.streams."
        )
    if not all(known):
        log.warning("%s left out: a teacher has no pseudo labels of them", plural(known.count(False), "video"))
    labels = []
    for sources in found:
        if (several := [x for x in sources if x is not None]) and len(several) == len(sources):
            values, confidence = (torch.cat(parts) for parts in zip(*several, strict=True))
            target, mask = consensus(values, confidence, reliable=s.reliable, margin=s.margin)
            labels.append(PseudoLabels(target.unsqueeze(0), mask.unsqueeze(0)))
    return videos.take(known), labels
