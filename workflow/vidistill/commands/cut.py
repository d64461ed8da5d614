"""Cut moments out of a video, as clips that play."""

from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.video import source
from vidistill.video.source import BadVideoError, Source

CLOCK = Fraction(1, 90_000)  # seconds; fine enough for every rate
MAX_PIXELS = 2**31  # of a frame: no limit
RATE = Fraction(25)  # frames per second that are taken for a file that states none
SOUND = 48_000  # samples per second


class Clip:
    """An MP4 file (H.264, AAC) that is being written, of a moment in seconds."""

    def __init__(self, target: av.container.OutputContainer, start: float, end: float):
        self.start, self.end, self._target = start, end, target
        self._video: av.VideoStream | None = None
        self._audio: av.AudioStream | None = None
        self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SOUND)

    def begin(self, image: np.ndarray, rate: Fraction, has_sound: bool) -> None:
        """Make the streams: all of them before the first packet."""
        self._video = self._target.add_stream("libx264", rate=rate)
        self._video.height, self._video.width = (size // 2 * 2 for size in image.shape[:2])  # as H.264 needs it
        self._video.pix_fmt, self._video.time_base = "yuv420p", CLOCK
        self._video.codec_context.time_base = CLOCK
        if has_sound:
            self._audio = self._target.add_stream("aac", rate=SOUND, layout="stereo")

    @property
    def has_begun(self) -> bool:
        return self._video is not None

    def show(self, image: np.ndarray, time: float) -> None:
        """Add an image (H, W, 3) that is shown from `time` on."""
        assert self._video is not None
        height, width = self._video.height, self._video.width
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = round(max(time - self.start, 0.0) / CLOCK), CLOCK
        self._target.mux(self._video.encode(frame))

    def sound(self, frame: av.AudioFrame) -> None:
        """Add the next samples."""
        assert self._audio is not None
        frame.pts = None
        for part in self._resampler.resample(frame):
            self._target.mux(self._audio.encode(part))

    def finish(self) -> None:
        if self._video is not None:
            self._target.mux(self._video.encode(None))
        if self._audio is not None:
            self._target.mux(self._audio.encode(None))


def clips(video: Path, moments: Sequence[tuple[float, float]], outputs: Sequence[Path]) -> None:
    """Write each moment of a video as an MP4 file, encoded anew, so that it begins and ends where it is said to.

    The video is read once, up to the end of the last moment.

    Raises:
        UserError: the video cannot be read, or a file cannot be written.
    """
    try:
        with ExitStack() as stack, source.opened(video, max_pixels=MAX_PIXELS) as opened:
            begun = []
            for (start, end), output in zip(moments, outputs, strict=True):
                temporary = stack.enter_context(store.atomic(output))
                target = stack.enter_context(av.open(str(temporary), "w", format="mp4"))
                begun.append(Clip(target, start, end))
            offset = _show(opened, begun, _has_sound(video))
            if _has_sound(video):
                _sound(video, begun, offset)
            for one in begun:
                one.finish()
    except (av.FFmpegError, BadVideoError, OSError, ValueError) as error:
        raise UserError(f"{video} cannot be cut ({error}); look whether it plays.") from error


def _show(video: Source, clips: Sequence[Clip], has_sound: bool) -> float:
    """The pictures of all clips; returns what the file's clock shows at 0 s."""
    offset, last = 0.0, max(one.end for one in clips)
    for start, end, frame in video.shown():
        offset = float(frame.time or 0) - float(start)
        if start >= last:
            break
        wanted = [one for one in clips if end > one.start and start < one.end]
        if not wanted:
            continue
        image = source.upright(frame.to_ndarray(format="rgb24"), source.display_matrix(frame))
        for one in wanted:
            if not one.has_begun:
                one.begin(image, video.rate or RATE, has_sound)
            one.show(image, float(start))
    return offset


def _has_sound(video: Path) -> bool:
    with av.open(str(video.absolute())) as container:
        return any(stream.codec_context is not None for stream in container.streams.audio)


def _sound(video: Path, clips: Sequence[Clip], offset: float) -> None:
    """The sound of all clips, to a frame of its codec (about 20 ms)."""
    with av.open(str(video.absolute())) as container:
        for frame in container.decode(audio=0):
            start = float(frame.time or 0) - offset
            if start >= max(one.end for one in clips):
                return
            for one in clips:
                if one.has_begun and one.start <= start < one.end:
                    one.sound(frame)
