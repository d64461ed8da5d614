"""Settings of the stage that extracts features, by their extractor."""

import json

from vidistill.base import settings as settings_module
from vidistill.base.stage import UserError
from vidistill.settings.extract import AnySettings, C3DSettings, CLIPSettings, I3DSettings

KINDS: dict[str, type[AnySettings]] = {"i3d": I3DSettings, "c3d": C3DSettings, "clip": CLIPSettings}


def read(text: str) -> AnySettings:
    """Settings from their JSON text.

    Raises:
        UserError: on a key that is unknown, missing or of the wrong type, and on values that contradict each other.
    """
    name = json.loads(text).get("extractor")
    if name not in KINDS:
        raise UserError(f"extractor is {name!r}; supported values are {', '.join(map(repr, KINDS))}.")
    settings = settings_module.parse(KINDS[name], text)
    if not isinstance(settings, I3DSettings) and settings.input == "flow":
        raise UserError(f"the extractor {name} reads frames, not flow; set input: frames, or extractor: i3d.")
    if isinstance(settings, C3DSettings) and settings.weights and not settings.mean:
        raise UserError(
            "c3d.weights is set without c3d.mean; name the mean of the frames that they were trained on (.npy)."
        )
    if isinstance(settings, I3DSettings) and settings.temporal_mean and settings.window is None:
        raise UserError("i3d.temporal_mean is a mean over a window; set i3d.window to its number of frames.")
    if isinstance(settings, CLIPSettings) and settings.window % settings.stride:
        raise UserError(
            f"clip.window is {settings.window}, which is no multiple of clip.stride, {settings.stride}; for fewer "
            "vectors a second, lower decode.fps of the stream."
        )
    return settings
