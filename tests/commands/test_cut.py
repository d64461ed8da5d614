"""Clips of a video whose every frame and sound is known."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidistill.base.stage import UserError
from vidistill.commands import cut

RATE, SECONDS, SOUND = 25, 4, 44_100
SIZE = (65, 97)  # height and width, both odd


def level(frame: int) -> int:
    return 20 + 2 * frame


@pytest.fixture(scope="module", params=[True, False], ids=["sound", "mute"])
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frame i has the grey level 20 + 2i; the sound is loud in the third second alone."""
    path = tmp_path_factory.mktemp("cut") / "video.mkv"
    with av.open(str(path), "w") as target:
        pictures = target.add_stream("ffv1", rate=RATE)
        pictures.height, pictures.width, pictures.pix_fmt = *SIZE, "yuv444p"
        sound = target.add_stream("pcm_s16le", rate=SOUND, layout="mono") if request.param else None
        for i in range(RATE * SECONDS):
            frame = av.VideoFrame.from_ndarray(np.full((*SIZE, 3), level(i), np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            target.mux(pictures.encode(frame.reformat(format="yuv444p")))
            if sound:
                count = SOUND // RATE
                tone = 20_000 * np.sin(np.arange(count) / 10) * (2 <= i / RATE < 3)
                samples = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], format="s16", layout="mono")
                samples.sample_rate, samples.pts, samples.time_base = SOUND, i * count, Fraction(1, SOUND)
                target.mux(sound.encode(samples))
        for stream in filter(None, (pictures, sound)):
            target.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[list[tuple[float, float]], np.ndarray]:
    """(time, grey level) of each frame, and the loudness of each hundredth of a second."""
    with av.open(str(path)) as container:
        shown = [(float(f.time), float(f.to_ndarray(format="gray").mean())) for f in container.decode(video=0)]
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return shown, np.empty(0)
        sound = np.concatenate([frame.to_ndarray()[0].astype(float) for frame in container.decode(audio=0)])
    pieces = sound[: len(sound) // 480 * 480].reshape(-1, 480)
    return shown, np.sqrt((pieces**2).mean(1))


def test_a_clip_begins_and_ends_where_it_is_said_to(video: Path, tmp_path: Path) -> None:
    moments = [(1.0, 3.0), (2.5, 4.0)]
    outputs = [tmp_path / "one.mp4", tmp_path / "two.mp4"]
    cut.clips(video, moments, outputs)
    has_sound = len(read(video)[1]) > 0
    for (start, end), output in zip(moments, outputs, strict=True):
        shown, loudness = read(output)
        frames = range(int(start * RATE), int(end * RATE))
        assert [time for time, _ in shown] == pytest.approx([max(0, i / RATE - start) for i in frames], abs=0.001)
        assert [grey for _, grey in shown] == pytest.approx([level(i) for i in frames], abs=4)
        assert (len(loudness) > 0) == has_sound
        if has_sound:
            loud = np.flatnonzero(loudness > 0.1) / 100
            assert (loud[0], loud[-1]) == pytest.approx((max(0, 2 - start), 3 - start), abs=0.08)


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"nothing" * 100)
    with pytest.raises(UserError, match=r"broken\.mp4 cannot be cut"):
        cut.clips(tmp_path / "broken.mp4", [(0, 1)], [tmp_path / "out.mp4"])
    assert not (tmp_path / "out.mp4").exists()
