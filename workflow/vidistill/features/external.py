"""Stage `external`: import a user's own features into the project's format."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from vidistill.base import code, store
from vidistill.base.settings import parse
from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError, arguments, run
from vidistill.base.wording import plural
from vidistill.features import feature_files, feature_names
from vidistill.features.feature_files import Found, Source
from vidistill.settings.external import ExternalSettings
from vidistill.video import frames

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--source", type=Path, help="file or folder, if not the one in the settings")
    parser.add_argument(
        "--ids",
        required=True,
        help="a file with one video id per line, or JSON: a list of ids, or an object id -> file in the source",
    )
    parser.add_argument("--others", default="[]", help="further ids, only to see how the source names videos")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    settings = parse(ExternalSettings, args.settings)
    source = args.source or (settings.source and Path(settings.source))
    if not source:
        raise UserError("the stream has no `source`; set it to the file or folder of the features.")
    convert(source, read_ids(args.ids), args.output, settings, read_ids(args.others))
    frames.report(args.output)


def read_ids(text: str) -> list[str] | dict[str, str | None]:
    """Video ids from JSON (see `--ids`), or from a file with one per line or JSON.

    Raises:
        UserError: `text` is neither.
    """
    try:
        content = text if text.lstrip().startswith(("[", "{")) else Path(text).read_text(encoding="utf-8")
        ids = json.loads(content) if content.lstrip().startswith(("[", "{")) else content.splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"--ids {text[:80]!r} is neither a file of video ids nor a JSON list ({error}).") from error
    if isinstance(ids, dict):
        return {nfc(video_id): file for video_id, file in sorted(ids.items())}
    return sorted({nfc(str(video_id).strip()) for video_id in ids} - {""})


def convert(
    path: Path,
    video_ids: Iterable[str] | Mapping[str, str | None],
    output: Path,
    settings: ExternalSettings,
    others: Iterable[str] = (),
) -> None:
    """Write the features of `video_ids` in the layout of docs/architecture.md; videos without features are left out.

    Args:
        video_ids: ids, or id -> file in the folder `path` (None without a file).
        others: further ids that the source may have; the naming scheme is inferred from all ids.

    Raises:
        UserError: the source or the features of a video cannot be used, or the source has none of the videos.
    """
    with (
        _opened(path, video_ids, others, settings) as (source, names),
        store.atomic(output) as temporary,
        h5py.File(temporary, "w") as file,
    ):
        file.attrs["provenance"] = describe(path, source, settings)
        missing = []
        dimension = settings.dimension
        for video_id in video_ids:
            if video_id not in names:  # missing rather than bad, like a video without a file
                missing.append(video_id)
                continue
            found = source.read(names[video_id], video_id)
            group = file.create_group(store.group_name(video_id))
            group.attrs.update({"video_id": video_id, "status": "ok", "reason": "", **found.attributes})
            if found.values is not None:
                values = checked(found.values, f"{path}: features of video {video_id!r}", dimension)
                dimension = values.shape[1]
                _write(group, values, found, settings)
        if missing:
            has = feature_names.some(source.names.values())
            lacks = f"{plural(len(missing), 'video')} ({feature_names.some(missing)})"
            log.warning("%s lacks %s; it has %s", path, lacks, has)


@contextmanager
def _opened(
    path: Path, video_ids: Iterable[str] | Mapping[str, str | None], others: Iterable[str], settings: ExternalSettings
) -> Iterator[tuple[Source, dict[str, str]]]:
    """The source, and video id -> name in the source."""
    if isinstance(video_ids, Mapping):
        names = {video_id: file for video_id, file in video_ids.items() if file is not None}
        yield feature_files.Folder(path, names.values(), settings.key), names
        return
    ids = {*video_ids, *others}
    with feature_files.opened(path, settings.format, settings.key, ids) as source:
        names = feature_names.match(source.names, ids, str(path))
        if not names:
            raise feature_names.nothing(source.names.values(), ids, str(path))
        yield source, names


def _write(group: h5py.Group, values: np.ndarray, found: Found, settings: ExternalSettings) -> None:
    step = settings.seconds_per_row
    edges = np.arange(len(values) + 1) * (np.nan if step is None else step)
    times = np.stack([edges[:-1], edges[1:]], 1) if found.times is None else found.times
    if found.times is None and step is not None:
        group.attrs["duration"] = edges[-1]
    if settings.transform == "temporal_difference":
        values = temporal_difference(values)
    group["features"] = _fitting(values, settings.dtype, f"features of video {group.attrs['video_id']!r}")
    group["times"] = times


def checked(values: np.ndarray, where: str, dimension: int | None) -> np.ndarray:
    """Features as (T, D) float32; singleton axes such as those of (T, 1, 1, D) are dropped.

    Args:
        where: the video; the beginning of the message.

    Raises:
        UserError: wrong shape, a dimension other than `dimension`, or values that are not finite numbers.
    """
    shape = values.shape
    while values.ndim > 2 and 1 in values.shape:
        # Inner axes first, then the last and the first: a video may have one row.
        order = [*range(1, values.ndim - 1), values.ndim - 1, 0]
        values = values.squeeze(next(axis for axis in order if values.shape[axis] == 1))
    if values.dtype.kind not in "fiu" or values.ndim != 2 or 0 in values.shape:
        raise UserError(
            f"{where} are {values.dtype} of shape {shape}; expected are numbers of shape (rows, dimension)."
        )
    if dimension is not None and values.shape[1] != dimension:
        transposed = "; they seem to be transposed" if values.shape[0] == dimension else ""
        raise UserError(
            f"{where} have {values.shape[1]} dimensions instead of {dimension}{transposed}; correct the "
            "file, or `dimension`."
        )
    return _fitting(values, np.float32, where)


def _fitting(values: np.ndarray, dtype: npt.DTypeLike, where: str) -> np.ndarray:
    """`values` (T, D) as `dtype`, which must represent all of them."""
    with np.errstate(over="ignore"):  # overflows are found below
        cast = values.astype(dtype)
    if bad := np.flatnonzero(~np.isfinite(cast).all(axis=1)).tolist():
        raise UserError(
            f"{where} are not finite or too large for {np.dtype(dtype).name} in {plural(len(bad), 'row')} (first: "
            f"{bad[0]}); repair or remove this video's features, or set dtype: float32."
        )
    return cast


def temporal_difference(values: np.ndarray) -> np.ndarray:
    """(T, D) -> (T, D): row t+1 minus row t, the last difference repeated as in optical flow; zero for a single row.

    A substitute for motion without flow.
    """
    if len(values) == 1:
        return np.zeros_like(values)
    change = np.diff(values, axis=0)
    return np.concatenate([change, change[-1:]])


def describe(path: Path, source: Source, settings: ExternalSettings) -> str:
    """The origin of the features as JSON, with their provenance if the source records it."""
    made = [json.loads(text) for text in source.provenance]
    stated = {way.get("pretrained") for way in made}
    return json.dumps(
        {
            "extractor": "external",
            "source": path.name,
            "pretrained": stated.pop() if len(stated) == 1 else None,
            "settings": settings.model_dump(exclude={"source"}),
            "code": code.digest("vidistill.features.external"),
            "versions": store.versions("h5py", "numpy"),
            "made_from": made,
        },
        sort_keys=True,
    )


if __name__ == "__main__":
    run(main)
