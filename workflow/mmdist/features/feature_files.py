"""Feature files that a user has, in the forms that the field uses, all read as one array a video."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import h5py
import numpy as np

from mmdist import store
from mmdist.stage import UserError

Format = Literal["auto", "hdf5", "npy_folder", "npz_folder", "own"]
HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")


class Found(NamedTuple):
    """A video's features as the file has them, and what is known besides."""

    values: np.ndarray | None  # None: the video is there, but could not be used when the features were made
    times: np.ndarray | None = None  # (T, 2) seconds
    attributes: dict[str, object] = {}  # noqa: RUF012  # never changed


class Source(Protocol):
    """Features by video id; `provenance` is how they were made, where the source says so."""

    provenance: list[str]

    def read(self, video_id: str) -> Found | None:
        """A video's features; None when the source has none of it.

        Raises:
            UserError: they are there and cannot be read.
        """

    def some_ids(self) -> list[str]:
        """A few of the ids that the source has, to show what they look like."""


@contextmanager
def opened(path: Path, form: Format, key: str | None) -> Iterator[Source]:
    """The features at `path`, a file or a folder.

    Args:
        key: the data set within a video's group, or the array within its .npz; None when there is one alone.

    Raises:
        UserError: there is nothing, or something in none of the known forms.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; correct `source` of the stream in the configuration.")
    suffix = {"npy_folder": ".npy", "npz_folder": ".npz"}.get(form) or (_suffix(path) if form == "auto" else None)
    if suffix:
        yield _Folder(path, suffix, key)
        return
    with ExitStack() as stack:
        files = [stack.enter_context(_hdf5(file)) for file in _hdf5_files(path)]
        own = _is_own(files[0]) if form == "auto" else form == "own"
        yield _Own(files) if own else _Hdf5(files, key)


def _suffix(path: Path) -> str | None:
    """Which of the two kinds of file a folder has."""
    suffixes = {entry.suffix for entry in islice(path.iterdir(), 1000)} if path.is_dir() else set()
    return next((suffix for suffix in (".npy", ".npz") if suffix in suffixes), None)


def _hdf5_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(entry for entry in path.iterdir() if entry.suffix in HDF5_SUFFIXES)
    if not files:
        raise UserError(f"{path} has no .npy, .npz or .h5 files; name the file or folder of the features as `source`.")
    return files


def _hdf5(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(
            f"{path} is no whole HDF5 file ({error}); name one, or a folder of .npy or .npz files, as `source`."
        ) from error


def _is_own(file: h5py.File) -> bool:
    first = next(iter(file.values()), None)
    return isinstance(first, h5py.Group) and "status" in first.attrs


class _Folder:
    """{video_id}.npy, as LGI and VSLNet have them, or .npz."""

    provenance: list[str]

    def __init__(self, folder: Path, suffix: str, key: str | None):
        self.folder, self.suffix, self.key, self.provenance = folder, suffix, key, []

    def read(self, video_id: str) -> Found | None:
        path = self.folder / f"{video_id}{self.suffix}"
        if not path.is_file():
            return None
        try:
            # Without pickle: a file of arrays cannot run code.
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.lib.npyio.NpzFile):
                with loaded:
                    return Found(loaded[_the_one(list(loaded), self.key, str(path))])
            return Found(loaded)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{path}: features of video {video_id!r} are damaged ({error}); get them again.") from error

    def some_ids(self) -> list[str]:
        return sorted(entry.stem for entry in islice(self.folder.glob(f"*{self.suffix}"), 3))


class _Hdf5:
    """A data set a video, as CPL and LGI have them, or a group a video, as ActivityNet has them."""

    def __init__(self, files: list[h5py.File], key: str | None):
        self.files, self.key = files, key
        self.provenance: list[str] = []

    def read(self, video_id: str) -> Found | None:
        for file in self.files:
            if video_id not in file or not video_id.strip("./"):  # "." would be the file itself
                continue
            where = f"{file.filename}: video {video_id!r}"
            try:
                item = file[video_id]
                if isinstance(item, h5py.Group):
                    item = item[_the_one(list(item), self.key, where)]
                return Found(item[()])
            except (OSError, KeyError, TypeError) as error:
                raise UserError(f"{where} cannot be read ({error}); get the file again, or correct `key`.") from error
        return None

    def some_ids(self) -> list[str]:
        return list(islice(self.files[0], 3))


class _Own:
    """This project's own files, one or all shards of a stream."""

    def __init__(self, files: list[h5py.File]):
        self.files = files
        self.provenance = sorted({str(file.attrs["provenance"]) for file in files if "provenance" in file.attrs})

    def read(self, video_id: str) -> Found | None:
        name = store.group_name(video_id)
        for file in self.files:
            if name in file:
                group = file[name]
                values, times = (group[part][()] if part in group else None for part in ("features", "times"))
                return Found(values, times, dict(group.attrs))
        return None

    def some_ids(self) -> list[str]:
        return [str(group.attrs["video_id"]) for group in islice(self.files[0].values(), 3)]


def _the_one(names: list[str], key: str | None, where: str) -> str:
    """The name to read: `key`, or without one the only name there is."""
    if key is not None and key in names:
        return key
    if key is None and len(names) == 1:
        return names[0]
    listed = ", ".join(map(repr, names[:5])) or "nothing"
    raise UserError(
        f"{where} has {listed}, {'not ' + repr(key) if key else 'more than one'}; set `key` to one of these."
    )
