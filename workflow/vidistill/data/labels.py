"""What models see of labels: of actions, those of training videos alone; of sentences, each label's words."""

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from vidistill.base.stage import UserError


def read(queries: Path, splits: Collection[str], test_splits: Collection[str]) -> pd.DataFrame:
    """The labels of the videos of `splits`: columns query_id, video_id, split, label, one row per video and label.

    Videos without labels have no row.

    Raises:
        UserError: one of the splits is a test split, or no video has a label.
    """
    if refused := sorted(set(splits) & set(test_splits)):
        raise UserError(
            f"{queries}: labels of the split {refused[0]} are refused, since it is one of train.test_splits; remove it "
            "from train.train_splits or train.test_splits."
        )
    # Filtered while it is read, so that labels of other splits never reach the caller.
    columns = ["query_id", "video_id", "split", "label"]
    table = pq.read_table(queries, columns=columns, filters=[("split", "in", list(splits))]).to_pandas()
    table = table.dropna(subset="label").reset_index(drop=True)
    if table.empty:
        raise UserError(
            f"{queries}: no video of the splits {', '.join(splits)} has a label; train on a data set with task: "
            "localization and labels in these splits."
        )
    return table


def classes(table: pd.DataFrame) -> tuple[str, ...]:
    """The C classes of a model: the labels of its training videos, sorted."""
    return tuple(sorted(table["label"].unique()))


def videos(queries: Path) -> pd.DataFrame:
    """All videos without their labels: columns video_id, split, duration (seconds, NaN if unknown), one row each."""
    table = pq.read_table(queries, columns=["video_id", "split", "duration"]).to_pandas()
    return table.drop_duplicates(["video_id", "split"], ignore_index=True)


def as_sentence(label: str) -> str:
    """The words of a label in lower case, as `CricketBowling` -> "cricket bowling", `cut_tomato` -> "cut tomato"."""
    apart = re.sub(r"(?<=[^\W\d_])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])|_", " ", label)
    return " ".join(apart.lower().split())


def with_sentences(queries: pd.DataFrame) -> pd.DataFrame:
    """Queries whose sentence is that of their label where they have none; rows without either are left out.

    So models for sentences learn from labels as well, and find a label's segments in a video.

    Args:
        queries: columns sentence and label, among others.
    """
    words = queries["label"].map(as_sentence, na_action="ignore")
    filled = queries.assign(sentence=queries["sentence"].where(queries["sentence"].notna(), words))
    return filled.dropna(subset="sentence").reset_index(drop=True)
