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
from vidistill.features import feature_files, feature_names
from vidistill.features.feature_files import Found, Source
from vidistill.settings.external import ExternalSettings
from vidistill.video import frames

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--source", type=Path, help="file or folder, when it is not the one that the settings name")
    parser.add_argument(
        "--ids",
        required=True,
        help="a file with one video id per line, or JSON: a list of ids, or an object id -> file in the source",
    )
    parser.add_argument(
        "--others", default="[]", help="more ids, whose features are not wanted, to see how the source names them"
    )
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    settings = parse(ExternalSettings, args.settings)
    source = args.source or (settings.source and Path(settings.source))
    if not source:
        raise UserError("no features are named; set `source` of the stream to their file or folder.")
    convert(source, read_ids(args.ids), args.output, settings, read_ids(args.others))
    frames.report(args.output)


def read_ids(text: str) -> list[str] | dict[str, str | None]:
    """Video ids from JSON (see `--ids`), or from the file of this name, which has one per line or JSON.

    Raises:
        UserError: they are neither.
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
    """Write the features of `video_ids`, laid out as docs/architecture.md has it; one that is not there is left out.

    Args:
        video_ids: those of a mapping are in these files of the folder `path`, None where there is no file.
        others: more ids that the source may have; how all of them are named there decides.

    Raises:
        UserError: the source, or what it has of a video, cannot be used; or it has none of all these videos.
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
            if video_id not in names:  # not bad, but missing, as a video without a file is
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
            log.warning("%s lacks %d videos (%s); it has %s", path, len(missing), feature_names.some(missing), has)


@contextmanager
def _opened(
    path: Path, video_ids: Iterable[str] | Mapping[str, str | None], others: Iterable[str], settings: ExternalSettings
) -> Iterator[tuple[Source, dict[str, str]]]:
    """The source, and by what name it has each video that it has."""
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
        where: the video, as an error's sentence begins.

    Raises:
        UserError: another shape, another dimension than `dimension`, no numbers, or some that are not finite.
    """
    shape = values.shape
    while values.ndim > 2 and 1 in values.shape:
        # Axes between come first, then those behind and before: a video may have one row.
        order = [*range(1, values.ndim - 1), values.ndim - 1, 0]
        values = values.squeeze(next(axis for axis in order if values.shape[axis] == 1))
    if values.dtype.kind not in "fiu" or values.ndim != 2 or 0 in values.shape:
        raise UserError(
            f"{where} are {values.dtype} of shape {shape}; numbers of shape (rows, dimension) are expected."
        )
    if dimension is not None and values.shape[1] != dimension:
        transposed = "; they seem to be transposed" if values.shape[0] == dimension else ""
        raise UserError(
            f"{where} have {values.shape[1]} dimensions, {dimension} are expected{transposed}; correct the "
            "file, or `dimension`."
        )
    return _fitting(values, np.float32, where)


def _fitting(values: np.ndarray, dtype: npt.DTypeLike, where: str) -> np.ndarray:
    """`values` (T, D) as `dtype`, which has to hold all of them."""
    with np.errstate(over="ignore"):  # what overflows is found here
        cast = values.astype(dtype)
    if bad := np.flatnonzero(~np.isfinite(cast).all(axis=1)).tolist():
        raise UserError(
            f"{where} have values in {len(bad)} rows, {bad[0]} first, that are not finite or too large for "
            f"{np.dtype(dtype).name}; mend or remove this video's features, or set dtype: float32."
        )
    return cast


def temporal_difference(values: np.ndarray) -> np.ndarray:
    """(T, D) -> (T, D): row t+1 minus row t, the last one repeated as that of optical flow is; of a single row zero.

    A stand-in for motion where there is no flow.
    """
    if len(values) == 1:
        return np.zeros_like(values)
    change = np.diff(values, axis=0)
    return np.concatenate([change, change[-1:]])


def describe(path: Path, source: Source, settings: ExternalSettings) -> str:
    """Where the features come from, as JSON; how they were made only where they say so."""
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
