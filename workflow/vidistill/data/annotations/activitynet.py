"""ActivityNet Captions: one JSON object per file, `id -> {duration, timestamps, sentences}`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.data.annotations.annotation import Annotation, number, parse_json, read_text, seconds, video_id


class Clock(NamedTuple):
    """How an entry counts time."""

    unit: str  # of its timestamps, for messages
    rate: float  # units per second
    duration: float | None  # seconds


def read(path: str, split: str) -> list[Annotation]:
    """The sentences of one file, in its order.

    Raises:
        UserError: not JSON, or an entry of another form (the video id is named).
    """
    return read_videos(path, split, ("duration",), in_seconds)


def read_videos(
    path: str,
    split: str,
    keys: tuple[str, ...],
    clock: Callable[[dict[str, Any], str], Clock],
    repeats: bool = False,
    names: tuple[str, str] = ("timestamps", "sentences"),
) -> list[Annotation]:
    """The sentences of one object of videos, each with times, sentences and `keys`.

    Args:
        clock: gives the clock of an entry; its place is for messages.
        repeats: whether equal rows are queries of their own.
        names: the keys of times and sentences.

    Raises:
        UserError: as `read`.
    """
    # Pairs instead of a dict, in which a repeated video would silently lose its first entry.
    videos = parse_json(read_text(path), path, object_pairs_hook=tuple)
    if not isinstance(videos, tuple):
        raise UserError(f"{path} is not one JSON object of video ids; give a file of this form.")
    found = []
    for video, entry in videos:
        place = f"{path}, video {video}"
        fields = _fields(entry, place, (*keys, *names))
        unit, rate, duration = clock(fields, place)
        for start, end, sentence in _sentences(fields, place, unit, names):
            about = (video_id(video), sentence, split, start / rate, end / rate, duration, path, None, repeats)
            found.append(Annotation(*about))
    return found


def in_seconds(fields: dict[str, Any], place: str) -> Clock:
    """The clock of an entry in seconds."""
    duration = fields["duration"]
    return Clock("seconds", 1.0, None if duration is None else seconds(duration, place, "duration"))


def _fields(entry: Any, place: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(entry, tuple):
        raise UserError(f"{place}: the entry is not an object with the keys {', '.join(keys)}; correct it.")
    fields = dict(entry)
    if missing := [key for key in keys if key not in fields]:
        raise UserError(f"{place}: the key {missing[0]!r} is missing; an entry needs {', '.join(keys)}.")
    return fields


def _sentences(fields: dict[str, Any], place: str, unit: str, names: tuple[str, str]) -> list[tuple[float, float, str]]:
    times, sentences = (fields[name] for name in names)
    if not isinstance(times, list) or not isinstance(sentences, list) or len(times) != len(sentences):
        both = " and ".join(names)
        raise UserError(f"{place}: {both} are not two lists of the same length; correct the entry.")
    found = []
    for position, (pair, sentence) in enumerate(zip(times, sentences, strict=True), 1):
        here = f"{place}, sentence {position}"
        if not isinstance(pair, list) or len(pair) != 2:
            raise UserError(f"{here}: the timestamp is not [start, end]; correct the entry.")
        if not isinstance(sentence, str):
            raise UserError(f"{here}: the sentence is not a text; correct the entry.")
        start, end = number(pair[0], here, "start", unit), number(pair[1], here, "end", unit)
        found.append((start, end, nfc(sentence.strip())))
    return found
