"""Section `localisation`."""

from typing import Annotated

from pydantic import Field

from vidistill.base.settings import Distinct, Several, Text
from vidistill.settings.evaluate import Reporting

MEAN = "mAP"  # over all thresholds


class LocalisationSection(Reporting):
    """Stage localisation: mean average precision of segments of actions, and what it is worth."""

    tious: Distinct[Annotated[float, Field(gt=0, le=1)]] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
        description="The temporal IoU that a segment must reach; mAP without a threshold is the mean over all. "
        "THUMOS14 has 0.1 to 0.7, ActivityNet 0.5 to 0.95 in steps of 0.05.",
    )
    exclude_videos: tuple[Text, ...] = Field(
        (),
        description="Videos left out of ground truth and predictions, in THUMOS14 video_test_0000270, "
        "video_test_0001292 and video_test_0001496, whose annotations are wrong or missing. The protocol of W-TALC has "
        "them.",
    )
    wtalc_rate: float | None = Field(
        None,
        gt=0,
        description="Snippets per second of the protocol of W-TALC, by whose code much of the field's numbers on "
        "THUMOS14 are made (1.5625); null: without that protocol.",
    )
    ambiguous: Text | None = Field(
        None,
        description="File of ambiguous segments, `video start end` on each line (THUMOS14: Ambiguous_test.txt). The "
        "protocol of W-TALC removes predictions that touch one.",
    )
    interval_steps: int = Field(
        20,
        ge=1,
        le=100,
        description="The constant interval that is compared with starts and ends at a multiple of 1 / interval_steps "
        "of the duration.",
    )
    bootstrap_samples: int = Field(1_000, ge=1, description="How often the videos are resampled for an interval.")


class LocalisationSettings(LocalisationSection):
    dataset: str
    model: str
    compare_with: tuple[str, ...]  # models, compared on the same videos
    seeds: Several[int]
    max_bad_share: float

    @property
    def names(self) -> list[str]:
        """Names of the metrics."""
        return [*(f"{MEAN}@{tiou:g}" for tiou in self.tious), MEAN]
