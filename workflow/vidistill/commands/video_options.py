"""Options of the commands that ask a trained model about one video, and their checks."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidistill.base import files, store
from vidistill.base.stage import UserError
from vidistill.commands import clock, one_video
from vidistill.commands.command_line import Parser
from vidistill.commands.one_video import Video
from vidistill.commands.watcher import Watcher
from vidistill.settings.train import ModelSettings

MODEL = "model.safetensors, or a result (.json) for the model of its first seed"


def add(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("--model", type=Path, required=True, help=MODEL)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw what was found (.png, .svg or .pdf)")
    parser.add_argument(
        "--features",
        nargs="+",
        default=[],
        metavar="[STREAM=]H5",
        help="features made by the workflow, instead of a video; one per stream of the model",
    )
    parser.add_argument("--video-id", metavar="ID", help="video in --features")
    add_making(parser)


def add_making(parser: Parser) -> None:
    """Add the options that say how features are made."""
    parser.add_argument(
        "--weights", type=Path, nargs="+", default=[], metavar="FILE", help="files of the feature extractor"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="folder for decoded frames (default: the system's)")
    parser.add_argument("--any-code", action="store_true", help="accept features made by different code")


def add_word_vectors(parser: Parser) -> None:
    """Add the option for words that a model does not know."""
    parser.add_argument(
        "--word-vectors",
        type=Path,
        metavar="FILE",
        help="GloVe's text file, by which unknown words are read as the nearest known ones",
    )


def add_fit(parser: Parser) -> None:
    """Add the options for long videos, and for what is in none."""
    parser.add_argument(
        "--window",
        type=float,
        metavar="SECONDS",
        help="ask longer videos by windows of this length (default: that of training videos; inf: ask videos whole)",
    )
    parser.add_argument(
        "--bar", type=float, metavar="FIT", help="what fits less is not in a video (default: the model's own bar)"
    )


def making(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of a `Watcher` that say how features are made."""
    return {name: getattr(args, name) for name in ("weights", "device", "threads", "any_code")}


def asking(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of a `Grounder` that say how sentences are asked."""
    return {name: getattr(args, name) for name in ("word_vectors", "window", "bar")}


def check(args: argparse.Namespace, videos: Sequence[str | Path]) -> None:
    """Raise UserError for mistakes that can be found before a model is loaded."""
    if not args.features and not videos:
        raise UserError("no video is given; give one, or --features FILE --video-id ID.")
    if bool(args.features) != bool(args.video_id):
        raise UserError("--features and --video-id belong together; give both, or a video.")
    check_making(args)
    if len(videos) == 1 and not args.features:
        files.check_input(videos[0], one_video.REMEDY)
    if args.picture:
        from vidistill.commands import canvas  # importing matplotlib takes time

        canvas.check(args.picture)
    if args.json and args.json == args.picture:
        raise UserError(f"--json and --picture are both {args.json}; give two different files.")


def check_making(args: argparse.Namespace) -> None:
    """Raise UserError for wrong numbers and folders."""
    if args.top < 1 or (args.threads is not None and args.threads < 1):
        raise UserError("--top and --threads must be at least 1; correct them.")
    if args.work is not None:
        files.check_folder(args.work, "correct --work")


def check_outputs(args: argparse.Namespace, video: str | None, model: Path) -> None:
    """Raise UserError for an output that cannot be written, or that is an input.

    Args:
        model: the file of the model that --model names.
    """
    read = inputs(args, [video] if video else [], model)
    for option, path in (("--json", args.json), ("--picture", args.picture)):
        if path is not None:
            files.check_output(path, f"correct {option}", read)


def inputs(args: argparse.Namespace, videos: Sequence[str | Path], model: Path) -> list[str | Path]:
    """All files that a command reads, and must not write."""
    features = [entry.partition("=")[2] or entry for entry in args.features]
    return [*videos, args.model, model, *args.weights, *features]


def watch(args: argparse.Namespace, watcher: Watcher, video: str | None, streams: list[str]) -> Video:
    """The video that is asked about, or its features."""
    if video is None:
        return watcher.read(by_stream(args.features, streams), args.video_id)
    return watcher.watch(video, work=args.work, watch=clock.running)


def by_stream(given: Sequence[str], streams: list[str]) -> dict[str, str]:
    """`STREAM=H5` by stream; the name may be omitted for a model with one stream."""
    pairs = [entry.partition("=") for entry in given]
    if len(given) == 1 and len(streams) == 1 and pairs[0][0] != streams[0]:
        return {streams[0]: given[0]}
    if not all(equals for _, equals, _ in pairs):
        raise UserError(f"--features {' '.join(given)} does not say which stream is which; give STREAM=FILE.")
    return {stream: path for stream, _, path in pairs}


def describe(path: Path, settings: ModelSettings) -> dict[str, Any]:
    """The model and versions, for JSON."""
    s = settings
    about = {"file": str(path), "sha256": store.file_digest(path), "model": s.model, "dataset": s.dataset}
    return {"model": {**about, "seed": s.seed}, "versions": store.versions("numpy", "torch")}
