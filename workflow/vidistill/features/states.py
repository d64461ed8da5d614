"""Read the attributes of feature files: provenance and the state of each video, without the features."""

import json
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.base.wording import plural

log = logging.getLogger(__name__)


class State(NamedTuple):
    """The state of a video: `ok`, `partial` or `bad`, and the reason."""

    status: str
    reason: str


@dataclass(frozen=True)
class Stream:
    """One stream of a collection, over all of its shards."""

    provenances: list[dict[str, Any]]  # one, unless shards were made in different ways
    videos: dict[str, State]
    durations: dict[str, float]  # seconds, where known


def read(name: str, files: Iterable[Path]) -> Stream:
    """Collect a stream's attributes.

    Raises:
        UserError: a file cannot be read.
    """
    provenances: dict[str, dict[str, Any]] = {}
    videos: dict[str, State] = {}
    durations: dict[str, float] = {}
    for file in files:
        try:
            with h5py.File(file, "r") as shard:
                text = str(shard.attrs.get("provenance", "{}"))
                provenances[text] = json.loads(text)
                for group in shard.values():
                    video_id = str(group.attrs["video_id"])
                    videos[video_id] = State(str(group.attrs["status"]), str(group.attrs["reason"]))
                    if "duration" in group.attrs:
                        durations[video_id] = float(group.attrs["duration"])
        except (OSError, KeyError, json.JSONDecodeError) as error:
            raise UserError(
                f"{file} of stream {name!r} is not a feature file ({error}); delete it and run the same command again."
            ) from error
    if len(provenances) > 1:
        log.warning(
            "the shards of stream %s were made in %d different ways, see `features` in the result",
            name,
            len(provenances),
        )
    return Stream([provenances[text] for text in sorted(provenances)], videos, durations)


def file_durations(by_stream: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Video -> seconds that its features cover, from the first stream that records it: the time line of predictions.

    A model sees features, so a share of a video is a share of these seconds, whatever the annotated duration is.
    """
    found: dict[str, float] = {}
    for durations in by_stream:
        for video_id, seconds in durations.items():
            if 0 < seconds < math.inf:
                found.setdefault(video_id, seconds)
    return found


def check_dated(undated: Iterable[str]) -> None:
    """Stop if the seconds of a video to predict are unknown.

    Args:
        undated: ids of such videos.

    Raises:
        UserError: there is one.
    """
    if found := sorted(set(undated)):
        example = repr(found[0]) if len(found) == 1 else f"{found[0]!r} and others"
        raise UserError(
            f"the duration of {plural(len(found), 'video')} is unknown ({example}), and predictions are in seconds; "
            "add it to the annotations (duration), set the folder of the videos, or set seconds_per_row of the "
            "features."
        )


def by_stream(items: Iterable[str]) -> dict[str, list[Path]]:
    """`STREAM=FILE` arguments by stream.

    Raises:
        UserError: an argument has a different form.
    """
    files: dict[str, list[Path]] = {}
    for item in items:
        stream, _, path = item.partition("=")
        if not stream or not path:
            raise UserError(f"--features {item} is not of the form STREAM=FILE; correct it.")
        files.setdefault(stream, []).append(Path(path))
    return files


def read_all(features: Iterable[str]) -> dict[str, Stream]:
    """`read` each stream of `STREAM=H5` arguments."""
    return {name: read(name, files) for name, files in by_stream(features).items()}


def describe(stream: Stream) -> dict[str, Any]:
    """A stream for the result. The digest covers provenance and the videos' states, not the features."""
    states = [f"{video_id}\n{state.status}\n{state.reason}" for video_id, state in sorted(stream.videos.items())]
    ways = [json.dumps(way, sort_keys=True) for way in stream.provenances]
    pretrained = [way.get("pretrained") for way in stream.provenances]
    return {
        "pretrained": pretrained[0] if pretrained and pretrained == pretrained[:1] * len(pretrained) else None,
        "digest": store.digest(*ways, *states),
        "provenance": stream.provenances[0] if len(stream.provenances) == 1 else stream.provenances,
    }
