"""Section `figures`."""

from pydantic import Field

from vidistill.base.settings import Section


class FiguresSection(Section):
    """Stage figures: how much the report shows."""

    videos: int = Field(
        3, ge=0, description="Videos of the evaluated split that are shown with frames and optical flow."
    )
    frames: int = Field(6, ge=1, description="Frames shown of each video, and of each query.")
    queries: int = Field(
        3,
        ge=0,
        description="Queries shown with their activation maps, of the best, the median and the worst answered each.",
    )
    groups: int = Field(
        4,
        ge=1,
        description="Groups of about equal size into which queries are divided by the length and the position of "
        "their moment and by the words of their sentence.",
    )
