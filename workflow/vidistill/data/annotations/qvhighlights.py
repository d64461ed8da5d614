"""JSON lines of QVHighlights, in which moment_detr and lighthouse hold every data set of sentences.

One object per line, `{"qid", "query", "vid", "duration", "relevant_windows": [[start, end], ...]}`, times in seconds.
All windows of a line are moments of one query. Test splits are published without windows.
"""

from typing import Any

from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.data.annotations.annotation import Annotation, lines, parse_json, seconds, video_id


def read(path: str, split: str) -> list[Annotation]:
    """The windows of one file, in its order; a query without windows has one row without times.

    Equal lines are queries of their own, as in the field's evaluators, unless they have the same qid.

    Raises:
        UserError: a line is not of this form (named).
    """
    found = []
    for line, text in lines(path):
        place = f"{path}, line {line}"
        fields = parse_json(text, place)
        if not isinstance(fields, dict):
            raise UserError(f"{place}: this is not a JSON object; a line is an object with qid, query and vid.")
        video, sentence = _text(fields, "vid", place), _text(fields, "query", place)
        query = str(fields.get("qid", f"line {line}"))
        duration = None if fields.get("duration") is None else seconds(fields["duration"], place, "duration")
        windows = fields.get("relevant_windows")
        if windows is not None and not isinstance(windows, list):
            raise UserError(f"{place}: relevant_windows is not a list of [start, end]; correct the line.")
        for number, window in enumerate(windows or [None], 1):
            here = f"{place}, window {number}"
            start, end = (None, None) if window is None else _window(window, here)
            about = (video_id(video), nfc(sentence), split, start, end, duration, path, line)
            found.append(Annotation(*about, query=query))
    return found


def _text(fields: dict[str, Any], name: str, place: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise UserError(f"{place}: the {name} is {value!r}; give a text.")
    return value.strip()


def _window(window: Any, place: str) -> tuple[float, float]:
    if not isinstance(window, list) or len(window) != 2:
        raise UserError(f"{place}: it is not [start, end]; correct the line.")
    return seconds(window[0], place, "start"), seconds(window[1], place, "end")
