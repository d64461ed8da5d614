"""Write config/README.md and config/schema.json, which editors complete by, from the models of the configuration."""

import json
import textwrap
from pathlib import Path
from typing import Any

import yaml

from vidistill.planning import keys
from vidistill.planning.config import PARTIAL, Config, Stream
from vidistill.planning.keys import Schema

FOLDER = Path(__file__).resolve().parents[3] / "config"
INTRODUCTION = """# Configuration

`config.yaml` is the one file to edit. Snakemake reads `config/config.yaml` of the working directory or, where there is
none, the one of this folder; `--configfile FILE` lays another over it, key by key. A key that is misspelt or of the
wrong kind is an error before anything runs.

A stage's settings are looked up in its own section below, then in the model (its parents first) or in the collection
(its stream), then in the data set; the last place that has a setting counts. Changing a setting reruns only what
depends on it.

`make docs` writes this page, and `schema.json` for editors, from `workflow/vidistill/settings/` and
`workflow/vidistill/planning/config.py`.
"""
LIMITS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def page() -> str:
    """The text of config/README.md."""
    schema = Config.model_json_schema()
    parts = schema["properties"]
    sections = {name: part for name, part in parts.items() if "$ref" in part}
    general = {name: part for name, part in parts.items() if name not in {*sections, *PARTIAL, "tables"}}
    text = [INTRODUCTION, "## The run\n", table(schema, {"properties": general})]
    for name in [name for name in parts if name not in {*sections, *general}]:
        text += [f"## {name}\n", f"{paragraph(parts[name]['description'])}\n"]
        inner = parts[name]["additionalProperties"]
        if "$ref" in inner:
            text.append(table(schema, keys.forms(schema, inner)[0]))
        if name == "collections":
            text.append("Keys of a stream, beside those of its extractor's section:\n")
            text.append(table(schema, Stream.model_json_schema()))
    for name, part in sections.items():
        section = keys.forms(schema, part)[0]
        text += [f"## {name}\n", f"{paragraph(section['description'])}\n", table(schema, section)]
        if name == "downloads":
            text += ["Keys of a file:\n", table(schema, schema["$defs"]["Download"])]
        if name == "vocabulary":
            text += ["Keys of text_encoder:\n", table(schema, schema["$defs"]["TextEncoderSection"])]
    return "\n".join(text).rstrip() + "\n"


def paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120)


def table(schema: Schema, section: Schema) -> str:
    """The keys of a section, those of sections within it last."""
    sections = {part["$ref"]: name for name, part in schema["properties"].items() if "$ref" in part}
    lines = ["| key | default | value | |", "|---|---|---|---|"]
    leaves = [row for row in keys.below(schema, section, but=sections) if row[1].get("$ref", "") in {"", *sections}]
    for key, about in sorted(leaves, key=lambda row: "." in row[0]):
        default = f"`{as_text(about['default'])}`" if "default" in about else ""
        kind = f"as section {sections[about['$ref']]}" if about.get("$ref") in sections else words(schema, about)
        lines.append(f"| `{key}` | {default} | {kind} | {about['description'].replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def words(schema: Schema, about: Schema) -> str:
    """What a key may hold, in words."""
    forms = keys.forms(schema, about)
    if values := [value for form in forms for value in form.get("enum", [form["const"]] if "const" in form else [])]:
        return ", ".join(f"`{as_text(value)}`" for value in values)
    kinds: list[str] = [{"object": "section", "array": "list"}.get(form["type"]) or form["type"] for form in forms]
    limits = [f"{said} {form[key]}" for form in forms for key, said in LIMITS.items() if key in form]
    return ", ".join([" or ".join(kinds), *limits])


def as_text(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def for_editors(part: Any) -> Any:
    """The schema without what only names models; a stream with a recipe may leave out what tells the alternatives."""
    if isinstance(part, list):
        return [for_editors(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {key: value for key, value in part.items() if key not in ("discriminator", "title")}
    return {{"oneOf": "anyOf"}.get(key, key): for_editors(value) for key, value in kept.items()}


def schema_text() -> str:
    """The text of config/schema.json."""
    return json.dumps(for_editors(Config.model_json_schema()), indent=1) + "\n"


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(page(), encoding="utf-8")
    (FOLDER / "schema.json").write_text(schema_text(), encoding="utf-8")
