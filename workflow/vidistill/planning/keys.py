"""The keys in the JSON schema of the configuration."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

Schema = dict[str, Any]


def forms(schema: Schema, part: Schema) -> list[Schema]:
    """The alternatives that a part of the schema has, references followed."""
    if "$ref" in part:
        return forms(schema, schema["$defs"][part["$ref"].rpartition("/")[2]])
    options = part.get("anyOf") or part.get("oneOf")
    return [form for option in options for form in forms(schema, option)] if options else [part]


def at(schema: Schema, path: Sequence[str | int]) -> set[str]:
    """The keys that may stand at a path."""
    found = [schema]
    for step in path:
        inner = [
            part.get("properties", {}).get(step)
            or part.get("additionalProperties")
            or next(iter(part.get("patternProperties", {}).values()), None)
            for part in found
        ]
        found = [form for part in inner if isinstance(part, dict) for form in forms(schema, part)]
    return {key for part in found for key in part.get("properties", ())}


def below(schema: Schema, part: Schema, prefix: str = "", *, but: Collection[str] = ()) -> Iterator[tuple[str, Schema]]:
    """Each key of a section with its schema, `network.dim` for one in a section of the section; `but` for some."""
    for key, about in part.get("properties", {}).items():
        yield prefix + key, about
        if about.get("$ref", "") not in {"", *but}:
            yield from below(schema, forms(schema, about)[0], f"{prefix}{key}.", but=but)
