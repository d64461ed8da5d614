"""What is wrong with a configuration, as one sentence: which key, what is wrong, what to do."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vidistill.base.settings import Problem
from vidistill.base.stage import UserError
from vidistill.planning import keys
from vidistill.planning.keys import Schema


def check_plain(part: Any, path: Sequence[str | int] = ()) -> None:
    """Check that a configuration holds what JSON can: texts as keys, and texts, finite numbers, true, false and null.

    YAML makes more of what people write: `2024:` is a number, `on:` is true, `2024-05-01` a date and `.inf` infinite.

    Raises:
        UserError: something else is there.
    """
    where = "configuration, " + (".".join(map(str, path)) or "the top level")
    if isinstance(part, Mapping):
        for key, value in part.items():
            if not isinstance(key, str):
                raise UserError(f"{where}: the key {key} is read as {_kind(key)}; put what you wrote in quotes.")
            check_plain(value, [*path, key])
    elif isinstance(part, list):
        for place, value in enumerate(part):
            check_plain(value, [*path, place])
    elif isinstance(part, float) and not math.isfinite(part):
        raise UserError(f"{where}: the value is {part}; give a finite number, a large one for no limit.")
    elif isinstance(part, int) and abs(part) >= 2**63:
        raise UserError(f"{where}: the number is too large; give a smaller one.")
    elif isinstance(part, str):
        if "\0" in part or (not part.isascii() and re.search("[\ud800-\udfff]", part)):
            raise UserError(f"{where}: {part!r} has characters that no file name or text can hold; remove them.")
    elif not isinstance(part, bool | int | float | None):
        raise UserError(f"{where}: {part} is read as {_kind(part)}; if it is a text, put it in quotes.")


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", type(None): "null", bytes: "binary data"}
    return kinds.get(type(value), f"a {type(value).__name__}")


def explain(problem: Problem, schema: Schema) -> str:
    """A problem of the configuration as one sentence: which key, what is wrong, what to do."""
    where = ".".join(map(str, problem.path)) or "the top level"
    remedy = problem.remedy or "see config/README.md for what the key may hold"
    if problem.unknown:
        meant = _meant(problem.unknown, problem.path, schema)
        remedy = f"did you mean {' or '.join(map(repr, meant))}?" if meant else "correct or remove it"
    return f"configuration, {where}: {problem.what}; {remedy}".rstrip(".") + ("" if remedy.endswith("?") else ".")


def _meant(unknown: str, path: Sequence[str | int], schema: Schema) -> list[str]:
    """A key like the unknown one that belongs at `path`; failing that, where this very key belongs, or one like it."""
    if near := difflib.get_close_matches(unknown, sorted(keys.at(schema, path)), 1):
        return near
    known = [key for key, _ in keys.below(schema, schema)]
    names = {key.rpartition(".")[2] for key in known}
    meant = [unknown] if unknown in names else difflib.get_close_matches(unknown, sorted(names), 1)
    return [key for key in known if key.rpartition(".")[2] in meant][:3]
