"""TimeLens-Bench: Charades-STA, ActivityNet Captions and QVHighlights with corrected sentences and times.

One JSON object per file, `id -> {duration, spans, queries}`, as github.com/TencentARC/TimeLens reads it.
"""

from vidistill.data.annotations.activitynet import in_seconds, read_videos
from vidistill.data.annotations.annotation import Annotation


def read(path: str, split: str) -> list[Annotation]:
    """The sentences of one file, in its order.

    Raises:
        UserError: not JSON, or an entry of another form (the video id is named).
    """
    return read_videos(path, split, ("duration",), in_seconds, names=("spans", "queries"))
