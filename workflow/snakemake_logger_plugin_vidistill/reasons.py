"""Why a job runs: the settings and source files that changed, out of all that the job reads."""

import ast
import re

PARAMS = re.compile(r"Union of exclusive params before and now across all output: before: (.*) now: (.*?) *(?=; |$)")
AT_MOST = 8  # changes of one job
LONG = 400  # characters of a reason


def shorter(reason: str | None) -> str | None:
    """Snakemake's reason with only what differs; its own text where a version words it otherwise."""
    if not reason:
        return reason
    text = PARAMS.sub(lambda found: changes(found[1], found[2]) or found[0], str(reason))
    return f"{text[:LONG]} ... ({text.count(', ') + 1} in all)" if len(text) > LONG + 100 else text


def changes(before: str, now: str) -> str | None:
    """What differs between two sets of params as Snakemake writes them; None where they cannot be read."""
    try:
        (old, files_before), (new, files_now) = parsed(before), parsed(now)
    except (ValueError, SyntaxError):
        return None
    found = [change(name, old.get(name), new.get(name)) for name in sorted(old | new) if old.get(name) != new.get(name)]
    found += [f"now with {file}" for file in sorted(files_now - files_before)]
    found += [f"now without {file}" for file in sorted(files_before - files_now)]
    return ", ".join([*found[:AT_MOST], *([f"and {len(found) - AT_MOST} more"] if len(found) > AT_MOST else [])])


def change(name: str, old: str | None, new: str | None) -> str:
    if name.startswith("code of "):
        return f"{name} changed" if old and new else f"{name} {'added' if new else 'removed'}"
    return f"{name}: {old or '(not there)'} -> {new or '(not there)'}"


def parsed(params: str) -> tuple[dict[str, str], set[str]]:
    """The settings and digests, which are written as "name = value", by name; and all other texts."""
    pairs: dict[str, str] = {}
    others: set[str] = set()
    if params == "<nothing exclusive>":
        return pairs, others
    for value in ast.literal_eval(f"[{params}]"):
        for item in value if isinstance(value, list) else [value]:
            name, separator, set_to = str(item).partition(" = ")
            if separator:
                pairs[name] = set_to
            else:
                others.add(name)
    return pairs, others
