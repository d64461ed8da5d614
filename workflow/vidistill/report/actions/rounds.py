"""Figures: pseudo labels from round to round, as shares and in single videos, and what self-voting changed in them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from vidistill.base import colours
from vidistill.mmsd.rounds import FEW, SHARES
from vidistill.report import style
from vidistill.training.voting import vote

SHARES_TITLE = "Pseudo labels by round"
SHARES_ABOUT = (
    "Shares of the training videos' snippets after each round: labelled foreground, with a target to train on, and "
    "with a target that the votes of other streams have changed. Lines are seeds.",
    "Labels that are almost all foreground or all background (beyond the dashed lines) have collapsed: they teach "
    "themselves. Without a target nothing is learned from pseudo labels; without votes streams learn nothing from each "
    "other this way.",
)
LABELS_TITLE = "Pseudo labels of videos"
LABELS_ABOUT = (
    "What each stream is trained on in a few training videos, round by round, for the first seed. Self-voting replaces "
    "the label of a stream where another one is surer; where no stream is reliable there is no target. Top: the true "
    "segments of all classes, which training does not see.",
)
NO_TARGET, BACKGROUND, FOREGROUND, TO_BACKGROUND, TO_FOREGROUND = range(5)
LOOKS = {  # kind of target -> colour, words
    FOREGROUND: (colours.BLUE, "foreground"),
    BACKGROUND: ("#d4d4d4", "background"),
    TO_FOREGROUND: (colours.VERMILLION, "foreground, by votes"),
    TO_BACKGROUND: (style.GREY, "background, by votes"),
    NO_TARGET: ("#ffffff", "no target"),
}
NAMES = dict(zip(SHARES, ("foreground", "with a target", "changed by votes"), strict=True))


def about(trained: Mapping[str, Any], text: tuple[str, ...]) -> tuple[str, ...]:
    """A page's text, after a sentence for a model that is not trained on its own pseudo labels.

    Args:
        trained: the settings of its training.
    """
    if trained["teachers"]:
        return ("The model learns from the pseudo labels of its teachers; those below are its own.", *text)
    if not trained["loss"]["pseudo_label_weight"]:
        return ("The model does not learn from pseudo labels; those below are made but not used.", *text)
    return text


def draw_shares(histories: Mapping[int, pd.DataFrame], streams: Sequence[str]) -> Figure:
    """A panel for each share; lines are streams and seeds.

    Args:
        histories: seed -> history of the report's model.
        streams: that it may have.
    """
    first = next(iter(histories.values()))
    streams = [stream for stream in streams if f"{SHARES[0]}_{stream}" in first.columns]
    if not streams:
        return style.sentence("The model's history has no rounds.")
    figure, looks = style.new(3.1), style.looks(streams)
    for axes, share in zip(figure.subplots(1, len(SHARES), sharex=True), SHARES, strict=True):
        axes.set_title(NAMES[share])
        for number, (seed, history) in enumerate(histories.items()):
            for stream in streams:
                look, values = looks[stream], history[["epoch", f"{share}_{stream}"]].dropna()
                axes.plot(
                    values["epoch"],
                    100 * values[f"{share}_{stream}"],
                    color=look.colour,
                    ls=style.dash(number),
                    marker=look.marker,
                    gid=f"curve:{share}:{stream}:{seed}",
                )
        for limit in (100 * FEW, 100 - 100 * FEW) if share == SHARES[0] else ():
            axes.axhline(limit, color=style.GREY, lw=1, ls=(0, (4, 2)))
        axes.set(ylim=(-3, 103), xlabel="epoch")
    figure.axes[0].set_ylabel("percent of snippets")
    handles = [Line2D([], [], color=looks[x].colour, marker=looks[x].marker, label=x) for x in streams]
    if len(histories) > 1:
        handles += [
            Line2D([], [], color=style.GREY, ls=style.dash(i), label=f"seed {s}") for i, s in enumerate(histories)
        ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


class Labelled(NamedTuple):
    """What a video's snippets are trained on."""

    rounds: list[int]
    targets: dict[str, np.ndarray]  # stream -> (rounds, T), kinds of LOOKS


def of_videos(
    maps: Path, video_ids: Sequence[str], streams: Sequence[str], settings: Mapping[str, Any]
) -> dict[str, Labelled]:
    """The targets of videos, by the pseudo labels in a model's activation maps and the vote over its streams.

    Args:
        streams: that it may have.
        settings: section `pseudo_labels` of its training.
    """
    columns = ["video_id", "stream", "round", "kind", "values", "confidence"]
    table = pq.read_table(maps, columns=columns, filters=[("video_id", "in", list(video_ids))]).to_pandas()
    margin = settings["margin"] if settings["voting"] else math.inf
    found = {}
    for video_id, rows in table.groupby("video_id"):
        # Rows are equal for all labels of a video.
        by = {key: part.iloc[0] for key, part in rows.groupby(["kind", "round", "stream"])}
        rounds = sorted({number for kind, number, _ in by if kind == "pseudo_label"})
        own = [stream for stream in streams if all(("pseudo_label", number, stream) in by for number in rounds)]
        per_round = []
        for number in rounds:
            labels = _stacked([by["pseudo_label", number, x]["values"] for x in own])
            now = _stacked([by["foreground", number, x]["confidence"] for x in own])
            target, mask = vote(labels, now, reliable=settings["reliable"], margin=margin)
            kinds = torch.where(target > 0.5, FOREGROUND, BACKGROUND)
            kinds[target != labels] += TO_BACKGROUND - BACKGROUND
            per_round.append(torch.where(mask, kinds, NO_TARGET).numpy())
        stacked = np.stack(per_round, axis=1)  # (M, rounds, T)
        found[str(video_id)] = Labelled(rounds, dict(zip(own, stacked, strict=True)))
    return found


def draw_labels(
    videos: Mapping[str, Labelled], truth: Mapping[str, np.ndarray], durations: Mapping[str, float]
) -> Figure:
    """A row of panels for each video, one per stream.

    Args:
        truth: video -> (G, 2) true segments of all classes, seconds.
        durations: video -> seconds.
    """
    if not videos:
        return style.sentence("The model kept no pseudo labels of training videos.")
    streams = list(next(iter(videos.values())).targets)
    most = max(len(labelled.rounds) for labelled in videos.values())
    figure = style.new(0.5 + len(videos) * (0.75 + 0.17 * (most + 1)))
    grid = figure.subplots(len(videos), len(streams), squeeze=False)
    for row, (video_id, labelled) in zip(grid, videos.items(), strict=True):
        for axes, stream in zip(row, streams, strict=True):
            _labels(axes, labelled, stream, truth.get(video_id, np.empty((0, 2))), durations[video_id])
            axes.set_title(f"{video_id}: {stream}", fontsize=9.5)
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    handles = [Patch(facecolor=colour, edgecolor="#888888", label=words) for colour, words in LOOKS.values()]
    handles.append(Patch(facecolor=colours.YELLOW, edgecolor=colours.BLACK, label="true segment"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _labels(axes: Axes, labelled: Labelled, stream: str, truth: np.ndarray, duration: float) -> None:
    kinds = labelled.targets[stream]
    count = len(labelled.rounds)
    palette = ListedColormap([LOOKS[kind][0] for kind in sorted(LOOKS)])
    edges = np.linspace(0, duration, kinds.shape[1] + 1)
    norm = BoundaryNorm(np.arange(len(LOOKS) + 1) - 0.5, len(LOOKS))
    axes.pcolormesh(edges, np.arange(count + 1) + 0.5, kinds, cmap=palette, norm=norm, rasterized=True)
    for start, end in truth:
        axes.barh(0, end - start, left=start, height=0.7, color=colours.YELLOW, edgecolor=colours.BLACK, lw=0.8)
    axes.set_yticks([0, *range(1, count + 1)], ["true", *(f"round {number}" for number in labelled.rounds)], fontsize=8)
    axes.set(ylim=(count + 0.5, -0.6), xlim=(0, duration))
    axes.grid(visible=False)


def _stacked(values: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(values))
