"""The command `vidistill pack`: a trained model as one folder to hand on, with its result and a card."""

import argparse
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidistill.base import store
from vidistill.base.stage import UserError, run
from vidistill.commands import card, card_text, packed, trained, trained_actions
from vidistill.commands.command_line import Parser


def parser() -> Parser:
    """The command line."""
    found = Parser(
        "vidistill pack",
        "Write one folder with a trained model, its result, settings, the recipe of its features, and a card.",
        "Example: vidistill pack results/student_demo.json student-demo --licence apache-2.0",
    )
    found.add_argument("result", type=Path, metavar="RESULT", help="a result, such as results/student_demo.json")
    found.add_argument("output", type=Path, metavar="DIR", help="the folder to write, which must not exist or be empty")
    found.add_argument(
        "--licence",
        required=True,
        metavar="NAME",
        help="of the model, for its card, such as apache-2.0",
    )
    found.add_argument("--seed", type=int, metavar="N", help="which of the result's models (default: its first seed's)")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    run(lambda: answer(parser().read(arguments)))


def answer(args: argparse.Namespace) -> None:
    """Pack what the command line names."""
    pack(args.result, args.output, licence=args.licence, seed=args.seed)
    print(f"{args.output}: {', '.join(packed.FILES)}")


def pack(result: Path, output: Path, *, licence: str, seed: int | None = None) -> None:
    """Write the folder of a packed model.

    Args:
        licence: of the model, as its card says it.
        seed: of the model; None for the result's first.

    Raises:
        UserError: the result, its model or the folder cannot be used.
    """
    if not licence.strip() or "\n" in licence:
        raise UserError("--licence has no name; give one, such as apache-2.0.")
    if result.suffix != ".json":
        raise UserError(f"{result} is not a result; give one, such as results/student_demo.json.")
    model = trained.of_result(result, seed)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} exists and is not an empty folder; name another, or remove it.")
    if not output.resolve().parent.is_dir():
        raise UserError(f"{output} cannot be written: its folder does not exist; create it, or name another.")
    output.mkdir(exist_ok=True)
    shutil.copyfile(model, output / packed.MODEL)
    shutil.copyfile(result, output / packed.RESULT)
    about = packed.read(output)
    store.write_json(output / packed.SETTINGS, settings(model, about))
    store.write_json(output / packed.FEATURES, packed.recipe(about.metadata))
    (output / packed.CARD).write_text(card_text.write(about, licence.strip()), encoding="utf-8")
    if problems := list(card.problems(output)):
        raise UserError("\n".join(problems))


def settings(model: Path, about: packed.About) -> dict[str, Any]:
    """The settings of the training, and of a model of actions those by which its segments are found."""
    found = {"model_sha256": about.sha256, "train": json.loads(about.metadata["settings"])}
    if about.metadata.get("method") == "mmsd":
        found["localise"] = trained_actions.load(model).segments.model_dump(mode="json")
    return found


if __name__ == "__main__":
    main()
