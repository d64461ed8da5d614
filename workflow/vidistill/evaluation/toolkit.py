"""Detections in the JSON of ActivityNet's toolkit: `{"results": {video: [{"label", "score", "segment": [s, e]}]}}`."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.data.annotations.annotation import parse_json, read_text, video_id
from vidistill.evaluation.submission import Flaw
from vidistill.training.detections import ALL, DETECTIONS


def read(
    path: Path, queries: pd.DataFrame, split: str, id_prefix: str = ""
) -> tuple[pd.DataFrame, list[Flaw], int, int]:
    """The table of predictions of one epoch, what does not fit, the number of segments, and of those that are used.

    Every video of the split is in the table, as in the toolkit, for which a video that a file lacks has no segment. The
    score of a class in a video is that of its best segment.

    Args:
        queries: columns video_id, split, label.
        split: the evaluated split.
        id_prefix: of the data set's video ids, which the file may lack.

    Raises:
        UserError: the file is not of this form.
    """
    content = parse_json(read_text(str(path)), str(path))
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise UserError(f"{path} has no object 'results' of video ids; give detections in the form of the toolkit.")
    videos = set(queries.loc[queries["split"] == split, "video_id"])
    labels = set(queries["label"].dropna())
    rows: list[tuple[str, str, float, float, float]] = []
    flaws: list[Flaw] = []
    count = 0
    for name, found in results.items():
        video = video_id(name) if video_id(name) in videos else nfc(id_prefix + video_id(name))
        count += len(found) if isinstance(found, list) else 1
        if video not in videos:
            number = len(found) if isinstance(found, list) else 1
            flaws.append(Flaw(None, name, f"the split {split} has no such video ({number} segments)"))
        elif not isinstance(found, list):
            flaws.append(Flaw(None, name, "its entry is not a list of segments"))
        else:
            rows += _segments(video, name, found, labels, flaws)
    table = pd.DataFrame(rows, columns=["video_id", "label", "start", "end", "score"])
    table["video_score"] = table.groupby(["video_id", "label"])["score"].transform("max")
    table["rank"] = table.groupby(["video_id", "label"])["score"].rank("first", ascending=False).astype("Int32") - 1
    without = pd.DataFrame({"video_id": sorted(videos - set(table["video_id"]))})
    whole = pd.concat([table, without], ignore_index=True).assign(epoch=1, stream=ALL, split=split)
    return whole[DETECTIONS.names], flaws, count, len(table)


def _segments(
    video: str, name: str, found: list[Any], labels: set[str], flaws: list[Flaw]
) -> Iterator[tuple[str, str, float, float, float]]:
    for number, about in enumerate(found, 1):
        segment = about.get("segment") if isinstance(about, dict) else None
        label, score = (about.get("label"), about.get("score")) if isinstance(about, dict) else (None, None)
        numbers = [*segment, score] if isinstance(segment, list) else []
        real = [v for v in numbers if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]
        if len(numbers) != 3 or len(real) != 3 or not isinstance(label, str):
            flaws.append(Flaw(None, name, f"segment {number} is not {{label, score, segment: [start, end]}}"))
        elif nfc(label.strip()) not in labels:
            flaws.append(Flaw(None, name, f"segment {number} has a label that the data set lacks: {label!r}"))
        else:
            yield video, nfc(label.strip()), float(real[0]), float(real[1]), float(real[2])
