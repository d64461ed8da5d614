"""The command `vidistill locate`: print the segments of each class, and write them as JSON and as a picture."""

import argparse
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidistill.base import store
from vidistill.base.stage import UserError, run
from vidistill.commands import clock, video_options
from vidistill.commands.command_line import Parser, meant
from vidistill.commands.locate import Locator
from vidistill.commands.one_video import Video
from vidistill.mmsd.ask import Answer, Found


def parser() -> Parser:
    """The command line."""
    found = Parser(
        "vidistill locate",
        "Find the segments of a video in which actions happen: the classes that a model of MMSD knows.",
        "Example: vidistill locate video.mp4 --model results/mmsd_demo-actions.json",
    )
    found.add_argument("video", nargs="?", metavar="VIDEO", help="a video file; omit it with --features")
    found.add_argument("--top", type=int, default=3, metavar="N", help="segments per class to print (default: 3)")
    found.add_argument(
        "--class-threshold",
        type=float,
        metavar="X",
        help="a video has the classes whose score is at least this, or the best one (default: as in the predictions)",
    )
    found.add_argument(
        "--segment",
        nargs=3,
        action="append",
        default=[],
        metavar=("LABEL", "START", "END"),
        help="true segment of a class in seconds, for the picture; once per segment",
    )
    video_options.add(found)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    run(lambda: answer(parser().read(arguments)))


def answer(args: argparse.Namespace) -> None:
    """Answer the command line."""
    if args.features and args.video is not None:
        raise UserError("a video and --features are given; give one of them.")
    video_options.check(args, [args.video] if args.video else [])
    locator = Locator(args.model, class_threshold=args.class_threshold, **video_options.making(args))
    about = locator.trained
    truths = true_segments(args.segment, about.model.classes)
    video_options.check_outputs(args, args.video, about.path)
    watched = video_options.watch(args, locator, args.video, list(about.features))
    found = locator.ask(watched)
    for action in found.classes:
        print("\n".join(lines(action, args.top)))
    name = args.video_id if args.video is None else args.video
    if args.json:
        of_model = video_options.describe(about.path, about.settings)
        settings = locator.segments.model_dump(mode="json", exclude={"device", "threads", "id_prefix"})
        described = {"video": name, "duration": watched.duration, **of_model, "settings": settings}
        store.write_json(args.json, described | as_json(found))
    if args.picture:
        draw(args.picture, Path(name).name, watched, found, truths, f"model: {about.name}")


def true_segments(given: Sequence[Sequence[str]], classes: Sequence[str]) -> dict[str, list[tuple[float, float]]]:
    """Label -> starts and ends, in seconds.

    Raises:
        UserError: a label is not a class of the model, or a segment does not start before its end.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for label, *times in given:
        if label not in classes:
            raise UserError(
                f"--segment: the model has no class {label!r}{meant(label, classes)} it has {', '.join(classes)}."
            )
        try:
            start, end = map(float, times)
        except ValueError:
            start, end = math.nan, math.nan
        if not 0 <= start < end < math.inf:
            raise UserError(f"--segment {label} {' '.join(times)} does not start before its end; give seconds.")
        found.setdefault(label, []).append((start, end))
    return found


def draw(
    path: Path,
    name: str,
    video: Video,
    found: Answer,
    truths: dict[str, list[tuple[float, float]]],
    footer: str,
) -> None:
    """Write the picture: a row for each class that the video has, or of which a true segment is given."""
    from vidistill.commands import canvas, segments_picture

    rows = [
        segments_picture.Row(x.label, x.moments, x.scores, x.activation, x.video_score, truths.get(x.label, []))
        for x in found.classes
    ]
    missed = [label for label in truths if label not in {x.label for x in found.classes}]
    rows += [segments_picture.Row(label, truth=truths[label]) for label in missed]
    title = f"{name}, {clock.text(video.duration, tenths=True)}"
    figure = segments_picture.timeline(title, video.duration, found.times, rows, video.pictures, footer)
    canvas.save(figure, path)


def lines(found: Found, top: int) -> list[str]:
    """The printed lines of a class."""
    rows = [f"{found.label}   class score {found.video_score:.3f}"]
    if not len(found.moments):
        rows.append("     no segment above the thresholds")
    for rank, ((start, end), score) in enumerate(zip(found.moments[:top], found.scores, strict=False), 1):
        when = f"{clock.text(start, True)} - {clock.text(end, True)}"
        rows.append(f"{rank:3}  {when:23} {f'{start:.1f} s - {end:.1f} s':23} score {score:.3f}")
    return rows


def as_json(found: Answer) -> dict[str, Any]:
    """An answer with all its segments, for JSON."""

    def segments(of: Found) -> list[dict[str, float]]:
        rows = zip(of.moments.tolist(), of.scores.tolist(), strict=True)
        return [{"start": start, "end": end, "score": score} for (start, end), score in rows]

    return {
        "classes": [
            {
                "label": x.label,
                "score": x.video_score,
                "segments": segments(x),
                "activation": x.activation.tolist(),
            }
            for x in found.classes
        ],
        "snippets": found.times.tolist(),
        "attention": {stream: values.tolist() for stream, values in found.attention.items()},
    }
