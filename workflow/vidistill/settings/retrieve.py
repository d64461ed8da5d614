"""Section `retrieve`."""

from pydantic import Field

from vidistill.base.gpus import Device
from vidistill.base.settings import Section


class RetrieveSection(Section):
    """Stage retrieve: where the right video ranks among all videos of the evaluated split, for each sentence."""

    threads: int = Field(2, ge=1, description="Threads of PyTorch on the CPU.")
    pairs: int = Field(
        50_000,
        ge=1,
        description="Pairs of a sentence and a video, at most, of models of EMTM, which read each pair. If there are "
        "more, only some of the sentences are asked, of all videos.",
    )


class RetrieveSettings(RetrieveSection):
    split: str
    device: Device
