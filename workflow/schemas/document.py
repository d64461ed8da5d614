"""Write config/README.md from the schemas beside this file: every key once, as the workflow checks it."""

from pathlib import Path
from typing import Any

import yaml

SCHEMAS = Path(__file__).resolve().parent
README = SCHEMAS.parent.parent / "config" / "README.md"
INTRODUCTION = """# Configuration

`config.yaml` is the one file to edit. Snakemake reads `config/config.yaml` of the working directory or, where there is
none, the one of this folder; `--configfile FILE` lays another over it, key by key. A key that is misspelt or of the
wrong kind is an error before anything runs.

A stage's settings are looked up in its own section below, then in the model (its parents first) or in the collection
(its stream), then in the data set; the last place that has a setting counts. What is changed reruns what depends on it,
and nothing else.

This page is made from `workflow/schemas/` by `make docs`.
"""
# Part -> whose keys it holds.
PARTS = {
    "models": "model",
    "tables": None,
    "recipes": None,
    "collections": "collection",
    "datasets": "dataset",
}


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((SCHEMAS / name).read_text(encoding="utf-8"))


def page() -> str:
    """The whole of config/README.md."""
    schema = load("config.schema.yaml")
    definitions = schema["$defs"]
    text = [INTRODUCTION, "## The run\n", table(load("general.yaml"))]
    for part, name in PARTS.items():
        text += [f"## {part}\n", f"{schema['properties'][part]['description'].strip()}\n"]
        text += [table(definitions[name])] if name else []
        if name == "collection":
            text.append("Keys of a stream, which stand beside those of its extractor's section:\n")
            text.append(table(definitions["stream"]))
    for section in (key for key in schema["properties"] if key not in PARTS):
        about = load(f"{section}.yaml")
        text += [f"## {section}\n", f"{about['description'].strip()}\n", table(about)]
        for name, definition in about.get("$defs", {}).items():
            text += [f"Keys of a {name}:\n", table(definition)]
    return "\n".join(text).rstrip() + "\n"


def table(schema: dict[str, Any]) -> str:
    """The keys of a schema, those of sections within it too."""
    lines = ["| key | default | value | |", "|---|---|---|---|"]
    for key, about in sorted(properties(schema).items(), key=lambda item: "." in item[0]):
        default = f"`{as_text(about['default'])}`" if "default" in about else ""
        words = " ".join(about.get("description", "").split()).replace("|", "\\|")
        lines.append(f"| `{key}` | {default} | {kind(about)} | {words} |")
    return "\n".join(lines) + "\n"


def properties(schema: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Key -> its schema; `network.dim` for a key in a section of a section."""
    found: dict[str, Any] = {}
    for key, about in schema.get("properties", {}).items():
        about = resolve(about)
        if "properties" in about and prefix == "" and key != "annotations":
            found |= properties(about, f"{key}.")
        else:
            found[prefix + key] = about
    return found


def resolve(about: dict[str, Any]) -> dict[str, Any]:
    """A reference to one key followed; one to a whole section stays, its keys have a place of their own."""
    file, _, path = about.get("$ref", "").partition("#/")
    if not path:
        return about
    found = load(file or "config.schema.yaml")
    for step in path.split("/"):
        found = found[step]
    return {**{k: v for k, v in found.items() if k != "default"}, **{k: v for k, v in about.items() if k != "$ref"}}


def as_text(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def kind(about: dict[str, Any]) -> str:
    """What a key may hold, in words."""
    if "enum" in about:
        return ", ".join(f"`{as_text(value)}`" for value in about["enum"])
    if "$ref" in about:
        return f"as section {about['$ref'].removesuffix('.yaml')}"
    types = about.get("type", "")
    words = " or ".join(types) if isinstance(types, list) else types
    words = {"object": "section", "array": "list"}.get(words, words)
    limits = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return ", ".join(filter(None, [words, *(f"{limits[key]} {about[key]}" for key in limits if key in about)]))


if __name__ == "__main__":
    README.write_text(page(), encoding="utf-8")
