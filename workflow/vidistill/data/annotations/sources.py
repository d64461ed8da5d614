"""The annotation files of a data set, in any form. Light enough to be called while Snakemake parses."""

from dataclasses import replace

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.data.annotations import activitynet, activitynet13, charades, qvhighlights, table, tacos, timelens
from vidistill.data.annotations.annotation import Annotation, split_name
from vidistill.settings.queries import QueriesSettings


def read(settings: QueriesSettings) -> list[Annotation]:
    """All rows of the files; rows without a duration get it from the files of durations.

    Splits come in alphabetical order, so that adding `val` changes no occurrence number of `test` and `train`.

    Raises:
        UserError: a file is malformed.
    """
    annotations = _read(settings)
    if settings.durations:
        durations = charades.durations(settings.durations)
        dated = (a if a.duration is not None else replace(a, duration=durations.get(a.video_id)) for a in annotations)
        annotations = list(dated)
    if settings.id_prefix:
        return [replace(a, video_id=nfc(settings.id_prefix + a.video_id)) for a in annotations]
    return annotations


def _read(settings: QueriesSettings) -> list[Annotation]:
    key = f"datasets.{settings.dataset}.annotations"
    files = [(split_name(split, key), file) for split, names in sorted(settings.annotations.items()) for file in names]
    if not files:
        raise UserError(f"{key} lists no file; list the files of each split.")
    names = [file for _, file in files]
    if twice := [file for file in names if names.count(file) > 1]:
        raise UserError(f"{key} lists {twice[0]} twice; list a file with all splits once and add a column split.")
    return [annotation for split, file in files for annotation in _rows(settings, file, split)]


def _rows(settings: QueriesSettings, file: str, split: str) -> list[Annotation]:
    match settings.format_of(split):
        case "charades":
            return charades.read(file, split)
        case "activitynet":
            return activitynet.read(file, split)
        case "tacos":
            return tacos.read(file, split)
        case "qvhighlights":
            return qvhighlights.read(file, split)
        case "timelens":
            return timelens.read(file, split)
        case "activitynet13":
            return activitynet13.read(file, settings.subsets, settings.labels)
        case "table":
            return table.read(file, split, "label" if settings.task == "localization" else "sentence")
