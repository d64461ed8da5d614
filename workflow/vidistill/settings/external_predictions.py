"""Settings of stage `external_predictions`."""

from vidistill.base.settings import Section, Several
from vidistill.settings.queries import Task


class ExternalPredictionsSettings(Section):
    dataset: str
    model: str
    task: Task
    split: str  # that is evaluated
    id_prefix: str
    train_splits: Several[str]  # whose moments fit the baselines without video
    supervision: str | None  # as the configuration states it
    list_at_most: int
