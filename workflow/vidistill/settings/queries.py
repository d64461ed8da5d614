"""The keys of a data set that make its tables."""

from typing import Literal

from pydantic import Field

from vidistill.base.settings import Section, Several, Text


class QueriesSection(Section):
    format: Literal["charades", "activitynet", "tacos", "table"] = Field(
        "table",
        description="The form of the annotation files: charades (`video start end##sentence` on each line), "
        "activitynet (a JSON object `id -> {duration, timestamps, sentences}`), tacos (the same with timestamps in "
        "frames and `fps, num_frames` in place of the duration; rows that repeat others are kept), or table (CSV, or "
        "JSON in lines or as pandas writes it, with the columns video and sentence and, where known, start, end, "
        "duration and split).",
    )
    annotations: dict[Literal["train", "val", "test"], tuple[Text, ...]] = Field(
        min_length=1,
        description="The annotation files of each split (train, val, test); in a table with a column split that "
        "column counts, row by row.",
    )
    durations: tuple[Text, ...] = Field(
        (),
        description="CSV files with the columns id and length (seconds), for annotations without durations, such as "
        "Charades_v1_train.csv; a duration found nowhere is read from the video file.",
    )
    beyond_duration: Literal["clamp", "drop"] = Field(
        "clamp",
        description="What becomes of a query whose moment ends beyond the video's duration: its end is clamped to the "
        "duration, or the query is dropped, as CPL's split of Charades-STA does.",
    )


class QueriesSettings(QueriesSection):
    """Stage queries, and stage moments: a data set's tables."""

    dataset: str


class TrainingMomentsSettings(QueriesSettings):
    """Stage training_moments: which moments a training may read."""

    train_splits: Several[str]
