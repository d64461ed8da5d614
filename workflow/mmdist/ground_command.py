"""The command `mmdist ground`: what a video answers, printed, as JSON and as a picture."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdist import clock, store
from mmdist.ground import Answer, Grounder
from mmdist.stage import UserError, run

LAST = "model.safetensors, or a result (.json) whose first seed's model is taken"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="mmdist ground",
        description="Ask a video: the moments that a trained model finds for sentences, best first.",
        epilog='Example: mmdist ground video.mp4 "a person opens the door" --model results/student_demo.json',
    )
    found.add_argument("video", nargs="?", metavar="VIDEO", help="a video file; left out with --features")
    found.add_argument("sentences", nargs="*", metavar="SENTENCE", help="what to look for, in quotes; one or more")
    found.add_argument("--model", type=Path, required=True, help=LAST)
    found.add_argument("--top", type=int, default=3, metavar="N", help="moments of each sentence (default: 3)")
    found.add_argument("--json", type=Path, metavar="FILE", help="write all moments and the activation maps")
    found.add_argument("--picture", type=Path, metavar="FILE", help="draw the answers: .png, .svg or .pdf")
    found.add_argument(
        *("--moment", "-m"),
        nargs=2,
        type=float,
        action="append",
        default=[],
        metavar=("START", "END"),
        help="the true moment in seconds, for the picture; once for each sentence",
    )
    found.add_argument("--weights", type=Path, nargs="+", default=[], metavar="FILE", help="of the feature extractor")
    found.add_argument(
        *("--features", "-f"),
        nargs="+",
        default=[],
        metavar="[STREAM=]H5",
        help="features that the workflow made, in place of a video; of each stream that the model reads",
    )
    found.add_argument("--video-id", metavar="ID", help="the video among --features")
    found.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    found.add_argument("--threads", type=int, metavar="N", help="of PyTorch on the CPU (default: its own choice)")
    found.add_argument("--work", type=Path, metavar="DIR", help="for decoded frames (default: the system's own)")
    found.add_argument(
        "--any-code", action="store_true", help="go on where code has changed since the features' making"
    )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    run(lambda: answer(parser().parse_intermixed_args(arguments)))


def answer(args: argparse.Namespace) -> None:
    """Do what the command line asks for."""
    video, sentences = args.video, args.sentences
    if args.features:
        video, sentences = None, ([args.video] if args.video is not None else []) + sentences
    if not args.features and video is None:
        raise UserError("no video is given; name one, or --features FILE --video-id ID.")
    if bool(args.features) != bool(args.video_id):
        raise UserError("--features and --video-id belong together; give both, or a video.")
    if args.top < 1 or (args.threads is not None and args.threads < 1):
        raise UserError("--top and --threads count from 1; correct them.")
    if args.moment and len(args.moment) != len(sentences):
        raise UserError(f"--moment is given {len(args.moment)} times for {len(sentences)} sentences; once for each.")
    if args.picture:
        from mmdist import plots  # before minutes are spent; without a picture nobody waits for matplotlib

        plots.check(args.picture)
    if args.work is not None and not args.work.is_dir():
        raise UserError(f"{args.work} is no folder; correct --work.")
    grounder = Grounder(
        args.model, weights=args.weights, device=args.device, threads=args.threads, any_code=args.any_code
    )
    grounder.check(sentences)
    if args.features:
        film = grounder.read(by_stream(args.features, list(grounder.trained.features)), args.video_id)
    else:
        film = grounder.watch(video, work=args.work, watch=clock.running)
    answers = grounder.ask(film, sentences)
    for found in answers:
        print("\n".join(lines(found, args.top)))
    about = {"video": str(video or args.video_id), "duration": film.duration, **describe(grounder)}
    if args.json:
        store.write_json(args.json, {**about, "answers": [as_json(found) for found in answers]})
    if args.picture:
        truths: list[Any] = args.moment or [None] * len(answers)
        figure = plots.timeline(
            f"{Path(about['video']).name}, {clock.text(film.duration, tenths=True)}",
            film.duration,
            [_question(found, args.top, truth) for found, truth in zip(answers, truths, strict=True)],
            film.pictures,
            footer=f"model: {grounder.trained.name}",
        )
        plots.save(figure, args.picture)


def by_stream(given: Sequence[str], streams: list[str]) -> dict[str, str]:
    """`STREAM=H5` by stream; of a model with one stream the name may be left out."""
    pairs = [entry.partition("=") for entry in given]
    if len(given) == 1 and len(streams) == 1 and pairs[0][0] != streams[0]:
        return {streams[0]: given[0]}
    if not all(equals for _, equals, _ in pairs):
        raise UserError(f"--features {' '.join(given)} does not say which stream is which; give STREAM=FILE.")
    return {stream: path for stream, _, path in pairs}


def lines(found: Answer, top: int) -> list[str]:
    """An answer as it is printed."""
    unknown = f"   (not known to the model: {', '.join(found.unknown_words)})" if found.unknown_words else ""
    rows = [f'"{found.sentence}"{unknown}']
    for rank, moment in enumerate(found.moments[:top], 1):
        when = f"{clock.text(moment.start, True)} - {clock.text(moment.end, True)}"
        seconds = f"{moment.start:.1f} s - {moment.end:.1f} s"
        rows.append(f"{rank:3}  {when:23} {seconds:23} score {moment.score:.3f}")
    return rows


def describe(grounder: Grounder) -> dict[str, Any]:
    """Which model answers."""
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
    """An answer with all its moments."""
    activation = found.activation_map
    return {
        "sentence": found.sentence,
        "unknown_words": list(found.unknown_words),
        "moments": [vars(moment) for moment in found.moments],
        "activation_map": None if activation is None else [float(value) for value in activation],
    }


def _question(found: Answer, top: int, truth: Sequence[float] | None) -> Any:
    from mmdist import plots

    shown = found.moments[:top]
    return plots.Question(
        found.sentence,
        np.array([(moment.start, moment.end) for moment in shown]),
        np.array([moment.score for moment in shown]),
        found.activation_map,
        (truth[0], truth[1]) if truth else None,
        f"not known to the model: {', '.join(found.unknown_words)}" if found.unknown_words else "",
    )
