"""The command `vidistill ground`: print the answers, and write them as JSON and as a picture."""

import argparse
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidistill.base import store
from vidistill.base.stage import UserError, run
from vidistill.commands import clock, video_options
from vidistill.commands.command_line import Parser
from vidistill.commands.ground import Answer, Grounder
from vidistill.commands.one_video import Video

MODEL = "model.safetensors, or a result (.json) for the model of its first seed"


def parser() -> Parser:
    """The command line."""
    found = Parser(
        "vidistill ground",
        "Find the moments of a video that sentences describe, best first.",
        'Example: vidistill ground video.mp4 "a person opens the door" --model results/student_demo.json',
    )
    found.add_argument("video", nargs="?", metavar="VIDEO", help="a video file; omit it with --features")
    found.add_argument("sentences", nargs="*", metavar="SENTENCE", help="what to find, in quotes; one or more")
    found.add_argument("--model", type=Path, required=True, help=MODEL)
    found.add_argument("--top", type=int, default=3, metavar="N", help="moments per sentence (default: 3)")
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
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    run(lambda: answer(parser().read(arguments)))


def answer(args: argparse.Namespace) -> None:
    """Answer the sentences of the command line."""
    video, sentences = args.video, args.sentences
    if args.features:  # no video, so the first argument is a sentence
        video, sentences = None, ([] if args.video is None else [args.video]) + sentences
    check(args, video, sentences)
    grounder = Grounder(
        args.model, weights=args.weights, device=args.device, threads=args.threads, any_code=args.any_code
    )
    grounder.check(sentences)
    about = grounder.trained
    video_options.check_outputs(args, video, about.path)
    watched = video_options.watch(args, grounder, video, list(about.features))
    answers = grounder.ask(watched, sentences)
    for found in answers:
        print("\n".join(lines(found, args.top)))
    name = args.video_id if video is None else video
    if args.json:
        of_model = video_options.describe(about.path, about.settings)
        answered = {"answers": [as_json(found) for found in answers]}
        store.write_json(args.json, {"video": name, "duration": watched.duration, **of_model, **answered})
    if args.picture:
        draw(args.picture, Path(name).name, watched, answers, args.top, args.moment, f"model: {about.name}")


def check(args: argparse.Namespace, video: str | None, sentences: Sequence[str]) -> None:
    """Raise UserError for mistakes that can be found before the video is decoded."""
    if args.moment and len(args.moment) != len(sentences):
        raise UserError(f"--moment is given for {len(args.moment)} of {len(sentences)} sentences; give it for each.")
    if wrong := [moment for moment in args.moment if not 0 <= moment[0] <= moment[1] < math.inf]:
        raise UserError("--moment {:g} {:g} does not start before its end; give seconds.".format(*wrong[0]))
    video_options.check(args, video)


def draw(
    path: Path, name: str, video: Video, answers: Sequence[Answer], top: int, truths: Sequence[Any], footer: str
) -> None:
    """Write the picture of answers; `truths` are true moments, one per answer or none at all."""
    from vidistill.commands import canvas, picture

    questions = []
    for found, truth in zip(answers, truths or [None] * len(answers), strict=True):
        shown = found.moments[:top]
        windows = np.array([(moment.start, moment.end) for moment in shown])
        scores = np.array([moment.score for moment in shown])
        known = (truth[0], truth[1]) if truth else None
        questions.append(picture.Question(found.sentence, windows, scores, found.activation_map, known, unknown(found)))
    title = f"{name}, {clock.text(video.duration, tenths=True)}"
    canvas.save(picture.timeline(title, video.duration, questions, video.pictures, footer), path)


def lines(found: Answer, top: int) -> list[str]:
    """The printed lines of an answer."""
    rows = [f'"{found.sentence}"' + (f"   ({unknown(found)})" if found.unknown_words else "")]
    for rank, moment in enumerate(found.moments[:top], 1):
        when = f"{clock.text(moment.start, True)} - {clock.text(moment.end, True)}"
        seconds = f"{moment.start:.1f} s - {moment.end:.1f} s"
        rows.append(f"{rank:3}  {when:23} {seconds:23} score {moment.score:.3f}")
    return rows


def unknown(found: Answer) -> str:
    """A note on unknown words; empty without any."""
    return f"not known to the model: {', '.join(found.unknown_words)}" if found.unknown_words else ""


def as_json(found: Answer) -> dict[str, Any]:
    """An answer with all its moments, for JSON."""
    activation = found.activation_map
    return {
        "sentence": found.sentence,
        "unknown_words": list(found.unknown_words),
        "moments": [vars(moment) for moment in found.moments],
        "activation_map": None if activation is None else [float(value) for value in activation],
    }
