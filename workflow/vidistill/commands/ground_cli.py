"""The command `vidistill ground`: print the answers, and write them as JSON and as a picture."""

import argparse
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidistill.base import files, store
from vidistill.base.stage import UserError, run
from vidistill.commands import clock, one_video
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
    found.add_argument("--json", type=Path, metavar="FILE", help="write all moments and the activation maps")
    found.add_argument("--picture", type=Path, metavar="FILE", help="draw the answers (.png, .svg or .pdf)")
    found.add_argument(
        "--moment",
        nargs=2,
        type=float,
        action="append",
        default=[],
        metavar=("START", "END"),
        help="true moment in seconds, for the picture; once per sentence",
    )
    found.add_argument(
        "--weights", type=Path, nargs="+", default=[], metavar="FILE", help="files of the feature extractor"
    )
    found.add_argument(
        "--features",
        nargs="+",
        default=[],
        metavar="[STREAM=]H5",
        help="features made by the workflow, instead of a video; one per stream of the model",
    )
    found.add_argument("--video-id", metavar="ID", help="video in --features")
    found.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    found.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")
    found.add_argument("--work", type=Path, metavar="DIR", help="folder for decoded frames (default: the system's)")
    found.add_argument("--any-code", action="store_true", help="accept features made by different code")
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
    features = [entry.partition("=")[2] or entry for entry in args.features]
    check_outputs(args, [video or "", args.model, grounder.trained.path, *args.weights, *features])
    if video is None:
        watched = grounder.read(by_stream(args.features, list(grounder.trained.features)), args.video_id)
    else:
        watched = grounder.watch(video, work=args.work, watch=clock.running)
    answers = grounder.ask(watched, sentences)
    for found in answers:
        print("\n".join(lines(found, args.top)))
    name = args.video_id if video is None else video
    if args.json:
        about = {"video": name, "duration": watched.duration, **describe(grounder)}
        store.write_json(args.json, {**about, "answers": [as_json(found) for found in answers]})
    if args.picture:
        draw(args.picture, Path(name).name, watched, answers, args.top, args.moment, f"model: {grounder.trained.name}")


def check(args: argparse.Namespace, video: str | None, sentences: Sequence[str]) -> None:
    """Raise UserError for mistakes that can be found before the video is decoded."""
    if not args.features and video is None:
        raise UserError("no video is given; give one, or --features FILE --video-id ID.")
    if bool(args.features) != bool(args.video_id):
        raise UserError("--features and --video-id belong together; give both, or a video.")
    if args.top < 1 or (args.threads is not None and args.threads < 1):
        raise UserError("--top and --threads must be at least 1; correct them.")
    if args.moment and len(args.moment) != len(sentences):
        raise UserError(f"--moment is given for {len(args.moment)} of {len(sentences)} sentences; give it for each.")
    if wrong := [moment for moment in args.moment if not 0 <= moment[0] <= moment[1] < math.inf]:
        raise UserError("--moment {:g} {:g} does not start before its end; give seconds.".format(*wrong[0]))
    if video is not None:
        files.check_input(video, one_video.REMEDY)
    if args.work is not None:
        files.check_folder(args.work, "correct --work")
    if args.picture:
        from vidistill.commands import picture  # importing matplotlib takes time

        picture.check(args.picture)
    if args.json and args.json == args.picture:
        raise UserError(f"--json and --picture are both {args.json}; give two different files.")


def check_outputs(args: argparse.Namespace, inputs: Sequence[str | Path]) -> None:
    """Raise UserError for an output that cannot be written, or that is one of `inputs`."""
    for option, path in (("--json", args.json), ("--picture", args.picture)):
        if path is not None:
            files.check_output(path, f"correct {option}", inputs)


def draw(
    path: Path, name: str, video: Video, answers: Sequence[Answer], top: int, truths: Sequence[Any], footer: str
) -> None:
    """Write the picture of answers; `truths` are true moments, one per answer or none at all."""
    from vidistill.commands import picture

    questions = []
    for found, truth in zip(answers, truths or [None] * len(answers), strict=True):
        shown = found.moments[:top]
        windows = np.array([(moment.start, moment.end) for moment in shown])
        scores = np.array([moment.score for moment in shown])
        known = (truth[0], truth[1]) if truth else None
        questions.append(picture.Question(found.sentence, windows, scores, found.activation_map, known, unknown(found)))
    title = f"{name}, {clock.text(video.duration, tenths=True)}"
    picture.save(picture.timeline(title, video.duration, questions, video.pictures, footer), path)


def by_stream(given: Sequence[str], streams: list[str]) -> dict[str, str]:
    """`STREAM=H5` by stream; the name may be omitted for a model with one stream."""
    pairs = [entry.partition("=") for entry in given]
    if len(given) == 1 and len(streams) == 1 and pairs[0][0] != streams[0]:
        return {streams[0]: given[0]}
    if not all(equals for _, equals, _ in pairs):
        raise UserError(f"--features {' '.join(given)} does not say which stream is which; give STREAM=FILE.")
    return {stream: path for stream, _, path in pairs}


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


def describe(grounder: Grounder) -> dict[str, Any]:
    """The model and versions, for JSON."""
    about = grounder.trained
    s = about.settings
    return {
        "model": {
            "file": str(about.path),
            "sha256": store.file_digest(about.path),
            "model": s.model,
            "dataset": s.dataset,
            "seed": s.seed,
        },
        "versions": store.versions("numpy", "torch"),
    }


def as_json(found: Answer) -> dict[str, Any]:
    """An answer with all its moments, for JSON."""
    activation = found.activation_map
    return {
        "sentence": found.sentence,
        "unknown_words": list(found.unknown_words),
        "moments": [vars(moment) for moment in found.moments],
        "activation_map": None if activation is None else [float(value) for value in activation],
    }
