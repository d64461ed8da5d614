"""Section `decode`."""

from typing import Literal

from pydantic import Field

from vidistill.base.settings import Section


class DecodeSettings(Section):
    """Stage decode: frames at a constant rate and size, as the published I3D and flow networks expect them."""

    fps: float | None = Field(
        25.0,
        ge=0.1,
        le=240,
        description="Frames per second on the clock of a player; null keeps each file's own rate.",
    )
    short_side: int | None = Field(
        256,
        ge=1,
        description="Short side of the frames in pixels, resized bilinearly before everything else; null keeps each "
        "file's own size.",
    )
    resize: Literal["exact", "at_least"] = Field(
        "exact",
        description="With exact every video gets this short side, with at_least only smaller ones are enlarged to it.",
    )
    encoding: Literal["jpeg", "png"] = Field(
        "jpeg", description="How frames are stored between stages; png is lossless and takes twice the space."
    )
    jpeg_quality: int = Field(100, ge=1, le=100, description="Quality of the stored JPEG.")
    max_seconds: float = Field(7200.0, gt=0, description="Longer videos are cut here and counted as partial.")
    max_pixels: int = Field(
        40_000_000,
        ge=1,
        description="Videos with larger frames than this (width times height) are counted as bad, which bounds the "
        "memory.",
    )
