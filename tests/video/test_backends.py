"""Which backend computes TV-L1, on what, and why."""

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from conftest import ROOT
from vidistill.base import gpus
from vidistill.base.stage import UserError
from vidistill.video.tvl1 import backends
from vidistill.video.tvl1.backends import choose


@pytest.fixture
def gpus_of(monkeypatch):
    """A machine where PyTorch and OpenCV see so many GPUs; None: this OpenCV is built without CUDA."""

    def give(torch: int, opencv: int | None) -> None:
        monkeypatch.setattr(gpus, "has_gpu", lambda: torch + (opencv or 0) > 0)
        monkeypatch.setattr("vidistill.video.tvl1.by_torch.gpus", lambda: torch)
        monkeypatch.setattr(cv2.cuda, "getCudaEnabledDeviceCount", lambda: opencv or 0)
        if opencv is None:
            monkeypatch.delattr(cv2.cuda, "OpticalFlowDual_TVL1", raising=False)
        else:
            monkeypatch.setattr(cv2.cuda, "OpticalFlowDual_TVL1", object(), raising=False)

    return give


CHOICES = [  # PyTorch's GPUs, OpenCV's; the setting device; what auto takes
    (0, None, "auto", ("numba", "cpu")),
    (0, -1, "auto", ("numba", "cpu")),
    (0, 1, "auto", ("opencv-cuda", "cuda")),
    (1, 1, "auto", ("opencv-cuda", "cuda")),
    (1, None, "auto", ("torch", "cuda")),
    (1, 1, "cpu", ("numba", "cpu")),
    (1, None, "cuda", ("torch", "cuda")),
    (1, 1, "cuda", ("opencv-cuda", "cuda")),
]


@pytest.mark.parametrize(("torch", "opencv", "device", "expected"), CHOICES)
def test_auto_takes_the_first_that_works(gpus_of, torch, opencv, device, expected):
    gpus_of(torch, opencv)
    assert choose("auto", device) == expected


def test_it_says_why(gpus_of, caplog):
    caplog.set_level("INFO")
    gpus_of(0, None)
    choose("auto", "auto")
    assert "TV-L1 by numba, cpu" in caplog.text
    assert "compiles" in caplog.text
    assert "torch: PyTorch finds no GPU" in caplog.text
    assert "opencv-cuda: this OpenCV is built without CUDA" in caplog.text
    gpus_of(1, None)
    choose("auto", "auto")
    assert "torch: no GPU has run this backend yet" in caplog.text


def test_a_name_is_obeyed(gpus_of):
    gpus_of(1, 1)
    assert choose("torch", "auto") == choose("torch", "cuda") == ("torch", "cuda")
    assert choose("torch", "cpu") == ("torch", "cpu")
    assert choose("opencv-cuda", "auto") == ("opencv-cuda", "cuda")
    assert choose("opencv-cpu", "auto") == ("opencv-cpu", "cpu")
    assert choose("numba", "auto") == ("numba", "cpu")
    gpus_of(0, None)
    assert choose("torch", "auto") == ("torch", "cpu")


REFUSED = [
    ("opencv-cuda", "auto", r"built without CUDA.*flow\.backend: auto"),
    ("opencv-cuda", "cpu", "device is 'cpu'"),
    ("opencv-cpu", "cuda", "device is 'cuda'"),
    ("torch", "cuda", r"PyTorch finds no GPU; torch: device is 'cuda'"),
    ("numba", "cuda", "device is 'cuda'"),
    ("auto", "cuda", r"without CUDA.*PyTorch finds no GPU.*opencv-cpu: device is 'cuda'"),
]


@pytest.mark.parametrize(("wanted", "device", "sentence"), REFUSED)
def test_what_cannot_run_is_refused_in_a_sentence(gpus_of, wanted, device, sentence):
    gpus_of(0, None)
    with pytest.raises(UserError, match=rf"flow\.backend '{wanted}' cannot run here.*{sentence}"):
        choose(wanted, device)


def test_opencv_without_contrib(gpus_of, monkeypatch):
    gpus_of(0, None)
    monkeypatch.delattr(cv2, "optflow")
    with pytest.raises(UserError, match="contrib"):
        choose("opencv-cpu", "auto")
    assert choose("auto", "auto") == ("numba", "cpu")


def test_without_numba(gpus_of, monkeypatch):
    gpus_of(0, None)
    monkeypatch.setitem(sys.modules, "numba", None)
    assert choose("auto", "auto") == ("opencv-cpu", "cpu")


def test_a_gpu_has_one_job(gpus_of, monkeypatch, tmp_path: Path):
    """One lock for all stages and backends."""
    monkeypatch.setattr(gpus, "LOCKS", tmp_path)
    monkeypatch.setattr(gpus, "_held", {})
    gpus_of(2, 2)
    assert backends.take("torch", "cuda") == "cuda:0"
    assert backends.take("opencv-cuda", "cuda") == "cuda:0"
    assert backends.take("opencv-cpu", "cpu") == backends.take("torch", "cpu") == "cpu"


def test_opencv_on_a_cpu_does_without_pytorch():
    """Whose import takes seconds, in each of a shard's workers."""
    script = (
        "import sys; import vidistill.video.flow; from vidistill.base import gpus\n"
        "from vidistill.video.tvl1 import backends\n"
        "gpus.has_gpu = lambda: False\n"
        "assert backends.choose('opencv-cpu', 'auto') == ('opencv-cpu', 'cpu')\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(ROOT / "workflow")}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
