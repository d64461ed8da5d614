"""Section `flow`."""

from typing import Literal

from pydantic import Field

from vidistill.base.gpus import Device
from vidistill.base.settings import Section


class Tvl1(Section):
    """The parameters of TV-L1, named as OpenCV names them, whose defaults are those of the published flow networks."""

    tau: float = Field(0.25, gt=0, description="Time step of the dual update.")
    lambda_: float = Field(
        0.15,
        gt=0,
        description="Weight of brightness constancy against smoothness; smaller is smoother (OpenCV's name, Python "
        "reserves lambda).",
    )
    theta: float = Field(0.3, gt=0, description="Tightness between the flow and its smooth copy.")
    scales: int = Field(
        5, ge=1, description="Levels of the pyramid; fewer are used when a level falls under 16 pixels."
    )
    scale_step: float = Field(0.8, gt=0, lt=1, description="Size of a level relative to the one below.")
    warps: int = Field(5, ge=1, description="Warps per level; the cost grows with them.")
    inner_iterations: int = Field(30, ge=1, description="Iterations between two median filters.")
    outer_iterations: int = Field(
        10,
        ge=1,
        description="Rounds of median filter and inner iterations per warp; backends without the filter do as many "
        "iterations in one go.",
    )
    median_filtering: Literal[1, 3, 5] = Field(
        5, description="Side of the median filter in pixels, 1 for none; opencv-cuda has none."
    )
    epsilon: float = Field(
        0.01, ge=0, description="Iterations end when the flow changes by less than this many pixels."
    )

    def stop_below(self, height: int, width: int) -> float:
        """Squared change of the flow, summed over the image, that ends the iterations when no longer exceeded."""
        return self.epsilon**2 * height * width


class FlowSection(Tvl1):
    """Stage flow: TV-L1 optical flow, with OpenCV's CPU defaults as DeepMind's flow for I3D."""

    backend: Literal["auto", "numba", "torch", "opencv-cuda", "opencv-cpu"] = Field(
        "auto",
        description="What computes TV-L1. auto takes opencv-cuda where OpenCV is built with CUDA, else torch on a GPU, "
        "else numba, and logs which; opencv-cpu is the reference, about 20 times slower than numba.",
    )
    bound: float = Field(
        20.0, gt=0, description="Flow is clamped to plus or minus this many pixels and stored as 0 to 255."
    )


class FlowSettings(FlowSection):
    device: Device
