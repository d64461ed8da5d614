"""Section `export`."""

from pydantic import Field

from vidistill.base.gpus import Device
from vidistill.base.settings import Section


class ExportSection(Section):
    """Stage export: what a teacher knows, written once for its students."""

    threads: int = Field(
        2,
        ge=1,
        description="Threads of PyTorch on the CPU; a setting, so that results do not depend on the cores that a run "
        "is given.",
    )


class ExportSettings(ExportSection):
    device: Device
