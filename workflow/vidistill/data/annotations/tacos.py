"""TACoS as 2D-TAN and SeqPAN have it: a JSON object per file, `id.avi -> {timestamps, sentences, fps, num_frames}`.

Timestamps are in frames. Many rows repeat another one, and the field counts them as queries of their own.
"""

from typing import Any

from vidistill.base.stage import UserError
from vidistill.data.annotations.activitynet import Clock, read_videos
from vidistill.data.annotations.annotation import Annotation, number


def read(path: str, split: str) -> list[Annotation]:
    """The sentences of one file, in its order; times in seconds.

    Raises:
        UserError: not JSON, or an entry of another form (the video id is named).
    """
    return read_videos(path, split, ("fps", "num_frames"), _in_frames, repeats=True)


def _in_frames(fields: dict[str, Any], place: str) -> Clock:
    rate = number(fields["fps"], place, "fps", "frames per second")
    if not 0 < rate < float("inf"):
        raise UserError(f"{place}: the fps is {fields['fps']!r}; give the frames per second.")
    return Clock("frames", rate, number(fields["num_frames"], place, "num_frames", "frames") / rate)
