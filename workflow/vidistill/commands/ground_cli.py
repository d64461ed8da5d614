"""The command `vidistill ground`: print the answers, and write them in many forms."""

import argparse
import json
import logging
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vidistill.base import store
from vidistill.base.files import check_folder, check_output
from vidistill.base.stage import UserError, run
from vidistill.base.wording import plural
from vidistill.commands import clock, outputs, questions, video_options, words
from vidistill.commands.clock import Watch
from vidistill.commands.command_line import Parser
from vidistill.commands.ground import Answer, Grounder
from vidistill.commands.kept import Kept, ready
from vidistill.commands.one_video import UnusableVideoError, Video
from vidistill.commands.outputs import Answered
from vidistill.commands.questions import Asked

MANY = 1000  # moments of a sentence, more than a video has above the bar
STANDARD_OUTPUT = "-"  # in place of a file for --json


def parser() -> Parser:
    """The command line."""
    found = Parser(
        "vidistill ground",
        "Find the moments of videos that sentences describe, best first.",
        'Example: vidistill ground video.mp4 "a person opens the door" --model results/student_demo.json',
    )
    found.add_argument(
        "words",
        nargs="*",
        metavar="VIDEO... SENTENCE...",
        help="video files or folders of them, then what to find, each sentence in quotes; omit videos with --features",
    )
    found.add_argument("--table", type=Path, metavar="CSV", help="columns video and sentence, in place of these words")
    found.add_argument("--top", type=int, default=3, metavar="N", help="moments per sentence (default: 3)")
    found.add_argument(
        "--all", action="store_true", help="all moments that fit well enough and do not overlap, or that there is none"
    )
    found.add_argument(
        "--output",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the moments as .csv (of all videos), .html (a page that plays), .srt, .vtt or .edl; {video} in the "
        "name stands for each video's; may be repeated",
    )
    found.add_argument("--cut", type=Path, metavar="DIR", help="write the moments as clips that play (.mp4)")
    found.add_argument("--keep", type=Path, metavar="DIR", help="keep features there, and use those that are kept")
    found.add_argument(
        "--moment",
        nargs=2,
        type=float,
        action="append",
        default=[],
        metavar=("START", "END"),
        help="true moment in seconds, for the picture; once per sentence",
    )
    video_options.add(found)
    video_options.add_word_vectors(found)
    video_options.add_fit(found)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    run(lambda: answer(parser().read(arguments)))


def answer(args: argparse.Namespace) -> None:
    """Answer the questions of the command line."""
    asked = read(args)
    check(args, asked)
    grounder = Grounder(args.model, **video_options.making(args), **video_options.asking(args))
    for one in asked:
        grounder.check(one.sentences)
    if args.all and grounder.bar is None:
        raise UserError(
            f"{grounder.trained.path} has no bar for --all; use a model of MMDist with a local branch, such as "
            "student, that this version trained, or give --bar."
        )
    check_outputs(args, asked, grounder.trained.path)
    footer = f"model: {grounder.trained.name}"
    answered: list[Answered] = []
    failed: dict[Path, str] = {}
    for one, watched in each(args, grounder, asked):
        if isinstance(watched, UnusableVideoError):
            failed[one.video] = str(watched)
            print(f"error: {watched}", file=sys.stderr)
            continue
        answers = grounder.ask(watched, one.sentences)
        notes = tuple(map(note, answers))
        if args.all:
            answers = tuple(replace(answer, moments=answer.above) for answer in answers)
        found = Answered(one.video, replace(watched, features={}), answers, notes, shown_at_most(args))
        show(args, found, footer, several=len(asked) > 1)
        answered.append(found)
    outputs.write_all(args.output, answered)
    if args.json:
        write_json(args.json, grounder, asked, answered, failed)
    if failed:
        raise UserError(f"{len(failed)} of {plural(len(asked), 'video')} could not be asked; mend what is said above.")


def shown_at_most(args: argparse.Namespace) -> int:
    """Moments that are shown of each sentence."""
    return MANY if args.all else int(args.top)


def read(args: argparse.Namespace) -> list[Asked]:
    """What the command line asks.

    Raises:
        UserError: it asks nothing, or in two ways.
    """
    if args.table is not None:
        if args.words or args.features:
            raise UserError("--table has videos and sentences; give nothing but options beside it.")
        return questions.of_table(args.table)
    if args.features:
        return [Asked(Path(args.video_id or ""), tuple(args.words))]
    return questions.of_words(args.words)


def check(args: argparse.Namespace, asked: Sequence[Asked]) -> None:
    """Raise UserError for mistakes that can be found before the model is loaded."""
    count = len(asked[0].sentences) if asked else 0
    if args.moment and (len(args.moment) != count or args.table):
        raise UserError(f"--moment is given for {len(args.moment)} of {count} sentences; give it for each.")
    if wrong := [moment for moment in args.moment if not 0 <= moment[0] <= moment[1] < math.inf]:
        raise UserError("--moment {:g} {:g} does not start before its end; give seconds.".format(*wrong[0]))
    video_options.check(args, [one.video for one in asked])
    if args.features and (args.cut or any(path.suffix.lower() in outputs.FROM_VIDEO for path in args.output)):
        need = ", ".join(outputs.FROM_VIDEO)
        raise UserError(f"--cut and --output {need} need the video; give it in place of --features.")
    for option, folder in (("--cut", args.cut), ("--keep", args.keep)):
        if folder is not None:
            check_folder(folder, f"correct {option}")


def check_outputs(args: argparse.Namespace, asked: Sequence[Asked], model: Path) -> None:
    """Raise UserError for an output that cannot be written, or that is an input."""
    videos = [one.video for one in asked]
    inputs = [*video_options.inputs(args, videos, model), *([args.table] if args.table else [])]
    outputs.check(args.output, videos, inputs)
    if args.cut:
        outputs.check_clips(args.cut, asked, shown_at_most(args))
    if args.picture:
        outputs.check_names("--picture", args.picture, videos)
        check_output(outputs.of_video(args.picture, videos[0]), "correct --picture", inputs)
    if args.json and str(args.json) != STANDARD_OUTPUT:
        check_output(args.json, "correct --json", inputs)


def each(
    args: argparse.Namespace, grounder: Grounder, asked: Sequence[Asked]
) -> Iterator[tuple[Asked, Video | UnusableVideoError]]:
    """Each video as the model sees it, or why it cannot be used. A single video's error is raised.

    Raises:
        UserError: features like the model's cannot be made here.
    """
    if args.features:
        files = video_options.by_stream(args.features, list(grounder.trained.features))
        yield asked[0], grounder.read(files, args.video_id)
        return
    kept = Kept(args.keep, args.keep, grounder.trained.features) if args.keep else None
    since = time.monotonic()
    for done, one in enumerate(asked):
        watch = clock.of_many(clock.running, "video", done, len(asked), since)
        try:
            watched: Video | UnusableVideoError = seen(grounder, one.video, kept, args.work, watch)
        except UnusableVideoError as error:
            if len(asked) == 1:
                raise
            watched = error
        yield one, watched


def seen(grounder: Grounder, video: Path, kept: Kept | None, work: Path | None, watch: Watch) -> Video:
    """The video as the model sees it, by its kept features if features are kept."""
    if kept is None:
        return grounder.watch(video, work=work, watch=watch)
    ready(grounder, video, kept, work, watch)
    return kept.load(video)


def show(args: argparse.Namespace, found: Answered, footer: str, *, several: bool) -> None:
    """Print a video's answers, and write what is for this video."""
    if str(args.json) != STANDARD_OUTPUT:
        said = [
            line for one, about in zip(found.answers, found.notes, strict=True) for line in lines(one, about, found.top)
        ]
        print("\n".join([str(found.video), *said, ""] if several else said), flush=True)
    outputs.write_one(args.output, found, footer)
    if args.cut:
        outputs.write_clips(args.cut, found)
    if args.picture:
        draw(outputs.of_video(args.picture, found.video), found, args.moment, footer)


def draw(path: Path, found: Answered, truths: Sequence[Any], footer: str) -> None:
    """Write the picture of answers; `truths` are true moments, one per answer or none at all."""
    from vidistill.commands import canvas, picture

    asked = []
    for one, note, truth in zip(found.answers, found.notes, truths or [None] * len(found.answers), strict=True):
        shown = one.moments[: found.top]
        windows = np.array([(moment.start, moment.end) for moment in shown])
        scores = np.array([moment.score for moment in shown])
        known = (truth[0], truth[1]) if truth else None
        asked.append(picture.Question(one.sentence, windows, scores, one.activation_map, known, note))
    duration = found.watched.duration
    title = f"{found.video.name}, {clock.text(duration, tenths=True)}"
    canvas.save(picture.timeline(title, duration, asked, found.watched.pictures, footer), path)


def write_json(
    path: Path, grounder: Grounder, asked: Sequence[Asked], answered: Sequence[Answered], failed: dict[Path, str]
) -> None:
    """Write all moments, and the model that found them: of several videos as a list."""
    about = video_options.describe(grounder.trained.path, grounder.trained.settings)
    videos = [
        {
            "video": str(found.video),
            "duration": found.watched.duration,
            "answers": [as_json(one) for one in found.answers],
        }
        for found in answered
    ]
    if len(asked) == 1:
        written = {**about, **videos[0]}
    else:
        written = {**about, "videos": videos, "failed": {str(video): reason for video, reason in failed.items()}}
    if str(path) == STANDARD_OUTPUT:
        print(json.dumps(written, indent=2, ensure_ascii=False))
    else:
        store.write_json(path, written)


def lines(found: Answer, about: str, top: int) -> list[str]:
    """The printed lines of an answer; `about` is a note on it."""
    rows = [f'"{found.sentence}"' + (f"   ({about})" if about else "")]
    for rank, moment in enumerate(found.moments[:top], 1):
        when = f"{clock.text(moment.start, True)} - {clock.text(moment.end, True)}"
        seconds = f"{moment.start:.1f} s - {moment.end:.1f} s"
        rows.append(f"{rank:3}  {when:23} {seconds:23} score {moment.score:.3f}")
    return rows


def note(found: Answer) -> str:
    """A note on an answer: whether the video shows it at all, and words that the model does not know."""
    absent = "probably not in this video" if found.in_video is False else ""
    return "; ".join(filter(None, [absent, words.said(found.read_as, found.unknown_words)]))


def as_json(found: Answer) -> dict[str, Any]:
    """An answer with all its moments, for JSON."""
    activation = found.activation_map
    return {
        "sentence": found.sentence,
        "read_as": found.read_as,
        "unknown_words": list(found.unknown_words),
        "fit": found.fit,
        "bar": found.bar,
        "in_video": found.in_video,
        "moments": [vars(moment) for moment in found.moments],
        "activation_map": None if activation is None else [float(value) for value in activation],
    }
