"""What TV-L1 by Numba and by PyTorch share: OpenCV's numerics, which both restate."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import av
import cv2
import numpy as np
import pytest
from motion import differences, error, moving

from conftest import data
from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1 import by_numba, by_opencv, by_torch
from vidistill.video.tvl1.parameters import Estimator

VIDEOS = ("v_CricketShot_g04_c01_rgb.gif", "v_BaseballPitch_g01_c01.avi", "v_GGSY1Qvo990.mp4", "Y1HGC.mp4")


class Way(NamedTuple):
    """A backend, and how far its flow may be from OpenCV's on average, in pixels."""

    estimator: Callable[..., Estimator]
    limit: float

    def flow(self, video: np.ndarray, parameters: Tvl1) -> np.ndarray:
        return self.estimator(parameters, 1, "cpu")(video)


@pytest.fixture(params=[Way(by_numba.estimator, 0.02), Way(by_torch.estimator, 0.03)], ids=["numba", "torch"])
def way(request) -> Way:
    return request.param


def opencv_flow(video: np.ndarray, parameters: Tvl1) -> np.ndarray:
    return by_opencv.cpu_estimator(parameters, 1)(video)


@pytest.mark.parametrize(("u", "v"), [(1.0, 0.0), (0.0, -1.5), (2.5, 1.25), (-3.0, 2.0)])
def test_known_motion(way, tvl1, u, v):
    video = moving(3, u, v)
    flow = way.flow(video, tvl1)
    assert (flow.shape, flow.dtype) == ((2, 64, 80, 2), np.float32)
    assert error(flow, u, v) < 0.1
    mean, most, nearly_all = differences(flow, opencv_flow(video, tvl1))
    assert mean < way.limit
    assert most < 0.1
    assert nearly_all < 0.3


@pytest.mark.parametrize("name", VIDEOS)
def test_real_frames(way, tvl1, name):
    with av.open(str(data("videos", name))) as container:
        frames = [f.to_ndarray(format="gray") for f in itertools.islice(container.decode(video=0), 23)][20:]
    size = 128, round(128 * frames[0].shape[0] / frames[0].shape[1])
    video = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
    mean, most, nearly_all = differences(way.flow(video, tvl1), opencv_flow(video, tvl1))
    assert mean < way.limit
    assert most < 0.1
    assert nearly_all < 0.3


CHANGES = [
    {"tau": 0.1},
    {"lambda_": 0.02},
    {"theta": 0.8},
    {"scales": 1},
    {"scale_step": 0.5},
    {"warps": 1},
    {"inner_iterations": 3},
    {"outer_iterations": 1},
    {"median_filtering": 3},
    {"median_filtering": 1},
    {"epsilon": 0.3},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_each_parameter_is_obeyed(way, quick_tvl1, changes):
    video = moving(2, 2.5, 1.25, 48, 56)
    other = quick_tvl1.model_copy(update=changes)
    flow = way.flow(video, other)
    assert differences(flow, opencv_flow(video, other))[0] < 1e-3
    assert np.abs(flow - way.flow(video, quick_tvl1)).max() > 1e-3


SIZES = (
    (1, 1),
    (1, 40),
    (40, 1),
    (2, 300),
    (300, 2),
    (15, 16),
    (16, 16),
    (33, 17),
    (20, 21),
    (24, 31),
    (24, 32),
    (24, 33),
)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_odd_and_tiny_sizes(way, quick_tvl1, size):
    """Rows of one pixel, levels that OpenCV leaves out, widths about a multiple of a vector's."""
    video = np.random.default_rng(0).integers(0, 255, (3, *size), dtype=np.uint8)
    flow = way.flow(video, quick_tvl1)
    assert flow.shape == (2, *size, 2)
    assert np.isfinite(flow).all()
    if min(size) > 2:  # OpenCV's gradients read beyond smaller ones
        assert differences(flow, opencv_flow(video, quick_tvl1))[0] < 0.05


def test_nothing_moves(way, tvl1):
    """No flow at all, as with OpenCV: videos have many frames twice, and what is not zero here would grow."""
    assert not way.flow(np.full((3, 40, 40), 77, np.uint8), tvl1).any()
    assert not way.flow(moving(1, 0, 0).repeat(2, 0), tvl1).any()
