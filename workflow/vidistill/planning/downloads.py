"""Downloads, for the rules: targets, their settings, and the target that fetches a path.

Standard library only, like everything the rules import.
"""

from typing import Any

from vidistill.base.stage import UserError

Settings = dict[str, Any]
COMMAND = "snakemake --cores 1 download_{}"


def targets(downloads: Settings) -> dict[str, list[str]]:
    """Target -> the files that it fetches. Every file and every set is a target.

    Raises:
        UserError: a set lists an unknown file or has a file's name; a file has not exactly one of `file` and `members`.
    """
    for name, about in downloads["files"].items():
        if ("file" in about) == ("members" in about):
            raise UserError(
                f"configuration, downloads.files.{name}: it needs either 'file' (its path) or 'members' (paths of an "
                "archive's members); give one of them."
            )
    for name, files in downloads["sets"].items():
        if unknown := [file for file in files if file not in downloads["files"]]:
            known = ", ".join(downloads["files"])
            raise UserError(
                f"configuration, downloads.sets.{name}: there is no {unknown[0]!r} in files, which are {known}."
            )
        if name in downloads["files"]:
            raise UserError(f"configuration, downloads.sets.{name}: a file has the same name; rename the set.")
    return {**{name: [name] for name in downloads["files"]}, **downloads["sets"]}


def settings(downloads: Settings, target: str) -> Settings:
    """Settings of stage `download` for a target."""
    general = {key: value for key, value in downloads.items() if key not in ("files", "sets")}
    absent = {"sha256": None, "size": None, "file": None, "members": None}
    files = [{**absent, "name": name, **downloads["files"][name]} for name in targets(downloads)[target]]
    return {**general, "files": files}


def command(downloads: Settings, path: str, preferred: tuple[str, ...]) -> str | None:
    """The command that fetches `path`: the first preferred set that has it, else the file itself; None if unknown."""
    brings = [name for name, about in downloads.get("files", {}).items() if path.rstrip("/") in _places(about)]
    if not brings:
        return None
    sets = [name for name in preferred if brings[0] in downloads["sets"].get(name, ())]
    return COMMAND.format([*sets, *brings][0])


def _places(about: Settings) -> set[str]:
    places = [about["file"]] if "file" in about else about.get("members", {}).values()
    return {place.rstrip("/") for place in places}
