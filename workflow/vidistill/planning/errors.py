"""What is wrong with a configuration, as one sentence: which key, what is wrong, what to do."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vidistill.base.stage import UserError


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


def keys(part: Any) -> set[str]:
    """Every key in a configuration, however deep."""
    if not isinstance(part, Mapping):
        return set()
    return set(part).union(*(keys(value) for value in part.values()))


def explain(config: Mapping[str, Any], path: Sequence[str | int], message: str) -> str:
    """A schema's complaint about the place `path` as one sentence: which key, what is wrong, what might be meant."""
    where = ".".join(map(str, path)) or "the top level"
    if found := re.search(r"\('([^']*)'.* (?:was|were) unexpected\)", message):
        near = _near(found[1], config, path)
        meant = f"did you mean {near!r}?" if near else "correct or remove it."
        return f"configuration, {where}: the key {found[1]!r} is unknown; {meant}"
    return f"configuration, {where}: {message}; config/README.md says what each key may hold."


def _near(typo: str, config: Mapping[str, Any], path: Sequence[str | int]) -> str | None:
    """A key like `typo` that belongs at `path`, or failing that anywhere."""
    belonging: set[str] = set()
    for start in range(len(path) + 1):  # a section's keys may stand under a data set, a model or a collection too
        part: Any = config
        for step in path[start:]:
            part = part.get(step) if isinstance(part, Mapping) else None
        belonging |= set(part) if isinstance(part, Mapping) and (part is not config or not path) else set()
    for known in (belonging, keys(config)):
        if near := difflib.get_close_matches(typo, sorted(known - {typo}), 1):
            return near[0]
    return None
