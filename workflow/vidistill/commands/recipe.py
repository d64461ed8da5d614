"""Read from a model's metadata how its features were made, to extract another video's in the same way."""

import importlib.metadata
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidistill.base import code, store
from vidistill.base import settings as settings_module
from vidistill.base.files import check_input
from vidistill.base.gpus import Device
from vidistill.base.stage import UserError
from vidistill.features import options, tracked
from vidistill.settings.extract import AnySettings
from vidistill.video.decode import DecodeSettings
from vidistill.video.flow import FlowSettings

log = logging.getLogger(__name__)

UNCOUNTED = ("code", "versions")  # keys of a provenance that are checked separately
PACKAGES = {"opencv": "opencv-contrib-python-headless"}  # names in a provenance -> packages, where they differ


@dataclass(frozen=True)
class Recipe:
    """The settings of each stage that makes a stream's features."""

    decode: DecodeSettings
    flow: FlowSettings | None  # None: features are made from frames
    extract: AnySettings


@dataclass(frozen=True)
class Made:
    """One stage's part of a provenance."""

    stage: str  # module
    settings: dict[str, Any]
    code: str
    versions: dict[str, str]


def stages(stream: str, provenance: Mapping[str, Any]) -> list[Made]:
    """The stages that made a stream, last one first: extract, flow if used, decode.

    Raises:
        UserError: the features were made elsewhere, or by a version that did not record everything.
    """
    if provenance.get("extractor") not in options.KINDS:
        source = f" ({provenance['source']})" if "source" in provenance else ""
        raise UserError(
            f"the model reads {stream} features that were made elsewhere{source}, so they cannot be extracted from a "
            "video here; give this video's features with --features FILE --video-id ID."
        )
    try:
        settings = {"extractor": provenance["extractor"], "input": provenance["input"], **provenance["settings"]}
        found = [Made("vidistill.features.extract", settings, provenance["code"], provenance["versions"])]
        origin = provenance["made_from"]
        for stage in ["vidistill.video.flow"] * (provenance["input"] == "flow") + ["vidistill.video.decode"]:
            found.append(Made(stage, json.loads(origin["settings"]), origin["code"], json.loads(origin["versions"])))
            origin = json.loads(origin.get("made_from", "{}"))
        return found
    except KeyError as error:
        raise UserError(
            f"the model does not record how its {stream} features were made ({error} is missing); train it again with "
            "this version, or give features with --features FILE --video-id ID."
        ) from error


def recipe(
    stream: str,
    provenance: Mapping[str, Any],
    recorded: Mapping[str, str],
    given: Iterable[str | Path],
    *,
    device: Device,
    threads: int,
    any_code: bool,
) -> Recipe:
    """The settings to make a stream's features again.

    Args:
        provenance: of the features, as stored in the model.
        recorded: setting -> path of its file when the features were made.
        given: replacement files, matched by content.
        any_code: accept different code.

    Raises:
        UserError: the features cannot be made here.
    """
    made = stages(stream, provenance)
    if not any_code:
        check_code(stream, made)
    warn_of_versions(stream, made)
    files = {
        name: located(
            f"`{name}` of the model's {stream} features", provenance[f"{name}_sha256"], recorded.get(name), given
        )
        for name in tracked.FILES
        if provenance.get(f"{name}_sha256")
    }
    nowhere = {name: None for name in tracked.FILES if f"{name}_sha256" in provenance}
    here = {"device": device, "threads": threads}
    flow = made[1].settings if len(made) == 3 else None
    return Recipe(
        settings_module.parse(DecodeSettings, json.dumps(made[-1].settings)),
        settings_module.parse(FlowSettings, json.dumps({**flow, "device": device})) if flow else None,
        options.read(json.dumps({**made[0].settings, **nowhere, **files, **here})),
    )


def check_code(stream: str, made: list[Made]) -> None:
    """Raise UserError if a stage's code differs from the code that made the features."""
    for part in made:
        if part.code == code.digest(part.stage):
            continue
        raise UserError(
            f"the model's {stream} features were made by different code of {part.stage}, so this video's might differ; "
            "use the version that trained the model, train it again, or accept the difference with --any-code."
        )


def warn_of_versions(stream: str, made: Iterable[Made]) -> None:
    """Log packages whose versions differ from those that made the features."""
    theirs = {name: version for part in made for name, version in part.versions.items()}
    ours = {name: _installed(PACKAGES.get(name, name)) for name in theirs if name not in ("python", "vidistill")}
    other = [
        f"{name} {theirs[name]} (here {ours[name]})" for name in sorted(ours) if not ours[name].startswith(theirs[name])
    ]
    if other:
        log.warning(
            "the model's %s features were made with %s; small differences are possible", stream, ", ".join(other)
        )


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def located(what: str, sha256: str, recorded: str | None, given: Iterable[str | Path]) -> str:
    """The file with this content among `given`, else at the recorded path.

    Args:
        what: the setting that names it, and of what, for messages.

    Raises:
        UserError: it is at neither place, or its content has changed.
    """
    found = {}
    for path in given:
        check_input(path, "correct --weights")
        found[store.file_digest(path)] = str(path)
    if sha256 in found:
        return found[sha256]
    wanted = f"the file {what} (SHA-256 {sha256[:12]}...)"
    if found:
        listed = ", ".join(f"{path} ({digest[:12]}...)" for digest, path in found.items())
        raise UserError(f"--weights does not include {wanted}, but {listed}; add that file.")
    if not recorded or not Path(recorded).is_file():
        where = f"not at {recorded}" if recorded else "needed"
        raise UserError(f"{wanted} is {where}; give it with --weights.")
    if store.file_digest(recorded) != sha256:
        raise UserError(f"{recorded} has changed and is no longer {wanted}; give that file with --weights.")
    return recorded


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """Differences between two provenances, as `key this, not that`, without code and versions."""
    a, b = _opened(a), _opened(b)
    if isinstance(a, dict) and isinstance(b, dict):
        names = [name for name in sorted({*a, *b}) if name not in UNCOUNTED]
        return [text for name in names for text in differences(a.get(name), b.get(name), f"{where}.{name}".strip("."))]
    return [] if a == b else [f"{where} {_short(a)}, not {_short(b)}"]


def _opened(value: Any) -> Any:
    """Parse a JSON object that is stored as text."""
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
