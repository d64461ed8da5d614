"""Match names in a source of features (files in a folder, keys in a file) to videos.

Light, since the rules use it, too.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.settings.external import Format

_HDF5 = (".h5", ".hdf5", ".hdf")
_SUFFIXES = {"npy_folder": (".npy",), "npz_folder": (".npz",), "hdf5": _HDF5, "own": _HDF5}


def of_form(files: Iterable[str], form: Format, where: str) -> list[str]:
    """The files of a format among the names in a folder; with `auto`, the first of .npy, .npz and HDF5 that is there.

    Raises:
        UserError: the folder has no such file.
    """
    suffixes = {file: os.path.splitext(file)[1].lower() for file in sorted(files)}
    for wanted in [_SUFFIXES[form]] if form != "auto" else ((".npy",), (".npz",), _HDF5):
        if found := [file for file, suffix in suffixes.items() if suffix in wanted]:
            return found
    kinds = " or ".join(_SUFFIXES[form] if form != "auto" else (".npy", ".npz", ".h5"))
    raise UserError(
        f"{where} has no {kinds} files but {some(suffixes)}; set `source` to the file or folder of the features."
    )


def one_each(files: Collection[str], form: Format, ids: Iterable[str], where: str) -> dict[str, str] | None:
    """Id -> file, for `files` (see `of_form`) with one video each; None if a file holds many videos.

    Raises:
        UserError: as `match`.
    """
    if form == "own":
        return None
    found = match({file: os.path.splitext(file)[0] for file in files}, ids, where)
    return None if not found and any(file.lower().endswith(_HDF5) for file in files) else found


def match(names: Mapping[str, str], ids: Iterable[str], where: str) -> dict[str, str]:
    """Video id -> its name: the id itself, or the id with a prefix and suffix that all names share.

    Of several schemes, such as {id} and {id}_rgb, the most frequent one counts; {id} wins ties. A character that is
    neither letter nor digit must separate the id from prefix and suffix: `v10` is not a name of `v1`.

    Args:
        names: name -> the part of it that is compared with ids, such as a file's stem; Unicode spelling is ignored.

    Raises:
        UserError: two names match a video, and neither scheme is clearly more frequent.
    """
    ids = set(ids)
    ways: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for name, text in names.items():
        for way, video in _readings(nfc(text), ids):
            if video in ways[way]:
                raise _two(video, ways[way][video], name, where)
            ways[way][video] = name
    plain = ways.pop(("", ""), {})
    best, *others = sorted(ways.values(), key=len, reverse=True) or [{}]
    if len(plain) >= len(best):
        return plain
    taken = set(best.values())
    for other in others:
        if 2 * len(other) >= len(best) and (rivals := {v: n for v, n in other.items() if v in best and n not in taken}):
            video = min(rivals)
            raise _two(video, best[video], rivals[video], where)
    return best | {video: name for video, name in plain.items() if name not in taken}


def some(names: Iterable[str]) -> str:
    """The first of these names, as examples."""
    names = list(names)
    return ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "") or "nothing"


def _readings(text: str, ids: set[str]) -> Iterator[tuple[tuple[str, str], str]]:
    """Every occurrence of an id in a text: (prefix, suffix), id."""
    borders = [place for place, character in enumerate(text) if not character.isalnum()]
    for start in (0, *(place + 1 for place in borders)):
        for end in (*borders, len(text)):
            if (video := text[start:end]) in ids:
                yield (text[:start], text[end:]), video


def nothing(names: Iterable[str], ids: Collection[str], where: str) -> UserError:
    """The error if none of the `ids` is among the `names`."""
    count = "the video" if len(ids) == 1 else f"any of {len(ids)} videos"
    return UserError(
        f"{where} has no features of {count} ({some(sorted(ids))}), it has {some(names)}; name them by the "
        "videos' ids, alone or with a common prefix or suffix, as in v_ID or ID_rgb."
    )


def _two(video: str, one: str, other: str, where: str) -> UserError:
    return UserError(
        f"{where} has two features of the video {video!r}, {one!r} and {other!r}; keep one of them there, and "
        "move the others to another folder or file."
    )
