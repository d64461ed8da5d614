"""ActivityNet Captions: one JSON object per file, `id -> {duration, timestamps, sentences}`."""

from typing import Any

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.data.annotations.annotation import Annotation, parse_json, read_text, seconds, video_id

_KEYS = ("duration", "timestamps", "sentences")


def read(path: str, split: str) -> list[Annotation]:
    """The sentences of one file, in its order.

    Raises:
        UserError: not JSON, or an entry of another form (the video id is named).
    """
    # Pairs instead of a dict, in which a repeated video would silently lose its first entry.
    videos = parse_json(read_text(path), path, object_pairs_hook=tuple)
    if not isinstance(videos, tuple):
        raise UserError(f"{path} is not one JSON object of video ids; give a file of ActivityNet Captions' form.")
    return [annotation for video, entry in videos for annotation in _entry(path, split, video, entry)]


def _entry(path: str, split: str, video: str, entry: Any) -> list[Annotation]:
    place = f"{path}, video {video}"
    if not isinstance(entry, tuple):
        raise UserError(f"{place}: the entry is not an object with the keys {', '.join(_KEYS)}; correct it.")
    fields = dict(entry)
    if missing := [key for key in _KEYS if key not in fields]:
        raise UserError(f"{place}: the key {missing[0]!r} is missing; an entry needs {', '.join(_KEYS)}.")
    times, sentences = fields["timestamps"], fields["sentences"]
    if not isinstance(times, list) or not isinstance(sentences, list) or len(times) != len(sentences):
        raise UserError(f"{place}: timestamps and sentences are not two lists of the same length; correct the entry.")
    duration = None if fields["duration"] is None else seconds(fields["duration"], place, "duration")
    found = []
    for number, (pair, sentence) in enumerate(zip(times, sentences, strict=True), 1):
        here = f"{place}, sentence {number}"
        if not isinstance(pair, list) or len(pair) != 2:
            raise UserError(f"{here}: the timestamp is not [start, end]; correct the entry.")
        if not isinstance(sentence, str):
            raise UserError(f"{here}: the sentence is not a text; correct the entry.")
        start, end = seconds(pair[0], here, "start"), seconds(pair[1], here, "end")
        found.append(Annotation(video_id(video), nfc(sentence.strip()), split, start, end, duration, path, None))
    return found
