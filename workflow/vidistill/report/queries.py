"""Figures of single queries: maps of teacher and model side by side, moments below, and key frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from vidistill.base import colours
from vidistill.report import page, pictures, style
from vidistill.report.material import FUSED, Material

GROUPS = {"best": "Best queries", "median": "Typical queries", "worst": "Worst queries"}
UNSCORED = "No query can be scored, so there are no best and worst queries."
ABOUT = (
    "Chosen by the IoU of the first seed's prediction. Semantic activation maps show the similarity of each snippet "
    "with the sentence; models without them show where they see the start and the end. True moments are shaded yellow. "
    "Below: the true moment, the prediction, and the other proposals, better ones higher and darker. Frames with a "
    "yellow border are within the true moment. The middles of the true moment and of the prediction are among them.",
)
STREAMS = {
    FUSED: (colours.BLACK, "-"),
    "rgb": (colours.VERMILLION, (0, (5, 2))),
    "flow": (colours.BLUE, (0, (1.2, 1.5))),
    "start": (colours.VERMILLION, "-"),
    "end": (colours.BLUE, (0, (5, 2))),
}
PIXELS = 200  # largest width of a key frame


@dataclass(frozen=True)
class Card:
    """The display of one query; times in seconds."""

    sentence: str
    video_id: str
    duration: float
    overlap: float | None  # IoU of the model's prediction; None without a known moment
    moments: np.ndarray  # (G, 2)
    predicted: Mapping[str, np.ndarray]  # model -> (K, 2) best first
    maps: Mapping[str, Mapping[str, np.ndarray]]  # model -> stream, or start and end -> (L,)
    frames: Sequence[tuple[float, np.ndarray]]  # image (H, W, 3)


def choose(overlap: np.ndarray, query_ids: Sequence[str], video_ids: Sequence[str], count: int) -> dict[str, list[int]]:
    """Rows of the best, median and worst queries, at most `count` per group, without repetition and of different
    videos as long as possible.

    Args:
        overlap: (N,) IoU; ties go to the lower query id.
    """
    order = sorted(range(len(overlap)), key=lambda i: (-overlap[i], query_ids[i]))
    middle = sorted(range(len(order)), key=lambda rank: (abs(rank - (len(order) - 1) / 2), rank))
    ways = {"best": order, "worst": order[::-1], "median": [order[rank] for rank in middle]}
    most, taken = min(count, max(1, len(overlap) // 3)), set[int]()
    videos: set[str] = set()
    found: dict[str, list[int]] = {}
    for group, rows in ways.items():
        own: list[int] = []
        for again in (False, True):  # the second pass accepts videos that are already shown
            for i in rows:
                if len(own) < most and i not in taken and (again or video_ids[i] not in videos):
                    own.append(i)
                    taken.add(i)
                    videos.add(video_ids[i])
        found[group] = own
    return {group: sorted(found[group], key=order.index) for group in GROUPS}


def cards(
    material: Material, teacher: str | None, count: int, frames: Mapping[str, Sequence[tuple[float, np.ndarray]]]
) -> dict[str, list[Card]]:
    """The cards of each group, for the first seed.

    Args:
        teacher: shown beside the model, if any.
        frames: query -> key frames.
    """
    s, seed = material.settings, material.settings.seeds[0]
    groups = chosen(material, count)
    shown = [s.model] + ([teacher] if teacher else [])
    query_ids = [q for group in groups.values() for q in group]
    maps = {model: material.activation(model, seed, query_ids) for model in shown}
    overlap = _overlap(material)
    windows = {
        model: dict(zip(material.answers[model].query_ids, material.answers[model].ranked, strict=True))
        for model in shown
        if model in material.answers
    }
    seconds = dict(zip(query_ids, material.data.durations(pd.Index(query_ids)), strict=True))

    def card(query_id: str) -> Card:
        row = material.sentences.loc[query_id]
        return Card(
            sentence=str(row["sentence"]),
            video_id=str(row["video_id"]),
            duration=float(seconds[query_id]),
            overlap=overlap.get(query_id),
            moments=material.data.targets.get(query_id, np.empty((0, 2))),
            predicted={model: found[query_id][:, :2] for model, found in windows.items() if query_id in found},
            maps={model: found[query_id] for model, found in maps.items() if query_id in found},
            frames=frames.get(query_id, ()),
        )

    return {group: [card(query_id) for query_id in ids] for group, ids in groups.items()}


def chosen(material: Material, count: int) -> dict[str, list[str]]:
    """Query ids of each group, by the first seed's predictions; if nothing is scored, only some for `median`."""
    overlap = _overlap(material)
    ids = list(overlap) or list(material.answers[material.settings.model].query_ids)
    videos = material.sentences.loc[ids, "video_id"].tolist()
    rows = choose(np.array([overlap.get(query_id, 0.0) for query_id in ids]), ids, videos, count)
    found = {group: [ids[i] for i in numbers] for group, numbers in rows.items()}
    if overlap:
        return found
    return {group: (found["best"] if group == "median" else []) for group in GROUPS}


def middles(material: Material, count: int) -> dict[str, list[float]]:
    """Chosen query -> the middles of its true moments and of the prediction, seconds."""
    answers = material.answers[material.settings.model]
    first = dict(zip(answers.query_ids, answers.ranked[:, 0, :2].mean(axis=-1).tolist(), strict=True))
    wanted = [query_id for ids in chosen(material, count).values() for query_id in ids]
    true = {q: material.data.targets[q].mean(axis=-1).tolist() for q in wanted if q in material.data.targets}
    return {q: [*true.get(q, []), first[q]] for q in wanted}


def _overlap(material: Material) -> dict[str, float]:
    """Query -> IoU of the first seed's prediction, for scored queries."""
    known = material.scored[material.settings.model].get(material.settings.seeds[0])
    if known is None:
        return {}
    return dict(zip(known.query_ids, (material.column(known, "mIoU") / 100).tolist(), strict=True))


def make(
    group: str, cards: Sequence[Card], model: str, teacher: str | None, frames: int, *, scored: bool = True
) -> str:
    """The page of a group. Sentences are page text, since figure fonts lack some scripts."""
    parts: list[str] = [*ABOUT] if scored else [UNSCORED]
    if cards and not scored:
        parts.append("Predictions for some queries, without a true moment:")
    for card in cards:
        words = f"{card.video_id}, {card.duration:.1f} s."
        if card.overlap is not None:
            words += f" IoU of the prediction: {card.overlap:.2f}"
        drawn = style.encode(draw(card, model, teacher, frames), "svg")
        parts += [page.heading(f"“{card.sentence}”"), words, page.picture(drawn, "svg", card.sentence)]
    if scored and not cards:
        parts.append("There are too few queries for this group.")
    return page.document(f"{GROUPS[group]}: {model}", *parts)


def draw(card: Card, model: str, teacher: str | None, frames: int) -> Figure:
    """One query: the teacher, if any, on the left, the model on the right, frames below."""
    columns = [*([teacher] if teacher else []), model]
    rows = [1.4, 1.0] if any(name in card.maps for name in columns) else [1.0]
    height, below = sum(rows) + 0.35, frame_height(card.frames, frames)
    figure = style.new(height + below)
    parts = figure.subfigures(2 if below else 1, 1, squeeze=False, height_ratios=(height, below) if below else None)[
        :, 0
    ]
    grid = parts[0].subplots(len(rows), len(columns), squeeze=False, sharex=True, height_ratios=rows)
    for column, name in enumerate(columns):
        if len(rows) > 1:
            _map(grid[0, column], card, name)
        else:
            grid[0, column].set_title(name)
        _moments(grid[-1, column], card, name)
    if below:
        draw_frames(parts[1], card.frames, card.moments, frames)
    return figure


def frame_height(frames: Sequence[tuple[float, np.ndarray]], count: int) -> float:
    """Inches of a row of `count` key frames; 0 if there are none."""
    if not frames:
        return 0.0
    height, width = frames[0][1].shape[:2]
    return float(style.WIDTH / count * height / width * 0.95 + 0.2)


def _map(axes: Axes, card: Card, model: str) -> None:
    """The activation map, or the distributions of start and end: one step per snippet, true moments shaded."""
    streams = card.maps.get(model, {})
    is_map = FUSED in streams or not streams
    axes.set_title(f"{model}: {'semantic activation map' if is_map else 'start and end'}", fontsize=9.5)
    if not streams:
        style.say(axes, f"{model} has no map for this query")
        return
    for start, end in card.moments:
        axes.axvspan(start, end, color=colours.YELLOW, alpha=0.35, lw=0)
    for stream, values in sorted(streams.items(), key=lambda item: item[0] == FUSED):
        colour, line = STREAMS.get(stream, (colours.GREEN, (0, (6, 2, 1.2, 2))))
        edges = np.linspace(0, card.duration, len(values) + 1)
        name = "mean of both" if stream == FUSED and _is_mean(streams) else stream
        axes.stairs(values, edges, baseline=None, color=colour, ls=line, lw=2 if stream == FUSED else 1.2, label=name)
    if len(streams) > 1:
        axes.legend(loc="upper right", fontsize=8, ncols=3, handlelength=2.4, borderaxespad=0.1)
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.3 * (high - low))  # room for the legend
    axes.locator_params(axis="y", nbins=4)
    axes.set_ylabel("similarity" if is_map else "probability")


def _is_mean(streams: Mapping[str, np.ndarray]) -> bool:
    """Whether the fused map is the mean of the others, as MMDist's teacher has it; MMSD's is a stream of its own."""
    others = [values for stream, values in streams.items() if stream != FUSED]
    alike = len({len(values) for values in streams.values()}) == 1
    return bool(others) and alike and np.allclose(streams[FUSED], np.mean(others, axis=0), atol=1e-5)


def _moments(axes: Axes, card: Card, model: str) -> None:
    """Bars of the true moment and the prediction; thin lines of the other proposals, better ones darker."""
    for start, end in card.moments:
        axes.barh(2, end - start, left=start, height=0.62, color=colours.YELLOW, edgecolor=colours.BLACK, lw=1)
    windows = card.predicted.get(model, np.empty((0, 2)))
    for rank, (start, end) in enumerate(windows):
        if rank == 0:
            axes.barh(1, end - start, left=start, height=0.62, color=colours.BLUE, edgecolor=colours.BLACK, lw=1)
        else:
            alpha = 0.75 - 0.55 * (rank - 1) / max(1, len(windows) - 2)
            y = 0.35 - 0.7 * (rank - 1) / max(1, len(windows) - 2)
            axes.plot([start, end], [y, y], color=colours.BLUE, lw=2, alpha=alpha, solid_capstyle="butt")
    rows = {2: "truth", 1: "predicted", 0: "others"} if len(card.moments) else {1: "predicted", 0: "others"}
    axes.set_yticks(list(rows), list(rows.values()))
    axes.set(ylim=(-0.6, 2.5), xlim=(0, card.duration), xlabel="seconds")
    axes.grid(axis="y", visible=False)


def draw_frames(figure: SubFigure, frames: Sequence[tuple[float, np.ndarray]], moments: np.ndarray, count: int) -> None:
    """A row of `count` key frames; those within a true moment (G, 2) have a yellow frame."""
    grid = np.atleast_1d(figure.subplots(1, count))
    for axes in grid:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.grid(visible=False)
    for axes, (second, image) in zip(grid, frames, strict=False):
        axes.imshow(pictures.small(image, PIXELS), interpolation="none")
        inside = any(start <= second <= end for start, end in moments)
        axes.set_title(f"{second:.1f} s", fontsize=9, fontweight="bold" if inside else "normal", loc="center", pad=3)
        if inside:
            axes.spines[:].set(visible=True, color="#d9b800", linewidth=4)
