"""A user's feature files in the formats of the field, read as one array per video."""

import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import h5py
import numpy as np

from vidistill.base.stage import UserError
from vidistill.features import feature_names
from vidistill.settings.external import Format


class Found(NamedTuple):
    """A video's features as stored, and what else the file says about them."""

    values: np.ndarray | None  # None: a bad video
    times: np.ndarray | None = None  # (T, 2) seconds
    attributes: dict[str, object] = {}  # noqa: RUF012  # never changed


class Source(Protocol):
    """Features by name; `provenance` holds the provenances that the source records.

    Attributes:
        names: name -> the part of it that is compared with video ids.
    """

    provenance: list[str]
    names: dict[str, str]

    def read(self, name: str, video_id: str) -> Found:
        """The features `name`, which belong to `video_id`.

        Raises:
            UserError: they cannot be read.
        """


@contextmanager
def opened(path: Path, form: Format, key: str | None, ids: Collection[str]) -> Iterator[Source]:
    """The features at `path`, a file or a folder.

    Args:
        key: the data set in a video's group or file, or the array in its .npz; None if there is only one.
        ids: video ids, to distinguish a folder with one file per video from files with many videos.

    Raises:
        UserError: `path` does not exist, or has none of the known formats.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; correct `source` of the stream in the configuration.")
    files = [path]
    if path.is_dir():
        names = feature_names.of_form((entry.name for entry in path.iterdir()), form, str(path))
        if feature_names.one_each(names, form, ids, str(path)) is not None:
            yield Folder(path, names, key)
            return
        files = [path / name for name in names]
    with ExitStack() as stack:
        opened_files = [stack.enter_context(_hdf5(file)) for file in files]
        own = _is_own(opened_files[0]) if form == "auto" else form == "own"
        yield _Own(opened_files) if own else _Hdf5(opened_files, key)


def width(path: str | None, form: Format, key: str | None, ids: Collection[str]) -> int:
    """How many numbers a row of the features at `path` has, by the first video that has any; see `opened`.

    Raises:
        UserError: as `opened`, or there are no features of these videos, or they cannot be read.
    """
    with opened(Path(path or ""), form, key, ids) as source:
        for video_id, name in feature_names.match(source.names, ids, str(path)).items():
            if (values := source.read(name, video_id).values) is not None:
                return values.shape[1] if values.ndim == 2 else [1, *(n for n in values.shape if n > 1)][-1]
        raise feature_names.nothing(source.names.values(), ids, str(path))


def _hdf5(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(
            f"{path} is not a complete HDF5 file ({error}); set `source` to one, or to a folder of .npy or .npz files."
        ) from error


def _is_own(file: h5py.File) -> bool:
    first = next(iter(file.values()), None)
    return isinstance(first, h5py.Group) and "status" in first.attrs


class Folder:
    """One file per video: .npy (LGI, VSLNet), .npz or HDF5."""

    def __init__(self, folder: Path, files: Iterable[str], key: str | None):
        self.folder, self.key = folder, key
        self.names = {name: Path(name).stem for name in files}
        self.provenance: list[str] = []

    def read(self, name: str, video_id: str) -> Found:
        path = self.folder / name
        try:
            if path.suffix.lower() not in (".npy", ".npz"):
                with _hdf5(path) as file:
                    found = _data_sets(file)
                    return Found(found[_the_one(list(found), self.key, str(path))][()])
            # Without pickle, a file cannot run code.
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.lib.npyio.NpzFile):
                with loaded:
                    return Found(loaded[_the_one(list(loaded), self.key, str(path))])
            return Found(loaded)
        except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(
                f"{path}: features of video {video_id!r} are damaged ({error}); download them again."
            ) from error


class _Hdf5:
    """One data set per video (CPL, LGI) or one group per video (ActivityNet)."""

    def __init__(self, files: list[h5py.File], key: str | None):
        self.files = {name: file for file in reversed(files) for name in file}
        self.key = key
        self.names = {name: name for name in self.files}
        self.provenance: list[str] = []

    def read(self, name: str, video_id: str) -> Found:
        where = f"{self.files[name].filename}: video {video_id!r}"
        try:
            item = self.files[name][name]
            if isinstance(item, h5py.Group):
                item = item[_the_one(list(item), self.key, where)]
            return Found(item[()])
        except (OSError, KeyError, TypeError) as error:
            raise UserError(f"{where} cannot be read ({error}); download the file again, or correct `key`.") from error


class _Own:
    """This project's own format: one or all shards of a stream."""

    def __init__(self, files: list[h5py.File]):
        self.groups = {name: group for file in reversed(files) for name, group in file.items()}
        self.names = {name: str(group.attrs["video_id"]) for name, group in self.groups.items()}
        self.provenance = sorted({str(file.attrs["provenance"]) for file in files if "provenance" in file.attrs})

    def read(self, name: str, video_id: str) -> Found:
        group = self.groups[name]
        values, times = (group[part][()] if part in group else None for part in ("features", "times"))
        return Found(values, times, {key: value for key, value in group.attrs.items() if key != "video_id"})


def _data_sets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All data sets of a file, at any depth."""
    found: dict[str, h5py.Dataset] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    file.visititems(add)
    return found


def _the_one(names: list[str], key: str | None, where: str) -> str:
    """The name to read: `key`, possibly within groups, or the only name if `key` is None."""
    fitting = [name for name in names if key in (None, name, name.rpartition("/")[2])]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(map(repr, names[:5])) or "nothing"
    raise UserError(
        f"{where} has {listed}, {'not ' + repr(key) if key else 'more than one'}; set `key` to one of these."
    )
