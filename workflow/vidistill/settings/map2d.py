"""Section `emtm.map2d`: the teacher with a 2D map, 2D-TAN (Zhang et al., AAAI 2020)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from vidistill.base.settings import Section
from vidistill.settings.train import Normalise


class Map2DSection(Section):
    """The network map2d, 2D-TAN (Zhang et al., AAAI 2020): its values for Charades-STA."""

    rows: int = Field(
        256,
        ge=8,
        description="Rows that each video's features are averaged or repeated to, in place of "
        "train.snippets; a multiple of clips.",
    )
    normalise: Normalise = Field("rows", description="Scaling of the features, as train.normalise for other networks.")
    clips: Literal[8, 16, 32, 64, 128] = Field(
        16, description="N, clips per video; the map has N rows and columns (ActivityNet Captions 64, TACoS 128)."
    )
    dim: int = Field(512, ge=1, description="Hidden width h; 64, with layers: 4 and kernel: 5, where there is no GPU.")
    layers: int = Field(8, ge=1, description="Convolutions over the map (ActivityNet Captions 4).")
    kernel: Literal[3, 5, 7, 9] = Field(5, description="Their kernel (ActivityNet Captions 9).")
    iou_low: float = Field(
        0.5, ge=0, lt=1, description="IoU of a cell and the moment up to which its label is 0 (TACoS 0.3)."
    )
    iou_high: float = Field(1.0, gt=0, le=1, description="IoU from which its label is 1 (TACoS 0.7).")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.rows % self.clips:
            raise ValueError(f"rows is {self.rows}, no multiple of {self.clips} clips; use a multiple")
        if self.iou_low >= self.iou_high:
            raise ValueError(f"iou_low {self.iou_low} is not below iou_high {self.iou_high}; lower it")
        return self
