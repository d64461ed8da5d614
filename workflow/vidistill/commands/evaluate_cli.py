"""The command `vidistill evaluate`: the numbers of predictions that were made elsewhere."""

import argparse
import csv
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vidistill.base import files, store
from vidistill.base.stage import run
from vidistill.base.wording import plural
from vidistill.commands import own_predictions
from vidistill.commands.command_line import Parser

LISTED = 10  # flaws that are printed
FLAWS = ("file", "line", "row", "problem", "used")


def parser() -> Parser:
    """The command line."""
    found = Parser(
        "vidistill evaluate",
        "Evaluate predictions of any method on a data set of the configuration, as the workflow evaluates its models.",
        "Example: vidistill evaluate mine.jsonl --dataset charades-cpl --compare-with student",
    )
    found.add_argument(
        "predictions",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="moments as JSON lines (qid, query, vid, pred_relevant_windows) or, for labels, the JSON of ActivityNet's "
        "toolkit; one file per seed",
    )
    found.add_argument("--dataset", required=True, metavar="NAME", help="a data set of the configuration")
    found.add_argument("--name", help="what the method is called (default: the name of the file)")
    found.add_argument(
        "--compare-with",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="models whose predictions are in results/, compared query by query",
    )
    found.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="laid over config/config.yaml, as Snakemake's option of this name",
    )
    found.add_argument("--json", type=Path, metavar="FILE", help="write the result")
    found.add_argument("--flaws", type=Path, metavar="FILE", help="write all rows that do not fit, as CSV")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    run(lambda: answer(parser().read(arguments)))


def answer(args: argparse.Namespace) -> None:
    """Answer the command line."""
    for path in args.predictions:
        files.check_input(path, "correct its name")
    for option, path in (("--json", args.json), ("--flaws", args.flaws)):
        if path:
            files.check_output(path, f"correct {option}", args.predictions)
    name = args.name or own_predictions.name_of(args.predictions[0])
    config = own_predictions.read_config(args.configfile)
    plan = own_predictions.plan_with(config, args.dataset, name, args.predictions, args.compare_with)
    with tempfile.TemporaryDirectory() as work:
        found = own_predictions.run(plan, args.dataset, name, args.predictions, Path(work))
    if args.json:
        store.write_json(args.json, found.result)
    if args.flaws:
        with store.atomic(args.flaws) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, FLAWS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(found.flaws)
    print("\n".join(found.lines))
    if others := own_predictions.comparable(plan, args.dataset, name):
        print(f"predictions of {', '.join(others)} are in results/{args.dataset}; --compare-with compares with them")
    unused = [flaw for flaw in found.flaws if flaw["used"] == "no"]
    for flaw in unused[:LISTED]:
        place = ", ".join(filter(None, [flaw["file"], flaw["line"] and f"line {flaw['line']}", flaw["row"]]))
        print(f"not used: {place}: {flaw['problem']}")
    if len(unused) > LISTED:
        print(f"and {plural(len(unused) - LISTED, 'row')} more; --flaws FILE writes them all")


if __name__ == "__main__":
    main()
