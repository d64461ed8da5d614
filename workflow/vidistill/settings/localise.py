"""Section `localise`."""

from typing import Annotated, Literal

from pydantic import Field

from vidistill.base.gpus import Device
from vidistill.base.settings import Distinct, Section

RELEASED = tuple(round(0.0003 + 0.0005 * step, 4) for step in range(20))


class SegmentSettings(Section):
    """How segments are found in a class's scores over time."""

    stream_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {"rgb": 0.2, "flow": 0.4, "fused": 0.4},
        description="Weights of the streams in attention and scores; those of the streams that a model has are scaled "
        "to a sum of 1.",
    )
    thresholds: Distinct[Annotated[float, Field(ge=0, lt=1)]] = Field(
        RELEASED,
        description="Thresholds of the scores: a run of snippets above one of them is a segment. The default is the "
        "released one for THUMOS14 (0.0003 to 0.0098 in steps of 0.0005).",
    )
    min_snippets: int = Field(2, ge=1, description="Snippets of the shortest run.")
    margin: float = Field(
        0.25,
        ge=0,
        description="A segment's score is its mean less that of this share of its length on either side.",
    )
    overlap: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Non-maximum suppression per video and class: a segment of which a better one covers a larger "
        "share is left out.",
    )
    boundary: Literal["released", "exact"] = Field(
        "released",
        description="released: a segment has one snippet more than its run, as in the released code; exact: the run.",
    )


class LocaliseSection(SegmentSettings):
    """Stage localise: segments of a trained model of MMSD."""

    class_threshold: float = Field(
        0.2,
        ge=0,
        le=1,
        description="A video has the classes whose score is at least this, or the best one. Lower where videos have "
        "many classes.",
    )
    threads: int = Field(
        2,
        ge=1,
        description="Threads of PyTorch on the CPU; a setting, so that results do not depend on the cores that a run "
        "is given.",
    )


class LocaliseSettings(LocaliseSection):
    id_prefix: str = ""  # of video ids, which toolkits do not know
    device: Device
