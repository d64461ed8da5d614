"""Section `demo`."""

from pydantic import Field

from vidistill.base.settings import Section


class DemoSettings(Section):
    """Stage demo: videos with moving objects that the workflow draws, and their annotations."""

    seed: int = Field(
        0,
        ge=0,
        description="What happens in the videos and how they look; other seeds give other videos of the same kind.",
    )
    train_videos: int = Field(480, ge=1, description="Videos for training, with about three sentences each.")
    test_videos: int = Field(310, ge=1, description="Videos for testing, with about three sentences each.")
    seconds: float = Field(
        10.0, ge=2, le=600, description="Mean duration of a video; single ones differ from it by up to a tenth."
    )
    noise: float = Field(
        3.0, ge=0, le=50, description="Standard deviation of the camera noise, in grey levels of 0 to 255."
    )
