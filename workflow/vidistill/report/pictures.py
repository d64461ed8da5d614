"""Frames of a few videos and the flow between them, computed as in stages `decode` and `flow`; flow as colours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.colors import hsv_to_rgb

from vidistill.video import frames
from vidistill.video.decode import DecodeSettings, output_rate, target_size
from vidistill.video.flow import FlowSettings
from vidistill.video.source import DAMAGE, BadVideoError, display_matrix, opened, upright
from vidistill.video.timing import resample
from vidistill.video.tvl1 import backends
from vidistill.video.tvl1.backends import BACKENDS
from vidistill.video.tvl1.parameters import quantise

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]  # two frames (H, W, 3) -> (H, W, 2) pixels


@dataclass(frozen=True)
class Pictures:
    """Frames of a video: number -> image (H, W, 3) uint8 RGB."""

    fps: float
    images: dict[int, np.ndarray]

    def at(self, seconds: float) -> int:
        """The number of the frame shown at this time."""
        return int(seconds * self.fps + 1e-9)


def read(path: Path, seconds: Sequence[float], s: DecodeSettings) -> Pictures:
    """The frames shown at these times and the frame after each, within the video.

    Raises:
        BadVideoError: the video cannot be used.
    """
    images: dict[int, np.ndarray] = {}
    with opened(path, s.max_pixels) as source:
        fps = output_rate(source, s)
        wanted = {int(second * fps + 1e-9) + next_ for second in seconds for next_ in (0, 1)}
        number, matrix, size = 0, None, None
        for frame, count in resample(source.shown(), fps):
            if size is None:
                size, matrix = target_size(frame.width, frame.height, s), display_matrix(frame)
            if found := wanted & set(range(number, number + count)):
                try:
                    image = frame.reformat(*size, "rgb24", interpolation="BILINEAR", threads=1).to_ndarray()
                except DAMAGE as error:
                    raise BadVideoError("frames cannot be converted") from error
                encoded = frames.encode(upright(image, matrix), s.encoding, s.jpeg_quality)
                shot = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB))
                images |= dict.fromkeys(found, shot)
            number += count
            if number > max(wanted):
                break
    if not images:
        raise BadVideoError("it ends before the first picture")
    return Pictures(float(fps), images)


def estimator(s: FlowSettings) -> Flow:
    """Flow from one frame to the next as in a flow file: bounded and quantised."""
    backend, kind = backends.choose(s.backend, s.device)
    device = backends.take(backend, kind)

    def flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second)])
        stored = quantise(BACKENDS[backend].estimator(s, 1, device)(grey)[0], s.bound)
        return np.where(stored == 127, 0, stored * (2 * s.bound / 255) - s.bound)

    return flow


def coloured(flow: np.ndarray, scale: float) -> np.ndarray:
    """Flow (H, W, 2) as colours (H, W, 3) in [0, 1]: hue is direction, saturation speed up to `scale` pixels."""
    hue = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) % 1.0
    saturation = np.clip(np.hypot(flow[..., 0], flow[..., 1]) / scale, 0, 1)
    return hsv_to_rgb(np.stack([hue, saturation, np.ones_like(hue)], axis=-1))


def wheel(size: int = 160) -> np.ndarray:
    """(size, size, 4) colours of all directions (right is to the right, down is down), transparent outside."""
    axis = np.linspace(-1, 1, size)
    flow = np.stack(np.meshgrid(axis, axis), axis=-1)
    inside = np.hypot(flow[..., 0], flow[..., 1]) <= 1
    return np.concatenate([coloured(flow, 1.0), inside[..., None].astype(float)], axis=-1)


def small(image: np.ndarray, width: int) -> np.ndarray:
    """The image, shrunk to at most `width` pixels."""
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
