"""The keys of a data set that make its tables."""

from typing import Literal, Self

from pydantic import Field, model_validator

from vidistill.base.settings import Section, Several, Text

Split = Literal["train", "val", "test"]
Task = Literal["grounding", "localization"]
OF_LABELS = ("activitynet13", "table")  # formats that can hold labels
OF_SENTENCES = ("charades", "activitynet", "tacos", "qvhighlights", "timelens", "table")
Format = Literal["charades", "activitynet", "tacos", "qvhighlights", "timelens", "activitynet13", "table"]


class QueriesSection(Section):
    task: Task = Field(
        "grounding",
        description="What the annotations say about videos: sentences (grounding), or labels of actions "
        "(localization), whose segments in a video are one query together.",
    )
    format: Format = Field(
        "table",
        description="The form of the annotation files: charades (`video start end##sentence` on each line), "
        "activitynet (a JSON object `id -> {duration, timestamps, sentences}`), tacos (the same with timestamps in "
        "frames and `fps, num_frames` in place of the duration; rows that repeat others are kept), qvhighlights (JSON "
        "lines of moment_detr and lighthouse, `{qid, query, vid, duration, relevant_windows}`, several windows per "
        "query), timelens (a JSON object `id -> {duration, spans, queries}` of TimeLens-Bench), activitynet13 "
        '(labels as JSON, `{"database": {id: {subset, duration, annotations: [{segment, label}]}}}`, also '
        "THUMOS14's), or table (CSV, or JSON in lines or as pandas writes it, with the columns video and sentence, or "
        "label in place of sentence, and, where known, start, end, duration and split).",
    )
    formats: dict[Split, Format] = Field(
        {},
        description="The formats of splits whose files have another one, as {test: timelens} for models that are "
        "trained on Charades-STA and evaluated on its corrected test split.",
    )
    annotations: dict[Split, tuple[Text, ...]] = Field(
        min_length=1,
        description="The annotation files of each split (train, val, test); in a table with a column split that "
        "column counts, row by row, and in activitynet13 the subset.",
    )
    subsets: dict[Split, Text] = Field(
        {"train": "training", "test": "validation"},
        min_length=1,
        description="The subset that is each split, for activitynet13 alone; THUMOS14's are {train: validation, test: "
        "test}. Videos of other subsets are left out.",
    )
    labels: Literal["file", "segments"] = Field(
        "file",
        description="Which labels a training video has, for activitynet13 alone: those of its list `labels` where the "
        "file gives one (THUMOS14's differ from the segments' in 8 training videos), or those of its segments. Videos "
        "of other splits have those of both.",
    )
    durations: tuple[Text, ...] = Field(
        (),
        description="CSV files with the columns id and length (seconds), for annotations without durations, such as "
        "Charades_v1_train.csv; a duration found nowhere is read from the video file.",
    )
    id_prefix: str = Field(
        "",
        description="What precedes the ids of the annotations in the names of videos and features, `v_` for "
        "ActivityNet-1.3. The ids of all tables have it; the JSON that the field's toolkits read has not.",
    )
    beyond_duration: Literal["clamp", "drop", "keep"] = Field(
        default_factory=lambda found: "keep" if found.get("task") == "localization" else "clamp",
        description="What becomes of a moment that ends beyond the video's duration: its end is clamped to the "
        "duration, it is dropped (of a sentence the whole query), as CPL's split of Charades-STA does, or it is kept, "
        "as published ground truth of actions does. By default clamp for sentences and keep for labels.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in (self.format, *self.formats.values()):
            if name not in (OF_LABELS if self.task == "localization" else OF_SENTENCES):
                holds, task = ("sentences", "grounding") if name in OF_SENTENCES else ("labels", "localization")
                raise ValueError(f"the format {name} holds {holds}, not what task: {self.task} needs; set task: {task}")
        if len(set(self.subsets.values())) < len(self.subsets):
            raise ValueError("subsets gives two splits the same subset; give each its own")
        return self

    def format_of(self, split: str) -> Format:
        """The format of a split's files."""
        return {str(name): form for name, form in self.formats.items()}.get(split, self.format)


class QueriesSettings(QueriesSection):
    """Stage queries, and stage moments: a data set's tables."""

    dataset: str


class TrainingMomentsSettings(QueriesSettings):
    """Stages training_moments and training_labels: what a training may read."""

    train_splits: Several[str]
