"""Labels and their segments in the form of ActivityNet-1.3, in which THUMOS14 is published as well.

One JSON object per file, `{"database": {id: {"subset", "duration", "annotations": [{"segment": [start, end], "label"}]
}}}`; a video may also have a list `labels`.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.base.wording import plural
from vidistill.data.annotations.annotation import Annotation, parse_json, read_text, seconds, video_id
from vidistill.settings.queries import Split

log = logging.getLogger(__name__)


def read(path: str, subsets: Mapping[Split, str], labels: Literal["file", "segments"]) -> list[Annotation]:
    """The segments of one file, in its order; labels without segments and videos without labels have rows, too.

    Args:
        subsets: split -> the file's name for it; videos of other subsets are left out, and counted in the log.
        labels: `file`: in training, segments whose label is not in the video's list `labels`, if it has one, are
            `unlisted`; other splits have the labels of both. `segments` ignores the lists.

    Raises:
        UserError: not JSON, or an entry of another form (the video id is named).
    """
    # Pairs instead of a dict, in which a repeated video would silently lose its first entry.
    content = parse_json(read_text(path), path, object_pairs_hook=tuple)
    database = dict(content).get("database") if isinstance(content, tuple) else None
    if not isinstance(database, tuple):
        raise UserError(f"{path} has no object 'database' of video ids; give a file of ActivityNet-1.3's form.")
    splits = {subset: split for split, subset in subsets.items()}
    found: list[Annotation] = []
    others: Counter[str] = Counter()
    for video, entry in database:
        place = f"{path}, video {video}"
        if not isinstance(entry, tuple):
            raise UserError(f"{place}: the entry is not an object with the keys subset and annotations; correct it.")
        fields = dict(entry)
        subset = _text(fields, "subset", place)
        if subset in splits:
            found += _entry(path, splits[subset], video, fields, labels)
        else:
            others[subset] += 1
    for subset, count in sorted(others.items()):
        log.info("%s: %s of the subset %s left out", path, plural(count, "video"), subset)
    return found


def _entry(path: str, split: str, video: str, fields: Mapping[str, Any], labels: str) -> list[Annotation]:
    place = f"{path}, video {video}"
    listed, annotations = fields.get("labels"), fields.get("annotations")
    duration = None if fields.get("duration") is None else seconds(fields["duration"], place, "duration")
    if not isinstance(annotations, list):
        raise UserError(f"{place}: annotations is not a list of segments with labels; correct the entry.")
    if listed is not None and not (isinstance(listed, list) and all(isinstance(label, str) for label in listed)):
        raise UserError(f"{place}: labels is not a list of texts; correct the entry.")
    if listed is not None:
        listed = [nfc(label.strip()) for label in listed] if labels == "file" else None

    def row(label: str, start: float | None = None, end: float | None = None) -> Annotation:
        unlisted = split == "train" and listed is not None and label not in listed
        return Annotation(video_id(video), "", split, start, end, duration, path, None, label=label, unlisted=unlisted)

    found = []
    for number, segment in enumerate(annotations, 1):
        here = f"{place}, segment {number}"
        if not isinstance(segment, tuple):
            raise UserError(f"{here}: it is not an object with the keys segment and label; correct it.")
        about = dict(segment)
        times, label = about.get("segment"), _text(about, "label", here)
        if not isinstance(times, list) or len(times) != 2:
            raise UserError(f"{here}: the segment is not [start, end]; correct the entry.")
        found.append(row(label, seconds(times[0], here, "start"), seconds(times[1], here, "end")))
    of_segments = {segment.label for segment in found if not segment.unlisted}
    without = [label for label in dict.fromkeys(listed or ()) if label and label not in of_segments]
    return [*found, *map(row, without or ([] if of_segments else [""]))]


def _text(fields: Mapping[str, Any], name: str, place: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{place}: the {name} is {value!r}; give a text.")
    return nfc(value.strip())
