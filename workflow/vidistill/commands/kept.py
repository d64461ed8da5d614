"""Features of a folder's videos, kept in a folder beside them, and made again only for videos that have changed."""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.commands import one_video
from vidistill.commands.clock import Watch
from vidistill.commands.one_video import UnusableVideoError, Video
from vidistill.commands.watcher import Watcher
from vidistill.data.annotations.annotation import VIDEO_SUFFIXES

FOLDER = ".vidistill"  # in the folder of videos


class Known(NamedTuple):
    """What is known of a video."""

    sha256: str  # of its file
    reason: str  # why it has no features; empty if it has


def videos(folder: Path) -> list[Path]:
    """The video files in a folder and the folders in it, hidden ones left out, in order of their names.

    Raises:
        UserError: there is no such folder, or no video in it.
    """
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {problem}; name a folder of videos.")
    found = []
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        found += [Path(place, name) for name in names if _is_video(name)]
    if not found:
        raise UserError(f"{folder} has no video; name a folder of videos, such as .mp4 or .mov files.")
    return sorted(found)


def _is_video(name: str) -> bool:
    return Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith(".")


class Kept:
    """The kept features of a folder's videos.

    Args:
        folder: of the videos.
        place: where they are kept; None for the folder `.vidistill` in it.
        provenance: stream -> how the features are made; models with equal ones share what is kept.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, folder: Path, place: Path | None, provenance: Mapping[str, Any]):
        made = store.digest(json.dumps(provenance, sort_keys=True))[:16]
        self.folder, self.place = folder, (place or folder / FOLDER) / made
        try:
            self.place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.place} cannot be made for the features that are kept ({error.strerror}); name another folder "
                "with --keep."
            ) from error

    def look(self, video: Path) -> Known | None:
        """What is kept of a video, if its file is there and has not changed since."""
        try:
            about, stamp = self._read(video)[0], _stamp(video)
            if about["stamp"] != stamp:
                if about["sha256"] != store.file_digest(video):
                    return None
                self._write(video, about | {"stamp": stamp}, self.load(video).features)  # the next look is fast
            return Known(about["sha256"], about["reason"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # nothing is kept, or it is damaged
            return None

    def load(self, video: Path) -> Video:
        """The features of a video that has some."""
        about, features = self._read(video, with_features=True)
        return Video(video.stem, about["duration"], features)

    def keep(self, video: Path, made: Video | None, reason: str = "") -> Known:
        """Keep a video's features, or the reason why there are none."""
        features, duration = (made.features, made.duration) if made else ({}, None)
        known = Known(store.file_digest(video), reason)
        about = {"stamp": _stamp(video), "streams": list(features), "duration": duration, **known._asdict()}
        self._write(video, about, features)
        return known

    def _read(self, video: Path, with_features: bool = False) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        with np.load(self._file(video)) as arrays:
            about = json.loads(str(arrays["about"]))
            streams = about["streams"] if with_features else []
            return about, {name: arrays[f"features/{name}"] for name in streams}

    def _write(self, video: Path, about: Mapping[str, Any], features: Mapping[str, np.ndarray]) -> None:
        arrays: dict[str, Any] = {f"features/{name}": values for name, values in features.items()}
        arrays["about"] = np.array(json.dumps(about))
        with store.atomic(self._file(video)) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)

    def _file(self, video: Path) -> Path:
        name = Path(os.path.relpath(video, self.folder)).as_posix()
        return self.place / f"{store.digest(name)[:32]}.npz"


def _stamp(video: Path) -> list[int]:
    """Changes with the file, as far as the file system says it."""
    about = video.stat()
    return [about.st_size, about.st_mtime_ns]


def ready(watcher: Watcher, video: Path, kept: Kept, work: str | Path | None, watch: Watch) -> str:
    """Make and keep a video's features, unless they are kept; its file's SHA-256.

    Raises:
        UnusableVideoError: it cannot be used.
        UserError: features like the model's cannot be made here.
    """
    one_video.check(video)  # nothing is kept of what may be mended without a change of the file
    if (known := kept.look(video)) is None:
        try:
            known = kept.keep(video, watcher.watch(video, work=work, watch=watch))
        except UnusableVideoError as error:
            known = kept.keep(video, None, str(error))
    if known.reason:
        raise UnusableVideoError(known.reason)
    return known.sha256
