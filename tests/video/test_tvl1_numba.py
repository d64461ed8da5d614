"""TV-L1 by Numba against itself in threads and in other processes."""

import hashlib
import os
import subprocess
import sys

import numpy as np
from motion import moving

from conftest import ROOT
from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1 import by_numba


def numba_flow(video: np.ndarray, settings: Tvl1, threads: int = 1) -> np.ndarray:
    return by_numba.estimator(settings, threads)(video)


def test_flow_that_leaves_the_picture_is_finite(tvl1):
    """Black and white without any likeness, and a cut."""
    video = np.random.default_rng(0).choice(np.uint8([0, 255]), (4, 40, 50))
    video[2] = 0
    loose = tvl1.model_copy(update={"lambda_": 50.0, "theta": 2.0})
    assert np.isfinite(numba_flow(video, loose)).all()


def test_waves_compute_what_single_iterations_do(quick_tvl1):
    """With no limit to reach, iterations go four at a time; asked for one by one, they give the same, bit for bit."""
    from vidistill.video.tvl1 import loops

    whole = quick_tvl1.model_copy(update={"epsilon": 0.0, "outer_iterations": 1, "median_filtering": 1})
    video = moving(2, 2.5, 1.25, 48, 57)
    flow = numba_flow(video, whole)
    one_by_one = whole.model_copy(update={"outer_iterations": 10, "inner_iterations": 1})
    assert loops.WAVE > 1
    assert np.array_equal(numba_flow(video, one_by_one), flow)


def test_a_pair_depends_on_nothing_else(quick_tvl1):
    """Bit for bit: in a video or alone, in threads or not, and after frames of another size."""
    video = np.concatenate([moving(3, 1.5, 0.5, 40, 48), moving(3, -4, 1, 40, 48)])
    estimate = by_numba.estimator(quick_tvl1, 1)
    flow = estimate(video)
    assert np.array_equal(estimate(video), flow)
    for threads in (2, 3, 9):
        assert np.array_equal(numba_flow(video, quick_tvl1, threads), flow), threads
    estimate(moving(2, 1, 1, 32, 40))
    assert np.array_equal(estimate(video[2:4]), flow[2:3])


def test_another_process_gives_the_same(quick_tvl1):
    """And the loops are compiled only where they are used: the package is imported without Numba."""
    video = moving(2, 1.5, 0.5, 40, 48)
    script = (
        "import hashlib, sys\n"
        "import vidistill.video.flow\n"
        "assert 'numba' not in sys.modules\n"
        "from motion import moving\n"
        "from vidistill.video.tvl1 import by_numba\n"
        "from vidistill.settings.flow import Tvl1\n"
        f"flow = by_numba.estimator({quick_tvl1!r}, 1)(moving(2, 1.5, 0.5, 40, 48))\n"
        "print(hashlib.sha256(flow.tobytes()).hexdigest())"
    )
    path = os.pathsep.join([str(ROOT / "workflow"), str(ROOT / "tests" / "video"), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == hashlib.sha256(numba_flow(video, quick_tvl1).tobytes()).hexdigest()
