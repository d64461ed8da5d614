"""Downloads, for the rules: targets, their settings, and the target that fetches a path.

Light, like everything the rules import.
"""

from collections.abc import Iterator
from typing import Any

Settings = dict[str, Any]
COMMAND = "snakemake --cores 1 download_{}"


def targets(downloads: Settings) -> dict[str, list[str]]:
    """Target -> the files that it fetches. Every file and every set is a target."""
    return {**{name: [name] for name in downloads["files"]}, **downloads["sets"]}


def wrong_sets(downloads: Settings) -> Iterator[str]:
    """A message for each set that lists an unknown file, or that has a file's name."""
    for name, files in downloads["sets"].items():
        where, known = f"configuration, downloads.sets.{name}", ", ".join(downloads["files"])
        if unknown := [file for file in files if file not in downloads["files"]]:
            yield f"{where}: there is no {unknown[0]!r} in files, which are {known}."
        if name in downloads["files"]:
            yield f"{where}: a file has the same name; rename the set."


def settings(downloads: Settings, target: str) -> Settings:
    """Settings of stage `download` for a target."""
    general = {key: value for key, value in downloads.items() if key not in ("files", "sets")}
    files = [{"name": name, **downloads["files"][name]} for name in targets(downloads)[target]]
    return {**general, "files": files}


def command(downloads: Settings, path: str, preferred: tuple[str, ...]) -> str | None:
    """The command that fetches `path`: the first preferred set that has it, else the file itself; None if unknown."""
    brings = [name for name, about in downloads.get("files", {}).items() if path.rstrip("/") in _places(about)]
    if not brings:
        return None
    sets = [name for name in preferred if brings[0] in downloads["sets"].get(name, ())]
    return COMMAND.format([*sets, *brings][0])


def _places(about: Settings) -> set[str]:
    places = [about["file"]] if about.get("file") else (about.get("members") or {}).values()
    return {place.rstrip("/") for place in places}
