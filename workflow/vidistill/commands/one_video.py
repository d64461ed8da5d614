"""Extract the features of one video, with the functions of the workflow's stages."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import h5py
import numpy as np

from vidistill.base import store
from vidistill.base.files import check_input
from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.commands.clock import Watch, unwatched
from vidistill.commands.recipe import Recipe
from vidistill.features import extract, flow_features
from vidistill.features.networks import Extractor
from vidistill.features.windows import Piece
from vidistill.video import frames
from vidistill.video.decode import DecodeSettings, decode
from vidistill.video.tvl1 import backends

log = logging.getLogger(__name__)

REMEDY = "name a video file"
THUMBNAIL = 160  # pixels of a kept frame's short side


@dataclass(frozen=True)
class Video:
    """One video as a model sees it.

    Attributes:
        duration: seconds.
        features: stream -> (T, D).
        pictures: (seconds, RGB image) of small frames, evenly over the video; empty if features were given.
        times: stream -> (T, 2) seconds of the rows, where they are known.
    """

    video_id: str
    duration: float
    features: dict[str, np.ndarray]
    pictures: tuple[tuple[float, np.ndarray], ...] = ()
    times: dict[str, np.ndarray] = field(default_factory=dict)


class UnusableVideoError(UserError):
    """A file that is no video in which a moment can be found."""


def check(video: str | Path) -> None:
    """Raise UnusableVideoError for a file that cannot be read, is empty or is none."""
    try:
        check_input(video, REMEDY)
    except UserError as error:
        raise UnusableVideoError(str(error)) from error


def make(
    video: Path,
    recipes: Mapping[str, Recipe],
    extractors: Mapping[str, Extractor],
    work: Path,
    *,
    place: str,
    pictures: int,
    watch: Watch = unwatched,
) -> Video:
    """Decode a video and make its features.

    Args:
        recipes, extractors: per stream.
        work: a folder for decoded frames, about 2 MB per second of video at I3D's size and rate.
        place: the device, for optical flow.
        pictures: how many frames to keep.

    Raises:
        UserError: the video cannot be decoded, or its features are not finite.
    """
    decoded: dict[DecodeSettings, Path] = {}
    features, times = {}, {}
    for number, (stream, recipe) in enumerate(recipes.items()):
        if recipe.decode not in decoded:
            decoded[recipe.decode] = work / f"frames-{number}.h5"
            _decode(video, decoded[recipe.decode], recipe.decode, watch)
        watched = _Watched(extractors[stream])
        with watch(f"{stream} features", watched.so_far), _group(work / f"{stream}.h5", video.stem) as group:
            _extract(group, decoded[recipe.decode], recipe, watched, place)
            features[stream], times[stream] = group["features"][:], group["times"][:]
    with h5py.File(next(iter(decoded.values()))) as file:
        (group,) = file.values()
        return Video(video.stem, float(group.attrs["duration"]), features, tuple(_pictures(group, pictures)), times)


def read(files: Mapping[str, Path], video_id: str) -> tuple[Video, dict[str, str]]:
    """Read a video from feature files, one per stream; and the provenance of each.

    Raises:
        UserError: a file cannot be read or lacks the video.
    """
    features, times = dict[str, np.ndarray](), dict[str, np.ndarray]()
    provenance, duration = {}, float("nan")
    for stream, path in files.items():
        check_input(path, "correct --features")
        if not h5py.is_hdf5(path):
            raise UserError(f"{path} is not an HDF5 file of features; correct --features.")
        provenance[stream] = frames.origin(path).get("provenance", "{}")
        some: list[str] = []
        try:
            for found, group in frames.videos(path):
                some.append(found)
                if nfc(found) == nfc(video_id) and "features" in group:
                    features[stream] = group["features"][:]
                    times |= {stream: group["times"][:]} if "times" in group else {}
                    duration = float(group.attrs.get("duration", duration))
        except KeyError as error:
            raise UserError(f"{path} is not a feature file of this workflow ({error}); correct --features.") from error
        if stream not in features:
            has = ", ".join(map(repr, some[:3])) or "none"
            raise UserError(f"{path} has no features of the video {video_id!r}, but of {has}, ...; correct --video-id.")
    if np.isnan(duration):
        raise UserError(f"{path} does not give the duration of {video_id!r}; set `seconds_per_row` of its stream.")
    return Video(video_id, duration, features, times=times), provenance


def _decode(video: Path, output: Path, settings: DecodeSettings, watch: Watch) -> None:
    with _group(output, video.stem) as group:
        with watch("decoding", lambda: f"{len(group['frames']) if 'frames' in group else 0} frames"):
            decode(video.stem, group, sources={video.stem: video}, settings=settings)
        if group.attrs["status"] == "bad":
            reason = group.attrs["reason"]
            raise UnusableVideoError(f"{video} cannot be read as a video ({reason}); give a video that plays.")
        if group.attrs["status"] != "ok":
            log.warning("%s: %s", video, group.attrs["reason"])
        if len(group["frames"]) < 2:
            raise UnusableVideoError(f"{video} has a single frame, so no moment can be found; {REMEDY}.")


def _extract(group: h5py.Group, decoded: Path, recipe: Recipe, extractor: Extractor, place: str) -> None:
    video_id = str(group.attrs["video_id"])
    if recipe.flow is None:
        extract.extract(video_id, group, path=decoded, extractor=extractor, settings=recipe.extract)
        return
    try:
        backend, kind = backends.choose(recipe.flow.backend, recipe.flow.device)
    except UserError as error:
        raise UserError(
            f"optical flow by {recipe.flow.backend}, as in training the model, cannot run here with device "
            f"{recipe.flow.device!r}; use --device auto, or a machine like the training machine."
        ) from error
    flow_features.write(
        video_id,
        group,
        path=decoded,
        extractor=extractor,
        settings=recipe.extract,
        flow_settings=recipe.flow,
        backend=backend,
        place=place if place.startswith(kind) else backends.take(backend, kind),
        threads=recipe.extract.threads,
    )


@contextmanager
def _group(path: Path, video_id: str) -> Iterator[h5py.Group]:
    """A new file with the group of one video."""
    with h5py.File(path, "w") as file:
        group = file.create_group(store.group_name(video_id))
        group.attrs["video_id"] = video_id
        yield group


def _pictures(group: h5py.Group, count: int) -> Iterator[tuple[float, np.ndarray]]:
    """The frames at the centres of `count` equal parts of a decoded video."""
    times = group["times"][:]
    for row in ((np.arange(count) + 0.5) / max(count, 1) * len(times)).astype(int):
        (image,) = frames.read(group, row, row + 1)
        shrink = min(1.0, THUMBNAIL / min(image.shape[:2]))
        size = (max(1, round(image.shape[1] * shrink)), max(1, round(image.shape[0] * shrink)))
        yield float(times[row]), cv2.resize(image, size, interpolation=cv2.INTER_AREA)


class _Watched:
    """An extractor that reports its progress; see `Extractor`."""

    def __init__(self, extractor: Extractor):
        self._extractor, self._frames, self._done = extractor, 1, 0
        self.grid, self.batch, self.part = extractor.grid, extractor.batch, extractor.part
        self.files, self.about = extractor.files, extractor.about

    def so_far(self) -> str:
        return f"{100 * self._done / self._frames:.0f} %"

    def pieces(self, count: int) -> list[Piece]:
        found = self._extractor.pieces(count)
        self._frames = sum(piece.stop - piece.start for piece in found)
        return found

    def prepare(self, images: np.ndarray) -> np.ndarray:
        return self._extractor.prepare(images)

    def __call__(self, parts: Iterable[np.ndarray], frames: int) -> np.ndarray:
        return self._extractor(self._counted(parts), frames)

    def _counted(self, parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for part in parts:
            yield part
            self._done += part.shape[0] * part.shape[1]
