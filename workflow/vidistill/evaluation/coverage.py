"""Queries and videos behind a number, and why others are left out."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

import pandas as pd

from vidistill.evaluation import doubts, summary
from vidistill.evaluation.inputs import DataSet
from vidistill.evaluation.summary import Seeds
from vidistill.features.availability import Videos

USED = "used"
DROPPED = "dropped in the annotations"
MISSING, BAD = "video missing", "video bad"
NO_WORDS, NO_MOMENT = "no word of the vocabulary", "no moment"
NOT_PREDICTED = "not predicted"  # usable, but missing from the model's predictions


def outcomes(
    queries: pd.DataFrame, videos: Videos, wordless: Set[str], *, split: str, predicted: Set[str], with_moment: Set[str]
) -> pd.Series:
    """The outcome of each query: `USED`, or why it was not used.

    Args:
        queries: columns query_id, video_id, split.
        wordless: ids of queries without a word of the vocabulary.
        split: the evaluated split, whose queries also need a prediction and a moment. Predicted queries count as used
            whatever the state of their videos, so that counts never contradict the numbers.
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
    """Counts per split and lists of at most `cap` entries, for the result.

    Args:
        outcome: from `outcomes`, one per query.
        problems: `problems.csv`.
        split: the evaluated split, listed even if it has no query.
        learned: the training splits.
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


def unanswered(data: DataSet, split: str, ours: Seeds, names: Sequence[str]) -> dict[str, Any] | None:
    """Queries with a moment that a file of predictions leaves out, and its numbers if they count as wrong."""
    if not ours:
        return None
    answered = next(iter(ours.values())).query_ids
    asked = data.queries.loc[data.queries["split"] == split, "query_id"]
    count = int((asked.isin(data.targets.keys()) & ~asked.isin(answered)).sum())
    share = len(answered) / (len(answered) + count)
    numbers = summary.means(share * summary.over_queries(ours, answered), names)
    return {"queries": count, "metrics": numbers} if count else None


def _video_counts(videos: Videos, ids: Set[str], used: int) -> dict[str, int]:
    kinds = {"missing": videos.missing, "bad": videos.bad, "partial": videos.partial}
    return {"annotated": len(ids), "used": used, **{kind: len(ids & found.keys()) for kind, found in kinds.items()}}


def _capped(reasons: Mapping[str, str], cap: int) -> dict[str, str]:
    return dict(sorted(reasons.items())[:cap])


def _problems(problems: pd.DataFrame, cap: int) -> list[dict[str, Any]]:
    """Rows by file, action and problem; numbers in problems are replaced by N, to group equal problems."""
    texts = problems["problem"].map(lambda text: re.sub(r"(?<![\w-])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w-])", "N", text))
    kinds = Counter(zip(problems["file"], problems["action"], texts, strict=True))
    return [
        {"file": file, "action": action, "problem": problem, "rows": count}
        for (file, action, problem), count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:cap]
    ]
