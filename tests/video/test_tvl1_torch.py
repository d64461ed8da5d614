"""TV-L1 by PyTorch: its parts against OpenCV, and the whole against itself in other batches and by kernels.

Flow cannot agree to the last digit: OpenCV itself gives flow that is 0.007 pixels off, on average, for frames that
differ by 1e-5 of a grey level, since the iterations then stop elsewhere and each warp enlarges what differs.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from motion import differences, moving
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from conftest import ROOT
from vidistill.settings.flow import Tvl1
from vidistill.video.tvl1 import by_torch, images


def torch_flow(video: np.ndarray, settings: Tvl1, **options: Any) -> np.ndarray:
    return by_torch.estimator(settings, 1, "cpu", **options)(video)


# --- Against OpenCV


def test_median():
    image = np.random.default_rng(0).normal(size=(23, 31)).astype(np.float32)
    image[:8] = image[:8].round()  # equal values
    for side in (3, 5):
        ours = images.median(torch.from_numpy(image)[None, None], side)
        assert np.array_equal(ours[0, 0].numpy(), cv2.medianBlur(image, side)), side


@pytest.mark.parametrize("step", [0.8, 0.5, 0.7])
def test_pyramid(quick_tvl1, step):
    image = np.random.default_rng(0).uniform(0, 255, (37, 53)).astype(np.float32)
    levels = images.pyramid(
        torch.from_numpy(image)[None, None], quick_tvl1.model_copy(update={"scale_step": step, "scales": 9})
    )
    expected = image
    for level in levels[1:]:
        larger, expected = expected, cv2.resize(expected, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
        assert np.abs(level[0, 0].numpy() - expected).max() < 1e-3
        back = images.resize(level, *larger.shape)[0, 0].numpy()
        assert np.abs(back - cv2.resize(expected, larger.shape[::-1], interpolation=cv2.INTER_LINEAR)).max() < 1e-3
    assert min(levels[-1].shape[2:]) >= 16
    assert min(round(side * step) for side in levels[-1].shape[2:]) < 16


def test_warp():
    rng = np.random.default_rng(0)
    image, u = rng.uniform(0, 255, (37, 53)), rng.normal(0, 4, (2, 37, 53))  # some leave the picture
    y, x = np.mgrid[:37, :53]
    expected = cv2.remap(np.float32(image), np.float32(x + u[0]), np.float32(y + u[1]), cv2.INTER_CUBIC)
    ours = images.warp(torch.tensor(image).float()[None, None], torch.tensor(u).float()[None])[0, 0].numpy()
    assert np.abs(ours - expected).max() < 1e-3
    same = images.warp(torch.tensor(image).float()[None, None], torch.zeros(1, 2, 37, 53))[0, 0].numpy()
    assert np.array_equal(same, np.float32(image)), "exactly"


# --- Pairs and batches


def test_a_pair_does_not_depend_on_its_batch(quick_tvl1):
    """Bit for bit: pairs that stop early, late and never, alone, three at once and all at once."""
    video = np.concatenate(
        [moving(3, 1.5, 0.5, 40, 48), moving(1, 0, 0, 40, 48).repeat(2, 0), moving(3, -4, 1, 40, 48)]
    )
    flow = torch_flow(video, quick_tvl1, batch=1)
    assert np.array_equal(torch_flow(video, quick_tvl1, batch=3), flow)
    assert np.array_equal(torch_flow(video, quick_tvl1, batch=99), flow)
    assert np.array_equal(torch_flow(video[2:4], quick_tvl1), flow[2:3])


# --- Stopping


class Counted(by_torch.Plain):
    """Counts its iterations and, as OpenCV has them, the pairs in them."""

    iterations = 0
    updates = 0

    def iterate(self) -> None:
        Counted.iterations += 1
        Counted.updates += int(self.running.sum())
        super().iterate()


@pytest.fixture
def counted():
    Counted.iterations = Counted.updates = 0
    return Counted


@pytest.mark.parametrize(("epsilon", "expected"), [(0.0, 3 * 2 * 2 * 10), (100.0, 3 * 2)])
def test_epsilon_ends_the_iterations(quick_tvl1, counted, epsilon, expected):
    torch_flow(moving(2, 2, 1), quick_tvl1.model_copy(update={"epsilon": epsilon}), solver=counted)
    assert counted.iterations == expected, "scales, warps, rounds and inner iterations, or one each warp"


def test_a_pair_stops_when_its_flow_hardly_changes(quick_tvl1, counted):
    """A batch goes on for as long as its slowest pair, and updates no other meanwhile."""
    quick_tvl1 = quick_tvl1.model_copy(update={"scales": 1, "warps": 1})
    moved, still = moving(2, 2, 1), moving(1, 0, 0).repeat(2, 0)
    counts = []
    for video in (moved, still, np.concatenate([moved, still])[[0, 1, 2, 3]]):
        Counted.iterations = Counted.updates = 0
        torch_flow(video, quick_tvl1, batch=9, solver=counted)
        counts.append((counted.iterations, counted.updates))
    assert counts[1] == (1, 1)
    assert 1 < counts[0][0] <= 20
    assert counts[2][0] >= counts[0][0]
    assert counts[0][1] + counts[1][1] < counts[2][1] < 3 * counts[2][0], "the pair between the two runs as well"


class NoHost(TorchDispatchMode):
    """Refuses whatever makes the host wait for a device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "masked_select", "_to_copy", "index"), name
        return func(*args, **(kwargs or {}))


def test_iterations_do_not_wait_for_the_host(tvl1):
    generator = torch.Generator().manual_seed(0)

    def normal(channels: int) -> Tensor:
        return torch.randn(2, channels, 20, 24, generator=generator)

    state = by_torch.Plain(normal(2), tvl1)
    with NoHost():
        state.linearise(normal(1), normal(2))
        state.median()
        for _ in range(3):
            state.iterate()
    assert state.running.shape == (2,)


@pytest.mark.parametrize(("ends_in", "expected"), [(0, 2), (3, 5), (8, 10), (99, 10)])
def test_on_a_gpu_the_host_learns_late_that_all_is_done(tvl1, monkeypatch, ends_in, expected):
    """It asks for the round before, so that a whole round is queued while it waits."""

    class State(SimpleNamespace):
        u = SimpleNamespace(is_cuda=True)
        rounds = 0

        def median(self) -> None:
            self.rounds += 1

        def iterate(self) -> None:
            pass

        @property
        def running(self) -> Tensor:
            return torch.tensor([self.rounds <= ends_in])

    monkeypatch.setattr(by_torch, "_look", lambda running: lambda: bool(running.any()))
    state = State()
    by_torch._relax(state, tvl1)
    assert state.rounds == expected


# --- Kernels


def test_where_triton_cannot_compile_plain_operations_do(monkeypatch, caplog):
    def try_out(device: torch.device) -> None:
        raise RuntimeError("Failed to find C compiler")

    fake: Any = ModuleType("vidistill.video.tvl1.fused")
    fake.try_out, fake.Fused = try_out, object
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr("vidistill.video.tvl1.fused", fake, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    choose = by_torch.fastest_solver.__wrapped__  # without its memory
    assert choose(torch.device("cuda")) is by_torch.Plain
    assert "Failed to find C compiler" in caplog.text
    fake.try_out = lambda device: None
    assert choose(torch.device("cuda")) is fake.Fused


@pytest.mark.whole_run  # the interpreter takes half a minute
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_kernels_compute_what_plain_operations_do():
    script = Path(__file__).with_name("interpreted.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "workflow"), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    flows, medians = [c for c in cases if "plain" in c], [c for c in cases if "median" in c]
    assert len(flows) == 3
    assert all(case["plain"] < 1e-4 and case["alone"] == 0 and case["largest"] > 0.5 for case in flows), flows
    assert [case["median"] for case in medians] == [0, 0]


# --- The device


def test_on_a_cpu_there_are_no_kernels():
    assert by_torch.fastest_solver(torch.device("cpu")) is by_torch.Plain


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_computes_what_the_cpu_does(tvl1):
    video = np.concatenate([moving(4, 1.5, 0.5), moving(1, 0, 0).repeat(2, 0), moving(3, -3, 2)])
    expected = torch_flow(video, tvl1)
    for solver in (by_torch.Plain, by_torch.fastest_solver(torch.device("cuda"))):
        flow = by_torch.estimator(tvl1, 1, "cuda", solver=solver)(video)
        assert differences(flow, expected)[0] < 0.02
        assert differences(flow, by_torch.estimator(tvl1, 1, "cuda", batch=1, solver=solver)(video))[0] < 1e-6


def test_the_threads_of_a_network_in_the_same_process_stay_as_they_are(quick_tvl1):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch_flow(moving(2, 1, 0), quick_tvl1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
