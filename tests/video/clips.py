"""Synthetic clips whose every frame says its own number, and the reading of it back from decoded frames."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BITS = 10


def numbered(number: int, width: int = 160, height: int = 64) -> np.ndarray:
    """An image (H, W, 3) that is its number in binary: BITS stripes, black or white, the highest bit left."""
    bits = [(number >> (BITS - 1 - i)) & 1 for i in range(BITS)]
    stripes = np.repeat(np.array(bits, np.uint8) * 220 + 16, -(-width // BITS))[:width]
    return np.broadcast_to(stripes[None, :, None], (height, width, 3)).copy()


def number_of(image: np.ndarray) -> int:
    """The number of an image of `numbered`, at whatever size it has now."""
    row = image.mean(axis=(0, 2))
    centres = ((np.arange(BITS) + 0.5) * len(row) / BITS).astype(int)
    return int("".join("1" if row[c] > 127 else "0" for c in centres), 2)


def write(
    path: Path,
    images: Sequence[np.ndarray],
    ticks: Sequence[int] | None = None,
    *,
    time_base: Fraction | None = None,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation: float | None = None,
    hflip: bool = False,
    sound: float = 0.0,
    sound_codec: str = "aac",
    sound_at: float = 0.0,
    sound_first: bool = False,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """Encode images (H, W, 3) shown at `ticks` of `time_base` (default: one per 1/rate) and some seconds of silence."""
    with av.open(str(path), "w", options=options or {}) as container:
        audio: Any = container.add_stream(sound_codec, rate=48000, layout="mono") if sound and sound_first else None
        stream: Any = container.add_stream(codec, rate=Fraction(rate), options=codec_options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        if time_base is not None:
            stream.codec_context.time_base = time_base
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip=hflip)
        if sound and not sound_first:
            audio = container.add_stream(sound_codec, rate=48000, layout="mono")
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = i if ticks is None else ticks[i]
            frame.time_base = time_base or 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            _silence(container, audio, sound, sound_at)
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        _silence(container, container.add_stream("aac", rate=48000, layout="mono"), seconds)
    return path


def copy(
    path: Path, target: Path, keep: Callable[[int], bool] = lambda number: True, before: Path | None = None
) -> Path:
    """Packets of a video as they are, but for some numbers; `before` is a video whose stream comes first."""
    sources = [av.open(str(p)) for p in (before, path) if p]
    with av.open(str(target), "w") as container:
        streams = [container.add_stream_from_template(source.streams.video[0]) for source in sources]
        for source, stream in zip(sources, streams, strict=True):
            for number, packet in enumerate(source.demux(video=0)):
                if packet.size and (source is not sources[-1] or keep(number)):
                    packet.stream = stream
                    container.mux(packet)
            source.close()
    return target


def _silence(container: Any, stream: Any, seconds: float, begin: float = 0.0) -> None:
    planar = stream.codec_context.codec.audio_formats[0].name
    for start in range(0, int(48000 * seconds), 960):
        silence = av.AudioFrame(format=planar, layout="mono", samples=960)
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        silence.sample_rate, silence.pts = 48000, start + int(48000 * begin)
        silence.time_base = Fraction(1, 48000)
        container.mux(stream.encode(silence))
    container.mux(stream.encode(None))


def numbers(images: Iterable[np.ndarray]) -> list[int]:
    return [number_of(image) for image in images]
