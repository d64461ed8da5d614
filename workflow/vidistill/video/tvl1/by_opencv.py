"""TV-L1 by OpenCV: `DualTVL1OpticalFlow` of opencv-contrib on the CPU, `OpticalFlowDual_TVL1` on a GPU.

Both classes lower their own number of scales when a level falls under 16 pixels, and neither is thread-safe: an
estimator has its own objects, for frames of one size.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1.parameters import Backend, Estimator


def cpu_estimator(parameters: Tvl1, threads: int, device: str = "cpu") -> Estimator:
    """An OpenCV object per thread, each for consecutive pairs; the result does not depend on the number of threads."""
    cv2.setNumThreads(1)  # OpenCV's own threads hardly help (measured) and would multiply with the workers
    objects = [_cpu_object(parameters) for _ in range(threads)]

    def estimate(frames: np.ndarray) -> np.ndarray:
        flow = np.empty((len(frames) - 1, *frames.shape[1:], 2), np.float32)

        def fill(tvl1: Any, pairs: np.ndarray) -> None:
            for t in pairs:
                flow[t] = tvl1.calc(frames[t], frames[t + 1], None)

        runs = np.array_split(np.arange(len(flow)), threads)
        if threads == 1:
            fill(objects[0], runs[0])
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(fill, objects, runs))
        return flow

    return estimate


def _cpu_object(parameters: Tvl1) -> Any:
    return cv2.optflow.DualTVL1OpticalFlow_create(  # type: ignore[attr-defined]
        tau=parameters.tau,
        lambda_=parameters.lambda_,
        theta=parameters.theta,
        nscales=parameters.scales,
        warps=parameters.warps,
        epsilon=parameters.epsilon,
        innnerIterations=parameters.inner_iterations,  # three n: OpenCV's spelling
        outerIterations=parameters.outer_iterations,
        scaleStep=parameters.scale_step,
        medianFiltering=parameters.median_filtering,
    )


def cpu_lacking() -> str:
    return "" if hasattr(cv2, "optflow") else "this OpenCV lacks its contrib modules"


def cuda_estimator(parameters: Tvl1, threads: int, device: str) -> Estimator:
    """The CUDA class: as many iterations as the CPU's inner and outer ones together, and no median filter."""
    gpu = int(device.removeprefix("cuda:"))
    cv2.cuda.setDevice(gpu)
    tvl1 = cv2.cuda.OpticalFlowDual_TVL1.create(  # type: ignore[attr-defined]
        parameters.tau,
        parameters.lambda_,
        parameters.theta,
        parameters.scales,
        parameters.warps,
        parameters.epsilon,
        parameters.inner_iterations * parameters.outer_iterations,
        parameters.scale_step,
    )

    def estimate(frames: np.ndarray) -> np.ndarray:
        flow = np.empty((len(frames) - 1, *frames.shape[1:], 2), np.float32)
        cv2.cuda.setDevice(gpu)  # CUDA's current device is per thread
        first, second = cv2.cuda.GpuMat(), cv2.cuda.GpuMat()
        first.upload(frames[0])
        for t in range(len(flow)):
            second.upload(frames[t + 1])
            flow[t] = tvl1.calc(first, second, None).download()
            first, second = second, first
        return flow

    return estimate


def cuda_lacking() -> str:
    if not hasattr(getattr(cv2, "cuda", None), "OpticalFlowDual_TVL1"):
        return "this OpenCV is built without CUDA's optical flow"
    return "" if gpus() else "OpenCV finds no GPU"


def gpus() -> int:
    return max(0, cv2.cuda.getCudaEnabledDeviceCount())  # -1: the driver is too old


CPU = Backend({"cpu": cpu_lacking}, gpus, cpu_estimator, pairs=16)
CUDA = Backend({"cuda": cuda_lacking}, gpus, cuda_estimator, pairs=64)
