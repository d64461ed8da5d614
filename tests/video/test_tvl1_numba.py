"""TV-L1 by Numba against OpenCV, whose numerics it restates, and against itself in threads and in other processes."""

import hashlib
import itertools
import os
import subprocess
import sys

import av
import cv2
import numpy as np
import pytest
from motion import differences, error, moving

from conftest import ROOT, data
from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1 import by_numba, by_opencv

VIDEOS = ("v_CricketShot_g04_c01_rgb.gif", "v_BaseballPitch_g01_c01.avi", "v_GGSY1Qvo990.mp4", "Y1HGC.mp4")


@pytest.fixture(scope="module")
def settings(config) -> Tvl1:
    return Tvl1(**{name: config["flow"][name] for name in Tvl1.model_fields})


@pytest.fixture(scope="module")
def quick(settings) -> Tvl1:
    return settings.model_copy(update={"scales": 3, "warps": 2, "outer_iterations": 2, "inner_iterations": 10})


def numba_flow(video: np.ndarray, settings: Tvl1, threads: int = 1) -> np.ndarray:
    return by_numba.estimator(settings, threads)(video)


def opencv_flow(video: np.ndarray, settings: Tvl1) -> np.ndarray:
    return by_opencv.cpu_estimator(settings, 1)(video)


@pytest.mark.parametrize(("u", "v"), [(1.0, 0.0), (0.0, -1.5), (2.5, 1.25), (-3.0, 2.0)])
def test_known_motion(settings, u, v):
    video = moving(3, u, v)
    flow = numba_flow(video, settings)
    assert (flow.shape, flow.dtype) == ((2, 64, 80, 2), np.float32)
    assert error(flow, u, v) < 0.1
    mean, most, nearly_all = differences(flow, opencv_flow(video, settings))
    assert mean < 0.02
    assert most < 0.1
    assert nearly_all < 0.3


@pytest.mark.parametrize("name", VIDEOS)
def test_real_frames(settings, name):
    with av.open(str(data("videos", name))) as container:
        images = [f.to_ndarray(format="gray") for f in itertools.islice(container.decode(video=0), 22)]
    video = np.stack([cv2.resize(image, (128, 96), interpolation=cv2.INTER_AREA) for image in images[20:]])
    assert differences(numba_flow(video, settings), opencv_flow(video, settings))[0] < 0.02


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
def test_each_parameter_is_obeyed(quick, changes):
    video = moving(2, 2.5, 1.25, 48, 56)
    other = quick.model_copy(update=changes)
    flow = numba_flow(video, other)
    assert differences(flow, opencv_flow(video, other))[0] < 1e-3
    assert np.abs(flow - numba_flow(video, quick)).max() > 1e-3


SIZES = [
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
]


@pytest.mark.parametrize("size", SIZES)
def test_odd_and_tiny_sizes(quick, size):
    """Rows of one pixel, levels that OpenCV leaves out, widths about a multiple of a vector's."""
    video = np.random.default_rng(0).integers(0, 255, (3, *size), dtype=np.uint8)
    flow = numba_flow(video, quick)
    assert flow.shape == (2, *size, 2)
    assert np.isfinite(flow).all()
    if min(size) > 2:  # OpenCV's gradients read beyond smaller ones
        assert differences(flow, opencv_flow(video, quick))[0] < 0.05


def test_nothing_moves(settings):
    """No flow at all, as with OpenCV: videos have many frames twice, and what is not zero here would grow."""
    assert not numba_flow(np.full((3, 40, 40), 77, np.uint8), settings).any()
    assert not numba_flow(moving(1, 0, 0).repeat(2, 0), settings).any()


def test_flow_that_leaves_the_picture_is_finite(settings):
    """Black and white without any likeness, and a cut."""
    video = np.random.default_rng(0).choice(np.uint8([0, 255]), (4, 40, 50))
    video[2] = 0
    loose = settings.model_copy(update={"lambda_": 50.0, "theta": 2.0})
    assert np.isfinite(numba_flow(video, loose)).all()


def test_waves_compute_what_single_iterations_do(quick):
    """With no limit to reach, iterations go four at a time; asked for one by one, they give the same, bit for bit."""
    from vidistill.video.tvl1 import loops

    whole = quick.model_copy(update={"epsilon": 0.0, "outer_iterations": 1, "median_filtering": 1})
    video = moving(2, 2.5, 1.25, 48, 57)
    flow = numba_flow(video, whole)
    one_by_one = whole.model_copy(update={"outer_iterations": 10, "inner_iterations": 1})
    assert loops.WAVE > 1
    assert np.array_equal(numba_flow(video, one_by_one), flow)


def test_a_pair_depends_on_nothing_else(quick):
    """Bit for bit: in a video or alone, in threads or not, and after frames of another size."""
    video = np.concatenate([moving(3, 1.5, 0.5, 40, 48), moving(3, -4, 1, 40, 48)])
    estimate = by_numba.estimator(quick, 1)
    flow = estimate(video)
    assert np.array_equal(estimate(video), flow)
    for threads in (2, 3, 9):
        assert np.array_equal(numba_flow(video, quick, threads), flow), threads
    estimate(moving(2, 1, 1, 32, 40))
    assert np.array_equal(estimate(video[2:4]), flow[2:3])


def test_another_process_gives_the_same(quick):
    """And the loops are compiled only where they are used: the package is imported without Numba."""
    video = moving(2, 1.5, 0.5, 40, 48)
    script = (
        "import hashlib, sys\n"
        "import vidistill.video.flow\n"
        "assert 'numba' not in sys.modules\n"
        "from motion import moving\n"
        "from vidistill.video.tvl1 import by_numba\n"
        "from vidistill.settings.flow import Tvl1\n"
        f"flow = by_numba.estimator({quick!r}, 1)(moving(2, 1.5, 0.5, 40, 48))\n"
        "print(hashlib.sha256(flow.tobytes()).hexdigest())"
    )
    path = os.pathsep.join([str(ROOT / "workflow"), str(ROOT / "tests" / "video"), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == hashlib.sha256(numba_flow(video, quick).tobytes()).hexdigest()
