"""Figure: frames of a few videos and their optical flow, as the networks see them."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from vidistill.report import pictures, style
from vidistill.video.decode import DecodeSettings
from vidistill.video.flow import FlowSettings
from vidistill.video.source import BadVideoError

log = logging.getLogger(__name__)
TITLE = "Frames and optical flow"
ABOUT = (
    "Frames of a few videos with answered queries, decoded as the networks see them, and below each the optical flow "
    "to the next frame. Colour is direction, saturation is speed, on one scale for all videos.",
)
PIXELS = 300  # largest width of a picture
ALIKE = 0.1  # seconds between frames that nobody tells apart


@dataclass(frozen=True)
class Example:
    """A video's pictures: (seconds, image (H, W, 3), flow to the next frame (H, W, 2) or None)."""

    video_id: str
    fps: float
    shown: list[tuple[float, np.ndarray, np.ndarray | None]]

    @property
    def fastest(self) -> float:
        """The 99th percentile of the flow's speed, pixels per frame."""
        flows = [np.hypot(f[..., 0], f[..., 1]).ravel() for _, _, f in self.shown if f is not None]
        return float(np.percentile(np.concatenate(flows), 99)) if flows else 0.0


def middles(seconds: float, count: int) -> list[float]:
    """The middles of `count` equal parts of a video."""
    return [(i + 0.5) / count * seconds for i in range(count)]


def through(wanted: Iterable[float], seconds: float, count: int) -> list[float]:
    """`middles` with the nearest one moved to each wanted time; times that look alike share one."""
    times = middles(seconds, count)
    kept = set(range(count))
    for time in wanted:
        alike = any(abs(times[i] - time) < ALIKE for i in range(count) if i not in kept)
        if kept and not alike:
            nearest = min(kept, key=lambda i: abs(times[i] - time))
            times[nearest] = time
            kept.remove(nearest)
    return sorted(times)


def spread(items: Iterable[str], count: int) -> list[str]:
    """All items; the first `count` are spread evenly over the sorted list."""
    rest = sorted(items)
    first = list(dict.fromkeys(rest[round(i)] for i in np.linspace(0, len(rest) - 1, min(count, len(rest)))))
    return [*first, *(item for item in rest if item not in first)]


def collect(
    candidates: Iterable[str],
    files: Mapping[str, Path],
    durations: Mapping[str, float],
    decode: DecodeSettings,
    flow: FlowSettings | None,
    *,
    videos: int,
    frames: int,
    wanted: Iterable[float] = (),
) -> list[Example]:
    """Pictures of the first `videos` candidates that exist and can be read, also at the `wanted` seconds."""
    estimate = pictures.estimator(flow) if flow else None
    found: list[Example] = []
    for video_id in candidates:
        if len(found) == videos:
            break
        if video_id not in files or video_id not in durations:
            continue
        times = through(wanted, durations[video_id], frames)
        try:
            video = pictures.read(files[video_id], times, decode)
        except BadVideoError as error:
            log.warning("no pictures of %s: %s", video_id, error)
            continue
        shown = []
        for second in times:
            number = video.at(second)
            image, following = video.images.get(number), video.images.get(number + 1)
            if image is not None:
                shown.append(
                    (second, image, estimate(image, following) if estimate and following is not None else None)
                )
        found.append(Example(video_id, video.fps, shown))
    return found


def draw(examples: list[Example], frames: int) -> Figure:
    """One block per video: frames above, flow below; the wheel explains the colours."""
    if not examples:
        return style.sentence("No videos: this data set has only features, or its videos were removed.")
    scale = max(1.0, *(example.fastest for example in examples))
    has_flow = any(flow is not None for example in examples for _, _, flow in example.shown)
    cell = (style.WIDTH - 1.6) / frames  # inches
    heights = [cell * _aspect(example) * (2 if has_flow else 1) + 0.62 for example in examples]
    figure = Figure(figsize=(style.WIDTH, sum(heights)), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(style.WIDTH - 1.4, 1.4))[0]
    blocks = left.subfigures(len(examples), 1, squeeze=False, height_ratios=heights)[:, 0]
    for example, block in zip(examples, blocks, strict=True):
        _block(block, example, frames, scale, has_flow)
    if has_flow:
        _wheel(right.add_axes((0.08, 1 - 1.9 / sum(heights), 0.84, 1.25 / sum(heights))), scale)
    return figure


def _aspect(example: Example) -> float:
    height, width = example.shown[0][1].shape[:2] if example.shown else (3, 4)
    return float(height / width)


def _block(figure: SubFigure, example: Example, frames: int, scale: float, has_flow: bool) -> None:
    height, width = example.shown[0][1].shape[:2] if example.shown else (0, 0)
    title = f"{example.video_id}, {width}x{height} pixels, {example.fps:g} frames per second"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    grid = figure.subplots(2 if has_flow else 1, frames, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for column, (second, image, flow) in enumerate(example.shown):
        grid[0, column].imshow(pictures.small(image, PIXELS))
        grid[0, column].set_title(f"{second:.1f} s", fontsize=9, fontweight="normal", loc="center", pad=3)
        if flow is not None:
            colours = (255 * pictures.coloured(flow, scale)).astype(np.uint8)
            grid[1, column].imshow(pictures.small(colours, PIXELS))


def _wheel(axes: Axes, scale: float) -> None:
    axes.imshow(pictures.wheel())
    axes.set_axis_off()
    axes.set_title("motion to\nthe next frame", fontsize=9, loc="center", fontweight="normal")
    text = f"white: none\nrim: {scale:.1f} pixels\nor more"
    axes.text(0.5, -0.08, text, transform=axes.transAxes, ha="center", va="top", fontsize=9)
