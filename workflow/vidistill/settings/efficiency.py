"""Section `efficiency`."""

from pydantic import Field

from vidistill.base.gpus import Device
from vidistill.base.settings import Section


class EfficiencySection(Section):
    """Stage efficiency: parameters, multiply-adds and latency of the models of a result, one query at a time."""

    threads: int = Field(
        1, ge=1, description="Threads of PyTorch on the CPU; latency depends on them, so results name them."
    )
    warm_up: int = Field(20, ge=0, description="Queries answered before the measurement.")
    queries: int = Field(200, ge=1, description="Queries whose median time is the latency.")


class EfficiencySettings(EfficiencySection):
    dataset: str
    methods: dict[str, str]  # model -> its method
    device: Device
