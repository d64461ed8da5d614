"""Section `evaluate`, and what it has in common with section `localisation`."""

from typing import Annotated, Literal

from pydantic import Field

from vidistill.base.settings import Distinct, Section, Text, Unique

VoteWeight = Literal["iou", "one"]


class Reporting(Section):
    """What every evaluation has."""

    split: Text = Field(
        "test",
        description="The split that is evaluated; where it is not among train.test_splits, the last epoch alone is "
        "predicted.",
    )
    bootstrap_samples: int = Field(
        10_000, ge=1, description="How often queries, or videos with labels, are resampled for an interval."
    )
    bootstrap_seed: int = Field(0, ge=0, description="Seed of the resampling.")
    confidence: float = Field(
        0.95,
        gt=0,
        lt=1,
        description="Confidence of the intervals; a difference whose interval contains 0 is within noise.",
    )
    list_at_most: int = Field(
        50,
        ge=0,
        description="Entries shown of each list of bad, partial or missing videos; the counts are complete.",
    )


class EvaluateSection(Reporting):
    """Stage evaluate: numbers, and what they are worth."""

    thresholds: Distinct[Annotated[float, Field(gt=0, le=1)]] = Field(
        (0.3, 0.5, 0.7), description="The values m of R@m and R5@m; a prediction counts when its IoU is at least m."
    )
    window_tious: Unique[Annotated[float, Field(gt=0, le=1)]] = Field(
        (),
        description="Thresholds of the mean average precision over the windows of a query, mAP@m and their mean mAP, "
        "for data sets whose queries have several true moments; QVHighlights has 0.5 to 0.95 in steps of 0.05. Without "
        "any there is no such metric.",
    )
    vote_weight: VoteWeight = Field(
        "iou",
        description="Weight of a proposal's vote in CPL's vote rule: its IoU with the proposal of lowest "
        "reconstruction error (iou, Charades-STA) or 1 (one, ActivityNet Captions).",
    )
    oracle_metric: str = Field(
        "mIoU",
        description="The metric by which the epoch that is best on the test split is chosen, for the column labelled "
        "oracle; CPL chose by mIoU.",
    )
    constant_steps: int = Field(
        50,
        ge=1,
        le=1000,
        description="The constant interval that is compared with starts and ends at a multiple of 1 / constant_steps "
        "of the duration; 50 (Charades-STA) and 20 (ActivityNet Captions) give the field's numbers.",
    )
