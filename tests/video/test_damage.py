"""Good files with bytes flipped by the hundred: no crash, no hang, and no success that is not one."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from clips import numbered, write

from conftest import parse
from vidistill.video import frames
from vidistill.video.decode import DecodeSettings, decode

FORMS: dict[str, dict[str, Any]] = {
    ".mp4": {"options": {"movflags": "faststart"}},
    ".mkv": {"codec": "mpeg4"},
    ".avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    ".ts": {"codec": "mpeg2video"},
    ".webm": {"codec": "libvpx-vp9"},
    ".mov": {"codec": "mjpeg", "pixels": "yuvj420p", "options": {"movflags": "faststart"}},
    ".nut": {"codec": "ffv1", "pixels": "yuv444p"},
}
FRAMES, DAMAGES = 30, 200  # of each form


@pytest.mark.parametrize("suffix", FORMS)
def test_flipped_bytes(tmp_path: Path, config: dict[str, Any], suffix: str) -> None:
    """What is said to be whole has every frame of the original, in order; all else says what is wrong."""
    random = np.random.default_rng(len(suffix))
    grain = random.integers(-12, 12, (FRAMES, 64, 96, 1))
    images = [np.clip(numbered(n, width=96) + grain[n], 0, 255).astype(np.uint8) for n in range(FRAMES)]
    whole = np.frombuffer(write(tmp_path / f"whole{suffix}", images, **FORMS[suffix]).read_bytes(), np.uint8)
    settings = parse(DecodeSettings, config["decode"], short_side=None, max_seconds=20.0)
    path, told = tmp_path / f"v{suffix}", set()
    for number in range(DAMAGES):
        damaged = whole.copy()
        # One byte or many; every other time the header as well, which may then describe another video that is whole.
        first = len(damaged) // 6 if number % 2 else 0
        places = random.integers(first, len(damaged), int(10 ** random.uniform(0, 2.5)))
        damaged[places] ^= random.integers(1, 255, len(places), dtype=np.uint8)
        path.write_bytes(damaged.tobytes())
        with h5py.File(tmp_path / "out.h5", "w") as file:
            group = file.create_group("v")
            decode("v", group, sources={"v": path}, settings=settings)
            status, reason = group.attrs["status"], group.attrs["reason"]
            told.add(status)
            assert bool(reason) is (status != "ok"), number
            if status == "bad":
                assert "frames" not in group
                continue
            shown, times = frames.read(group), group["times"][:]
            assert len(shown) == len(times) > 0
            assert (np.diff(times) > 0).all()
            if status == "ok" and first:
                assert len(shown) == pytest.approx(FRAMES, abs=1), number
    assert "bad" in told or "partial" in told
