"""Draw a planned demo video frame by frame and encode it, byte for byte the same each time."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vidistill.base import store
from vidistill.data.demo.scenes import STANDING, Event, Video

Colour = tuple[float, float, float]

RGB: dict[str, Colour] = {
    "red": (230, 20, 20),
    "green": (20, 190, 30),
    "blue": (25, 45, 235),
    "yellow": (245, 230, 15),
    "cyan": (20, 225, 235),
    "pink": (245, 30, 200),
    "white": (250, 250, 250),
    "black": (8, 8, 8),
}
RADIUS = 0.17  # of the frame's short side
SLIDE, SHAKE, SPIN, GROW = 0.5, 1.2, 0.6, 0.9  # short sides, swings, turns and bouts of growth per second
SUBPIXEL = 4  # bits of OpenCV's fixed-point coordinates
NOISES = 16  # different noise images per video; enough that the network recognises none

# Fast presets at high quality: frames are small, and every grey level of motion counts.
ENCODERS = {
    # Without asm: x264's SIMD code is not deterministic for some of these frame sizes.
    "libx264": {"preset": "superfast", "crf": "21", "threads": "1", "x264-params": "asm=0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0", "threads": "1"},
    # "good": VP8 in real time adapts its effort to the clock.
    "libvpx": {"deadline": "good", "cpu-used": "5", "crf": "8", "b": "2M", "threads": "1"},
    "mpeg4": {"b": "1500k", "bf": "0"},
    "mpeg2video": {"b": "2500k"},
    "mjpeg": {"qmin": "2", "qmax": "3"},
}


def encode(video: Video, path: Path, noise: float) -> None:
    """Draw `video` and write it to `path`, atomically.

    Args:
        noise: standard deviation of the camera noise, grey levels.
    """
    form = video.format
    base = Fraction(1, 1000) if form.variable else 1 / form.rate  # of the timestamps
    with (
        store.atomic(path) as temporary,
        # bitexact: no dates, library versions or random identifiers in the file.
        av.open(str(temporary), "w", format=form.container, options={"fflags": "+bitexact"}) as container,
    ):
        stream = container.add_stream(form.codec, rate=form.rate, options=ENCODERS[form.codec])
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = form.width, form.height, form.pixels
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        stream.codec_context.thread_count = 1  # more would change the bytes
        stream.codec_context.time_base = stream.time_base = base
        for time, picture in zip(video.times, frames(video, noise), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(time / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def frames(video: Video, noise: float) -> Iterator[np.ndarray]:
    """The frames of a planned video before encoding, each (H, W, 3) uint8 RGB."""
    cv2.setNumThreads(1)
    draw = np.random.Generator(np.random.PCG64(video.scene))
    size = video.format.height, video.format.width
    backdrop = _backdrop(draw, *size)
    placed = [(event, draw.uniform(0, 1, 4)) for event in video.events]
    wanderer = draw.uniform(0, 1, 4)
    grain = [draw.normal(0, noise, (*size, 3)).astype(np.float32) for _ in range(NOISES)]
    for n, time in enumerate(map(float, video.times)):
        picture = backdrop.copy()
        _wander(picture, wanderer, time)
        for event, chance in placed:
            if event.start <= time < event.end:
                _draw_event(picture, event, chance, time)
        noisy = picture + grain[n * 7 % NOISES]
        yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _backdrop(draw: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A dull background, different in every video: clouds, stripes or tiles, and two still grey shapes."""
    tint = draw.uniform(95, 145) + draw.uniform(-12, 12, 3)
    y, x = np.mgrid[:height, :width] / min(height, width)
    clouds = cv2.resize(draw.normal(0, 1, (5, 6)), (width, height), interpolation=cv2.INTER_CUBIC)
    angle, pitch = draw.uniform(0, math.pi), draw.uniform(20, 40)
    stripes = np.sin(pitch * (x * math.cos(angle) + y * math.sin(angle)))
    tiles = np.sign(np.sin(pitch / 2 * x) * np.sin(pitch / 2 * y))
    texture = 8 * clouds + 7 * (stripes, tiles, np.zeros_like(x))[draw.integers(3)]
    picture = (tint + texture[..., None]).clip(50, 190).astype(np.uint8)
    for grey in draw.uniform(70, 170, 2):
        centre = draw.uniform(0.1, 0.9, 2) * (width, height)
        shape = ("ball", "box", "triangle")[draw.integers(3)]
        _fill(picture, _outline(shape), centre, 0.09 * min(height, width), draw.uniform(0, 6), (grey, grey, grey))
    return picture


def _wander(picture: np.ndarray, chance: np.ndarray, time: float) -> None:
    """A small grey ball that drifts all the time."""
    height, width = picture.shape[:2]
    turn = 2 * math.pi * (0.08 * time + chance[0])
    x = width * (0.5 + 0.4 * math.sin(turn))
    y = height * (0.5 + 0.4 * math.sin(turn * (1 + chance[1]) + 6 * chance[2]))
    grey = 60 + 120 * chance[3]
    _fill(picture, _outline("ball"), np.array([x, y]), 0.04 * min(height, width), 0, (grey, grey, grey))


def _draw_event(picture: np.ndarray, event: Event, chance: np.ndarray, time: float) -> None:
    height, width = picture.shape[:2]
    short = min(height, width)
    since = time - event.start
    # Objects start in the central square, which a centre crop keeps, and wrap around at the edges.
    x, y = np.array([width, height]) / 2 + (chance[:2] - 0.5) * short * (1 - 2.6 * RADIUS)
    radius, angle = RADIUS * short, 0.0
    step = SLIDE * short * since
    match event.action:
        case "left" | "right":
            x += step if event.action == "right" else -step
        case "up" | "down":
            y += step if event.action == "down" else -step
        case "shakes":
            x += 0.1 * short * math.sin(2 * math.pi * SHAKE * since)
        case "spins":
            angle = 2 * math.pi * SPIN * since
        case "grows":
            radius *= 0.5 + 0.9 * (GROW * since % 1)
        case _:
            assert event.action == STANDING
    colour = RGB[event.colour]
    for dx in (-width, 0, width):
        for dy in (-height, 0, height):
            centre = np.array([x % width + dx, y % height + dy])
            if np.all(np.abs(centre - (width / 2, height / 2)) < np.array([width, height]) / 2 + 1.5 * radius):
                _fill(picture, _outline(event.shape), centre, radius, angle, colour)
                # A bar across the object: turning and growing are visible inside it, even on a ball.
                _fill(picture, BAR, centre, radius, angle, _shade(colour))


def _shade(colour: Colour) -> Colour:
    """Half as bright; dark grey for black, whose half is black."""
    if max(colour) < 20:
        return 70, 70, 70
    red, green, blue = colour
    return red / 2, green / 2, blue / 2


QUARTER = np.array([[0, 1], [-1, 0]])  # a quarter turn of (x, y)
BAR = np.array([[-0.15, -0.62], [0.15, -0.62], [0.15, 0.62], [-0.15, 0.62]])


def _outline(shape: str) -> np.ndarray:
    """Corners (N, 2) of a shape around the origin, of about equal area."""
    if shape == "box":
        return np.array([[-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]])
    if shape == "cross":
        a, b = 0.36, 1.05
        arm = np.array([[-a, -b], [a, -b], [a, -a]])
        return np.concatenate([arm @ np.linalg.matrix_power(QUARTER, n) for n in range(4)])
    corners = {"ball": 32, "triangle": 3, "star": 10}[shape]
    turns = 2 * np.pi * np.arange(corners) / corners - np.pi / 2
    reach = {"ball": np.ones(32), "triangle": np.full(3, 1.3), "star": np.tile([1.3, 0.62], 5)}[shape]
    return np.stack([np.cos(turns), np.sin(turns)], 1) * reach[:, None]


def _fill(
    picture: np.ndarray,
    outline: np.ndarray,
    centre: np.ndarray,
    radius: float,
    angle: float,
    colour: tuple[float, float, float],
) -> None:
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    corners = np.rint((centre + radius * outline @ turn) * 2**SUBPIXEL).astype(np.int32)
    cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA, SUBPIXEL)
