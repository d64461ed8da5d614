"""How a model's features were made, read from their provenance, so that another video's can be made the same way."""

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
from vidistill.features import extract, options
from vidistill.settings.extract import C3DSettings, I3DSettings
from vidistill.video.decode import DecodeSettings
from vidistill.video.flow import FlowSettings

log = logging.getLogger(__name__)

UNCOUNTED = ("code", "versions")  # of a provenance: they are checked on their own, since equal results are likely
PACKAGES = {"opencv": "opencv-contrib-python-headless"}  # where a provenance names another thing than its package


@dataclass(frozen=True)
class Recipe:
    """What makes a stream's features of a video: the settings of each stage on the way."""

    decode: DecodeSettings
    flow: FlowSettings | None  # None: of the frames themselves
    extract: I3DSettings | C3DSettings


@dataclass(frozen=True)
class Made:
    """One stage's part of a provenance."""

    stage: str  # module
    settings: dict[str, Any]
    code: str
    versions: dict[str, str]


def stages(stream: str, provenance: Mapping[str, Any]) -> list[Made]:
    """The stages that made a stream, the last one first: extract, flow where there is one, decode.

    Raises:
        UserError: they were made elsewhere, or by a version that did not write all of it down.
    """
    if provenance.get("extractor") not in options.KINDS:
        source = f" ({provenance['source']})" if "source" in provenance else ""
        raise UserError(
            f"the model reads {stream} features that were made elsewhere{source}, so that nothing here can make them "
            "of a video; give this video's own with --features FILE --video-id ID."
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
            f"the model does not say how its {stream} features were made ({error} is missing); train it again with "
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
    """The settings that make a stream's features again.

    Args:
        provenance: of the features, as the model carries it.
        recorded: setting -> the path that its file had when the features were made.
        given: files in their place, told apart by their content.
        any_code: go on where the code is another than that which made the features.

    Raises:
        UserError: the features cannot be made here; the sentence says why.
    """
    made = stages(stream, provenance)
    if not any_code:
        check_code(stream, made)
    warn_of_versions(stream, made)
    files = {
        name: located(stream, name, provenance[f"{name}_sha256"], recorded.get(name), given)
        for name in extract.FILES
        if provenance.get(f"{name}_sha256")
    }
    nowhere = {name: None for name in extract.FILES if f"{name}_sha256" in provenance}
    here = {"device": device, "threads": threads}
    flow = made[1].settings if len(made) == 3 else None
    return Recipe(
        settings_module.parse(DecodeSettings, json.dumps(made[-1].settings)),
        settings_module.parse(FlowSettings, json.dumps({**flow, "device": device})) if flow else None,
        options.read(json.dumps({**made[0].settings, **nowhere, **files, **here})),
    )


def check_code(stream: str, made: list[Made]) -> None:
    """Raises UserError when a stage's code is not that which made the features."""
    for part in made:
        if part.code == code.digest(part.stage):
            continue
        raise UserError(
            f"the model's {stream} features were made by other code of {part.stage} than is here, and might differ; "
            "use the version that trained the model, train it again, or accept that with --any-code."
        )


def warn_of_versions(stream: str, made: Iterable[Made]) -> None:
    """Log the packages whose versions are not those that made the features."""
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


def located(stream: str, name: str, sha256: str, recorded: str | None, given: Iterable[str | Path]) -> str:
    """The file of this content among `given`, or else where it was when the features were made.

    Raises:
        UserError: it is at neither, or its content is another.
    """
    found = {}
    for path in given:
        check_input(path, "correct --weights")
        found[store.file_digest(path)] = str(path)
    if sha256 in found:
        return found[sha256]
    wanted = f"the file `{name}` that the model's {stream} features were made with (SHA-256 {sha256[:12]}...)"
    if found:
        listed = ", ".join(f"{path} ({digest[:12]}...)" for digest, path in found.items())
        raise UserError(f"none of {listed} is {wanted}; give that one with --weights.")
    if not recorded or not Path(recorded).is_file():
        raise UserError(f"{recorded or 'a file'} does not exist, {wanted}; give it with --weights.")
    if store.file_digest(recorded) != sha256:
        raise UserError(f"{recorded} is no longer {wanted}; give that one with --weights.")
    return recorded


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """What two provenances say differently, as `key: this, not that`; code and versions do not count."""
    a, b = _opened(a), _opened(b)
    if isinstance(a, dict) and isinstance(b, dict):
        names = [name for name in sorted({*a, *b}) if name not in UNCOUNTED]
        return [text for name in names for text in differences(a.get(name), b.get(name), f"{where}.{name}".strip("."))]
    return [] if a == b else [f"{where} {_short(a)}, not {_short(b)}"]


def _opened(value: Any) -> Any:
    """A JSON object that is kept as a text, as what it says."""
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
