"""Unpack members of a zip archive, each atomically and none outside its target folder."""

import errno
import logging
import shutil
import stat
import zipfile
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from vidistill.base import store
from vidistill.base.progress import Pace
from vidistill.base.stage import UserError
from vidistill.data.downloads.transfer import FULL, megabytes

log = logging.getLogger(__name__)


def unpack(name: str, archive: Path, members: Mapping[str, str]) -> dict[str, int]:
    """Unpack the named members; existing files of the same size are kept.

    Args:
        name: of the download, for messages.
        members: pattern of file names -> a file, or a folder when it ends in "/". Folders within the archive are
            not looked at.

    Returns:
        Path -> bytes of every member that was named.

    Raises:
        UserError: the archive is damaged, lacks a member or has one that would lead outside, or the disk is full.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            chosen = _chosen(name, opened.infolist(), members)
            left = {path: info for path, info in chosen.items() if not _is_there(Path(path), info.file_size)}
            _check_space(name, left)
            total = sum(info.file_size for info in left.values())
            done, pace = 0, Pace(f"{name}, unpacked", total, show=megabytes)
            for path, info in left.items():
                with opened.open(info) as source, store.atomic(path) as temporary, temporary.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                done += info.file_size
                pace.at(done)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{archive} cannot be unpacked ({error}); remove it and run this again.") from error
    except OSError as error:
        if error.errno in FULL:
            raise UserError(f"{archive}: the disk is full while unpacking; free some space, run this again.") from error
        raise
    log.info("%s: %d files, %s", name, len(chosen), megabytes(sum(info.file_size for info in chosen.values())))
    return {path: info.file_size for path, info in chosen.items()}


def _chosen(name: str, infos: list[zipfile.ZipInfo], members: Mapping[str, str]) -> dict[str, zipfile.ZipInfo]:
    chosen: dict[str, zipfile.ZipInfo] = {}
    for pattern, destination in members.items():
        found = [info for info in infos if _matches(info, pattern)]
        if not found:
            raise UserError(
                f"the archive of {name} has no {pattern!r}, but {', '.join(info.filename for info in infos[:5])} and "
                f"so on; correct downloads.files.{name}.members."
            )
        for info in found:
            _check_harmless(name, info)
            path = destination + PurePosixPath(info.filename).name if destination.endswith("/") else destination
            if path in chosen:
                raise UserError(
                    f"the archive of {name} has two members for {path}, {chosen[path].filename} and {info.filename}; "
                    f"correct downloads.files.{name}.members."
                )
            chosen[path] = info
    return chosen


def _matches(info: zipfile.ZipInfo, pattern: str) -> bool:
    path = PurePosixPath(info.filename)
    is_litter = path.name.startswith("._") or "__MACOSX" in path.parts
    return not info.is_dir() and not is_litter and fnmatchcase(path.name, pattern)


def _check_harmless(name: str, info: zipfile.ZipInfo) -> None:
    path = PurePosixPath(info.filename)
    is_link = stat.S_ISLNK(info.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or "\\" in info.filename or is_link:
        raise UserError(
            f"the archive of {name} has the member {info.filename!r}, which leads elsewhere; nothing of it was "
            "unpacked, do not trust its source."
        )


def _check_space(name: str, left: Mapping[str, zipfile.ZipInfo]) -> None:
    by_folder: dict[Path, int] = {}
    for path, info in left.items():
        by_folder[Path(path).parent] = by_folder.get(Path(path).parent, 0) + info.file_size
    for folder, needed in by_folder.items():
        folder.mkdir(parents=True, exist_ok=True)
        if needed > (free := shutil.disk_usage(folder).free):
            raise OSError(errno.ENOSPC, f"{name}: {needed} bytes are needed in {folder}, {free} are free")


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
