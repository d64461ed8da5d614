"""Section `export`."""

from pydantic import Field

from vidistill.base.gpus import Device
from vidistill.base.settings import Section
from vidistill.settings.train import Unify


class ExportSection(Section):
    """Stage export: what a teacher knows, written once for its students."""

    threads: int = Field(
        2,
        ge=1,
        description="Threads of PyTorch on the CPU; a setting, so that results do not depend on the cores that a run "
        "is given.",
    )
    unify: Unify = Field(
        "distribution",
        description="The form of exported starts and ends: distributions over snippets, or, as in EMTM's released "
        "code, sigmoids of span logits and L2-normalised values of other networks. A model may have its own.",
    )
    sigma: float = Field(
        0.05,
        gt=0,
        description="Standard deviation of the Gaussians at a proposal's start and end, as a share of the video.",
    )
    temperature: float = Field(
        0.25, gt=0, description="A proposal's weight in them is the softmax of its score / temperature."
    )


class ExportSettings(ExportSection):
    device: Device
