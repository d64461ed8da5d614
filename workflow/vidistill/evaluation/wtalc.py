"""The protocol of W-TALC's code, by which much of the field's numbers on THUMOS14 are made, as in MMSD's version.

Times are rounded to snippets, predictions that touch an ambiguous segment are removed, and a class without predictions
makes all numbers 0. The rest is as in `average_precision`. On equal predictions it differs from that by points.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vidistill.base.stage import UserError
from vidistill.data.annotations.annotation import lines, seconds
from vidistill.evaluation import average_precision


def read_ambiguous(path: Path) -> pd.DataFrame:
    """Ambiguous segments: columns video_id, start, end (seconds).

    Raises:
        UserError: a line is not of the form `video start end` (named).
    """
    rows = []
    for line, text in lines(str(path)):
        place, fields = f"{path}, line {line}", text.split()
        if len(fields) != 3:
            raise UserError(f"{place}: {text[:60]!r} is not of the form 'video start end'; correct the line.")
        rows.append((fields[0], seconds(fields[1], place, "start"), seconds(fields[2], place, "end")))
    return pd.DataFrame(rows, columns=["video_id", "start", "end"])


def in_snippets(table: pd.DataFrame, rate: float) -> pd.DataFrame:
    """The table with start and end rounded to whole snippets, half to even."""
    return table.assign(start=np.rint(table["start"] * rate), end=np.rint(table["end"] * rate))


def mean_average_precision(
    truth: pd.DataFrame,
    found: pd.DataFrame,
    ambiguous: pd.DataFrame | None,
    videos: Sequence[str],
    *,
    tious: Sequence[float],
    rate: float,
) -> np.ndarray:
    """(T,) percent by this protocol.

    Segments of the ground truth that shrink to nothing remain, and cannot be found; such predictions are left out.

    Args:
        truth, found, videos, tious: as for `average_precision.rank`, times in seconds.
        ambiguous: from `read_ambiguous`.
        rate: snippets per second.
    """
    truth, found = in_snippets(truth, rate), in_snippets(found, rate)
    kept = (found["start"] < found["end"]).to_numpy(copy=True)
    for segment in () if ambiguous is None else in_snippets(ambiguous, rate).itertuples():
        both = np.minimum(found["end"], segment.end) - np.maximum(found["start"], segment.start)
        kept &= ~((found["video_id"] == segment.video_id) & (both > 0)).to_numpy()
    ranked = average_precision.rank(truth, found[kept], videos, tious, earliest=True)
    if any(not len(of_class.videos) for of_class in ranked.values()):
        return np.zeros(len(tious))
    return average_precision.mean_average_precision(ranked, np.ones((1, len(videos))))[0]
