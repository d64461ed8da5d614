"""Pages of single videos: a class's activation over time, true and found segments, and key frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidistill.base import colours
from vidistill.evaluation.metrics import iou
from vidistill.report import page, style
from vidistill.report.actions.activation import TOGETHER, Activation
from vidistill.report.actions.material import Material
from vidistill.report.queries import choose, draw_frames, frame_height

GROUPS = {"best": "Best videos", "median": "Typical videos", "worst": "Worst videos"}
ABOUT = (
    "A class in a video, chosen by how well the found segments cover the true ones: the mean over the true segments of "
    "the highest IoU with one of as many best found ones, for the first seed. Top: the class's activation, of each "
    "stream alone and of all together; true segments are shaded yellow. Below: the true segments, and the found ones, "
    "better ones darker; as many of the best as there are true ones have a black edge. Frames with a yellow border are "
    "within a true segment. Nothing is found of a class whose score in the video is below localise.class_threshold.",
)
NOTHING = "Nothing can be scored; see Results."
LOOKS = {
    TOGETHER: (colours.BLACK, "-"),
    "rgb": (colours.VERMILLION, (0, (5, 2))),
    "flow": (colours.BLUE, (0, (1.2, 1.5))),
    "fused": (colours.GREEN, (0, (6, 2, 1.2, 2))),
}
OTHER = (colours.PURPLE, (0, (2.5, 1.5)))


@dataclass(frozen=True)
class Shown:
    """A class in a video; times in seconds."""

    video_id: str
    label: str
    duration: float
    truth: np.ndarray  # (G, 2)
    found: np.ndarray  # (K, 2) best first
    overlap: float  # of found and true segments, see ABOUT
    score: float  # of the class in the whole video; NaN for a class that the model does not know


def chosen(material: Material, count: int) -> dict[str, list[Shown]]:
    """At most `count` classes of videos in each group; empty if nothing is scored."""
    s, m = material.settings, material
    if not m.result["metrics"]:
        return {group: [] for group in GROUPS}
    segments = m.truth.of(m.scored(s.model))
    durations = m.truth.durations(segments)
    best = m.last(s.model)[0].sort_values("score", ascending=False, kind="stable")
    first = next(iter(m.found[s.model].values()))
    scores = first.video_scores.set_index(["video_id", "label"])["score"].to_dict()
    found = {key: part[["start", "end"]].to_numpy() for key, part in best.groupby(["video_id", "label"])}
    pairs = []
    for (video_id, label), part in segments.groupby(["video_id", "label"]):
        truth, own = part[["start", "end"]].to_numpy(), found.get((video_id, label), np.empty((0, 2)))
        score = scores.get((video_id, label), float("nan"))
        pairs.append(Shown(str(video_id), str(label), durations[str(video_id)], truth, own, overlap(truth, own), score))
    ids, videos = [f"{x.video_id}#{x.label}" for x in pairs], [x.video_id for x in pairs]
    groups = choose(np.array([x.overlap for x in pairs]), ids, videos, count)
    return {group: [pairs[i] for i in rows] for group, rows in groups.items()}


def overlap(truth: np.ndarray, found: np.ndarray) -> float:
    """The mean over G true segments (G, 2) of the highest IoU with one of the first G found ones (K, 2)."""
    if not len(found):
        return 0.0
    return float(iou(truth[:, None], found[None, : len(truth)]).max(axis=1).mean())


def make(
    group: str,
    shown: Sequence[Shown],
    activations: Mapping[str, Activation],
    model: str,
    frames: Mapping[str, Sequence[tuple[float, np.ndarray]]],
    count: int,
    *,
    scored: bool,
) -> str:
    """The page of a group.

    Args:
        frames: video -> key frames, `count` of each.
        scored: whether anything is.
    """
    parts: list[str] = [*(ABOUT if scored else (NOTHING,))]
    for one in shown:
        figure = draw(one, activations.get(one.video_id), frames.get(one.video_id, ()), count)
        words = (
            f"{one.video_id}, {one.duration:.1f} s. Overlap of found and true segments: {one.overlap:.2f}; class score "
            f"of the video: {one.score:.2f}"
        )
        parts += [page.heading(one.label), words, page.picture(style.encode(figure, "svg"), "svg", one.label)]
    if scored and not shown:
        parts.append("There are too few videos for this group.")
    return page.document(f"{GROUPS[group]}: {model}", *parts)


def draw(shown: Shown, activation: Activation | None, frames: Sequence[tuple[float, np.ndarray]], count: int) -> Figure:
    """Activation, bars of segments, and frames, one above the other."""
    height, below = 3.0, frame_height(frames, count)
    figure = style.new(height + below)
    parts = figure.subfigures(2 if below else 1, 1, squeeze=False, height_ratios=(height, below) if below else None)
    top, bars = parts[0, 0].subplots(2, 1, sharex=True, height_ratios=(2.0, 1.0))
    _activation(top, shown, activation)
    _segments(bars, shown)
    if below:
        draw_frames(parts[1, 0], frames, shown.truth, count)
    return figure


def _activation(axes: Axes, shown: Shown, activation: Activation | None) -> None:
    if activation is None or shown.label not in activation.streams:
        style.say(axes, "the model does not know this class" if activation else "the video has no features")
        return
    for start, end in shown.truth:
        axes.axvspan(start, end, color=colours.YELLOW, alpha=0.35, lw=0)
    edges = np.append(activation.times[:, 0], activation.times[-1, 1])
    for stream, values in activation.streams[shown.label].items():
        colour, line = LOOKS.get(stream, OTHER)
        width = 2.0 if stream == TOGETHER else 1.2
        axes.stairs(values, edges, baseline=None, color=colour, ls=line, lw=width, label=stream)
    axes.legend(loc="upper right", fontsize=8, ncols=4, handlelength=2.4, borderaxespad=0.1)
    _, high = axes.get_ylim()
    axes.set_ylim(0, 1.25 * high)  # room for the legend
    axes.locator_params(axis="y", nbins=4)
    axes.set_ylabel("activation")


def _segments(axes: Axes, shown: Shown) -> None:
    for start, end in shown.truth:
        axes.barh(1, end - start, left=start, height=0.62, color=colours.YELLOW, edgecolor=colours.BLACK, lw=1)
    counted = len(shown.truth)
    for rank in reversed(range(len(shown.found))):
        start, end = shown.found[rank]
        alpha = 0.9 if rank < counted else 0.12
        edge = colours.BLACK if rank < counted else colours.BLUE
        axes.barh(0, end - start, left=start, height=0.62, color=colours.BLUE, edgecolor=edge, lw=1, alpha=alpha)
    axes.set_yticks([1, 0], ["true", "found"])
    axes.set(ylim=(-0.6, 1.6), xlim=(0, shown.duration), xlabel="seconds")
    axes.grid(axis="y", visible=False)
