"""The command `vidistill card`: whether the card of a packed model says all that is needed, and what is true."""

import argparse
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vidistill.base.stage import UserError, run
from vidistill.commands import card_text, packed
from vidistill.commands.command_line import Parser
from vidistill.commands.packed import About

NEEDED = ("license", "library_name", "tags")  # keys of the front matter


def parser() -> Parser:
    """The command line."""
    found = Parser(
        "vidistill card",
        "Check a packed model: needed fields, files that belong together, and numbers that are those of its result.",
        "Example: vidistill card student-demo",
    )
    found.add_argument("folder", type=Path, metavar="DIR", help="a folder that `vidistill pack` wrote")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    run(lambda: answer(parser().read(arguments)))


def answer(args: argparse.Namespace) -> None:
    """Check what the command line names.

    Raises:
        UserError: a line for each thing that is wrong.
    """
    if not args.folder.is_dir():
        raise UserError(f"{args.folder} is not a folder; give one that `vidistill pack` wrote.")
    if found := list(problems(args.folder)):
        raise UserError("\n".join(found))
    print(f"{args.folder}: the card is complete, and its numbers are those of {packed.RESULT}")


def problems(folder: Path) -> Iterator[str]:
    """A sentence for each thing that is wrong with a packed model."""
    if missing := [name for name in packed.FILES if not (folder / name).is_file()]:
        yield f"{folder} lacks {', '.join(missing)}; pack the model again."
        return
    try:
        about = packed.read(folder)
        _ = about.seed
    except UserError as error:
        yield f"{folder}: {error}"
        return
    yield from _tables(folder, about)
    text = (folder / packed.CARD).read_text(encoding="utf-8")
    where = folder / packed.CARD
    try:
        front = _front(text)
    except ValueError as error:
        yield f"{where} has no front matter that can be read ({error}); begin it with YAML between two lines of ---."
        return
    for problem in [*_fields(front), *_numbers(front, about), *_body(text, about)]:
        yield f"{where}: {problem}"


def _tables(folder: Path, about: About) -> Iterator[str]:
    """What is wrong with the two files that repeat what the model says about itself."""
    for name, expected in (
        (packed.SETTINGS, {"model_sha256": about.sha256, "train": json.loads(about.metadata["settings"])}),
        (packed.FEATURES, packed.recipe(about.metadata)),
    ):
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
            same = all(found[key] == value for key, value in expected.items())
        except (ValueError, KeyError, TypeError):
            same = False
        if not same:
            yield f"{folder / name} is not what {packed.MODEL} says of itself; pack the model again."


def _front(text: str) -> dict[str, Any]:
    parts = text.split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        raise ValueError("there is none")
    try:
        found = yaml.safe_load(parts[1])
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    if not isinstance(found, dict):
        raise ValueError("it has no keys")
    return found


def _fields(front: Mapping[str, Any]) -> Iterator[str]:
    for key in NEEDED:
        if not front.get(key):
            yield f"the field {key} is missing; add it."
    licence = front.get("license")
    if licence == "other" and not front.get("license_name"):
        yield "license is other, without license_name; name the licence."
    elif licence == "unknown" or (licence and licence != "other" and str(licence).lower() not in card_text.LICENCES):
        yield f"license is {licence!r}, which hubs do not know; use license: other with license_name."


def _numbers(front: Mapping[str, Any], about: About) -> Iterator[str]:
    expected = card_text.numbers(about.result)
    try:
        index = front.get("model-index", [])
        found = [metric for model in index for entry in model["results"] for metric in entry["metrics"]]
        by_type = {metric["type"]: metric for metric in found}
        names = {model["name"] for model in index}
    except (KeyError, TypeError) as error:
        yield f"model-index has not the form that hubs read ({error!r}); pack the model again."
        return
    if names - {about.name}:
        yield f"model-index is of {', '.join(sorted(map(str, names)))}, and the model is {about.name}."
    for metric in expected:
        name = metric["type"]
        if name not in by_type:
            yield f"model-index lacks {name}; the result has {metric['value']}."
        elif by_type[name] != metric:
            yield f"model-index has other numbers of {name} than the result, which has {metric['value']}; correct them."
    if more := sorted(by_type.keys() - {metric["type"] for metric in expected}):
        yield f"model-index has {', '.join(more)}, which the result has not; remove it."


def _body(text: str, about: About) -> Iterator[str]:
    for heading in card_text.HEADINGS:
        _, found, rest = text.partition(f"\n## {heading}\n")
        if not found or not rest.partition("\n## ")[0].strip():
            yield f"the section {heading!r} is missing or empty; write it."
    if about.result["metrics"] and card_text.table(about) not in text:
        yield f"the table of results is not that of {packed.RESULT}; pack the model again."
    if about.sha256 not in text:
        yield f"it does not give the SHA-256 of {packed.MODEL}, {about.sha256[:12]}...; add it."


if __name__ == "__main__":
    main()
