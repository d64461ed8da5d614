"""The command `vidistill search`: rank the moments of a folder of videos for sentences."""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidistill.base import files, store
from vidistill.base.stage import UserError, run
from vidistill.base.wording import plural
from vidistill.commands import clock, video_options, words
from vidistill.commands.command_line import Parser
from vidistill.commands.search import Found, Library

LISTED = 5  # files that cannot be used


def parser() -> Parser:
    """The command line."""
    found = Parser(
        "vidistill search",
        "Find moments in a folder of videos, the video that fits best first.",
        'Example: vidistill search clips "a person opens the door" --model results/student_demo.json',
    )
    found.add_argument("folder", type=Path, metavar="FOLDER", help="videos, in folders of it, too")
    found.add_argument(
        "sentences", nargs="*", metavar="SENTENCE", help="what to find; without any, each line of the standard input"
    )
    found.add_argument("--model", type=Path, required=True, help="model.safetensors or a result (.json) of MMDist")
    found.add_argument("--top", type=int, default=5, metavar="N", help="videos per sentence (default: 5)")
    found.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    found.add_argument("--keep", type=Path, metavar="DIR", help="folder for features (default: FOLDER/.vidistill)")
    video_options.add_making(found)
    video_options.add_word_vectors(found)
    video_options.add_fit(found)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    run(lambda: answer(parser().read(arguments)))


def answer(args: argparse.Namespace) -> None:
    """Answer the sentences of the command line, or of the standard input."""
    video_options.check_making(args)
    if args.json:
        files.check_output(args.json, "correct --json", [args.model])
    library = Library(
        args.folder, args.model, keep=args.keep, **video_options.making(args), **video_options.asking(args)
    )
    if args.sentences:
        library.grounder.check(args.sentences)  # before the videos, which take minutes
    library.read(work=args.work, watch=clock.running)
    for line in failures(library):
        print(line, file=sys.stderr)
    answers = {}
    for sentence in args.sentences or asked():
        try:
            (answers[sentence],) = library.search([sentence], args.top)
        except UserError as error:
            if args.sentences:
                raise
            print(f"error: {error}", file=sys.stderr)
        else:
            note = words.said(library.grounder.read_as(sentence))
            print("\n".join(lines(sentence, note, answers[sentence], args.folder)), flush=True)
    if args.json:
        about = {"folder": str(args.folder), "failed": {str(path): why for path, why in library.failed.items()}}
        found = [{"sentence": sentence, "videos": as_json(found)} for sentence, found in answers.items()]
        store.write_json(args.json, {**about, "answers": found})


def asked() -> Iterator[str]:
    """The lines of the standard input; on a terminal, with a prompt."""
    while True:
        if sys.stdin.isatty():
            print("what to find (empty line to end): ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line or (sys.stdin.isatty() and not line.strip()):
            return
        if line.strip():
            yield line.strip()


def failures(library: Library) -> list[str]:
    """What is said about files that cannot be used."""
    if not library.failed:
        return []
    some = list(library.failed.values())[:LISTED]
    more = len(library.failed) - len(some)
    count = plural(len(library.failed), "file")
    said = [f"{count} of {len(library.paths)} cannot be searched:", *(f"  {why}" for why in some)]
    return [*said, f"  and {more} more, all in --json"] if more else said


def lines(sentence: str, note: str, found: Sequence[Found], folder: Path) -> list[str]:
    """The printed lines of an answer, in 80 columns if names are short."""
    width = max(len(str(one.path.relative_to(folder))) for one in found)
    said = [f'"{sentence}"' + (f"   ({note})" if note else "")]
    for rank, one in enumerate(found, 1):
        best = one.moments[0]
        when = f"{clock.text(best.start, True)} - {clock.text(best.end, True)}"
        doubt = ", probably not" if one.in_video is False else ""
        said.append(f"{rank:3}  {one.path.relative_to(folder)!s:{width}}  {when:19}  fit {one.fit:.2f}{doubt}")
    return said


def as_json(found: Sequence[Found]) -> list[dict[str, Any]]:
    """What was found for a sentence."""
    return [
        {
            "video": str(one.path),
            "fit": one.fit,
            "in_video": one.in_video,
            "moments": [vars(moment) for moment in one.moments],
        }
        for one in found
    ]


if __name__ == "__main__":
    main()
