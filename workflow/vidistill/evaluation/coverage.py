"""Which queries and videos a number stands on, and why the others are left out."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Set
from typing import Any

import pandas as pd

from vidistill.evaluation import doubts
from vidistill.evaluation.inputs import DataSet
from vidistill.features.availability import Videos

USED = "used"
DROPPED = "dropped in the annotations"
MISSING, BAD = "video missing", "video bad"
NO_WORDS, NO_MOMENT = "no word of the vocabulary", "no moment"
NOT_PREDICTED = "not predicted"  # has all that it needs, and yet the model's file lacks it


def outcomes(
    queries: pd.DataFrame, videos: Videos, wordless: Set[str], *, split: str, predicted: Set[str], with_moment: Set[str]
) -> pd.Series:
    """What became of each query of the table: `USED` or why not.

    Args:
        queries: columns query_id, video_id, split.
        wordless: ids of queries that have no word of the vocabulary.
        split: the evaluated one, whose queries need a prediction and a moment, too. What is predicted counts as used
            whatever the videos say, so that these counts never contradict the numbers.
    """

    def outcome(query_id: str, video_id: str, own_split: str) -> str:
        if own_split == split and query_id in predicted:
            return USED if query_id in with_moment else NO_MOMENT
        if video_id in videos.bad:
            return BAD
        if video_id in videos.missing:
            return MISSING
        if query_id in wordless:
            return NO_WORDS
        return NOT_PREDICTED if own_split == split else USED

    rows = zip(queries["query_id"], queries["video_id"], queries["split"], strict=True)
    return pd.Series([outcome(*row) for row in rows], index=queries.index, dtype=object)


def describe(
    data: DataSet,
    outcome: pd.Series,
    problems: pd.DataFrame,
    videos: Videos,
    *,
    split: str,
    learned: Collection[str],
    cap: int,
) -> dict[str, Any]:
    """Counts per split, and lists of at most `cap` entries, as the result shows them.

    Args:
        outcome: of `outcomes`, a query each.
        problems: `problems.csv`.
        split: the evaluated one, counted even if it has no query.
        learned: the splits that the model was trained on.
    """
    queries, known = data.queries, data.known_durations
    dropped_in = Counter(problems.loc[problems["action"] == "dropped", "split"])
    splits = {}
    for name in sorted({*queries["split"], *dropped_in, split}):
        rows = queries["split"] == name
        counts = Counter(outcome[rows]) + Counter({DROPPED: dropped_in[name]})
        used = counts.pop(USED, 0)
        ids = set(queries.loc[rows, "video_id"])
        splits[name] = {
            "queries": {"annotated": used + counts.total(), "used": used, "not_used": dict(sorted(counts.items()))},
            "videos": _video_counts(videos, ids, queries.loc[rows & (outcome == USED), "video_id"].nunique()),
        }
    return {
        "splits": splits,
        "videos": _video_counts(videos, videos.annotated, queries.loc[outcome == USED, "video_id"].nunique()),
        "bad_videos": _capped(videos.bad, cap),
        "partial_videos": _capped(videos.partial, cap),
        "missing_videos": _capped(videos.missing, cap),
        "annotation_problems": _problems(problems, cap),
        "durations": doubts.durations(queries, known, videos.partial.keys(), data.slack, cap),
        "beyond": doubts.beyond(queries, data.targets, known, data.slack, cap),
        "shared": doubts.shared(queries, learned, split, cap),
    }


def _video_counts(videos: Videos, ids: Set[str], used: int) -> dict[str, int]:
    kinds = {"missing": videos.missing, "bad": videos.bad, "partial": videos.partial}
    return {"annotated": len(ids), "used": used, **{kind: len(ids & found.keys()) for kind, found in kinds.items()}}


def _capped(reasons: Mapping[str, str], cap: int) -> dict[str, str]:
    return dict(sorted(reasons.items())[:cap])


def _problems(problems: pd.DataFrame, cap: int) -> list[dict[str, Any]]:
    """Rows by file, action and problem; numbers are taken out of the problem's text so that equal ones meet."""
    texts = problems["problem"].map(lambda text: re.sub(r"(?<![\w-])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w-])", "N", text))
    kinds = Counter(zip(problems["file"], problems["action"], texts, strict=True))
    return [
        {"file": file, "action": action, "problem": problem, "rows": count}
        for (file, action, problem), count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:cap]
    ]
