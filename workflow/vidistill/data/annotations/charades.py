"""Charades-STA: one `video start end##sentence` per line; durations in the CSV files of Charades."""

from collections.abc import Iterable

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.data.annotations.annotation import Annotation, csv_rows, lines, seconds, video_id


def read(path: str, split: str) -> list[Annotation]:
    """The sentences of one file, in its order, without durations.

    Raises:
        UserError: a line of another form (named).
    """
    found = []
    for line, text in lines(path):
        place = f"{path}, line {line}"
        head, mark, sentence = text.partition("##")
        fields = head.strip().rsplit(maxsplit=2)  # from the right, so that an id may hold spaces
        if not mark or len(fields) != 3:
            raise UserError(f"{place}: {text[:60]!r} is not of the form 'video start end##sentence'; correct the line.")
        video, start, end = fields
        found.append(
            Annotation(
                video_id=video_id(video),
                sentence=nfc(sentence.strip()),
                split=split,
                start=seconds(start, place, "start"),
                end=seconds(end, place, "end"),
                duration=None,
                file=path,
                line=line,
            )
        )
    return found


def durations(paths: Iterable[str]) -> dict[str, float]:
    """Video id -> duration in seconds over all files (`Charades_v1_train.csv`, ...: the columns `id` and `length`).

    A duration that is empty, zero or NaN is unknown.

    Raises:
        UserError: a column is missing, a length is not a number, or two rows disagree about a video.
    """
    found: dict[str, tuple[float, str]] = {}
    for path in paths:
        for line, row in csv_rows(path, ("id", "length")):
            place = f"{path}, line {line}"
            video, text = video_id(row["id"].strip()), row["length"].strip()
            duration = seconds(text, place, "length") if text else 0.0
            if not 0 < duration < float("inf"):
                continue
            known, there = found.setdefault(video, (duration, place))
            if known != duration:
                raise UserError(
                    f"{place}: video {video} has the length {duration}, but {known} in {there}; remove one."
                )
    return {video: duration for video, (duration, _) in found.items()}
