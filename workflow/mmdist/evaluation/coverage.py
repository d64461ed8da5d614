"""Which queries and videos a number stands on, and why the others are left out."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mmdist.evaluation.streams import Stream
from mmdist.stage import UserError

USED = "used"
DROPPED = "dropped in the annotations"
MISSING, BAD = "video missing", "video bad"
NO_WORDS, NO_MOMENT = "no word of the vocabulary", "no moment"
NOT_PREDICTED = "not predicted"  # has all that it needs, and yet the model's file lacks it


@dataclass(frozen=True)
class Videos:
    """The data set's videos by what became of them: id -> why (for a missing one: the streams that lack it)."""

    annotated: Set[str]
    missing: Mapping[str, str]
    bad: Mapping[str, str]
    partial: Mapping[str, str]  # used as far as they go

    @property
    def usable(self) -> Set[str]:
        return self.annotated - self.missing.keys() - self.bad.keys()


def sort_videos(video_ids: Collection[str], streams: Mapping[str, Stream]) -> Videos:
    """Sort a data set's videos by the state of their features; a video is usable when every stream has it."""
    missing, bad, partial = {}, {}, {}
    for video_id in sorted(set(video_ids)):
        states = {name: stream.videos.get(video_id) for name, stream in streams.items()}
        reasons = {
            status: {name: state.reason for name, state in states.items() if state and state.status == status}
            for status in ("bad", "partial")
        }
        if reasons["bad"]:
            bad[video_id] = _joined(reasons["bad"])
        elif without := [name for name, state in states.items() if not state]:
            missing[video_id] = ", ".join(without)
        elif reasons["partial"]:
            partial[video_id] = _joined(reasons["partial"])
    return Videos(frozenset(video_ids), missing, bad, partial)


def _joined(reasons: Mapping[str, str]) -> str:
    """One reason when the streams agree, as they do when the video itself is at fault."""
    if len(set(reasons.values())) == 1:
        return next(iter(reasons.values()))
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())


def check_bad(videos: Videos, max_bad_share: float, show: int = 5) -> None:
    """Stop when too many of the videos that are there cannot be read; a missing video is no error.

    Raises:
        UserError: the share of bad videos is above `max_bad_share`.
    """
    present = len(videos.annotated) - len(videos.missing)
    if len(videos.bad) <= max_bad_share * present:
        return
    first = "; ".join(f"{video_id}: {reason}" for video_id, reason in sorted(videos.bad.items())[:show])
    more = f"; and {len(videos.bad) - show} more" if len(videos.bad) > show else ""
    raise UserError(
        f"{len(videos.bad)} of {present} videos are bad, more than max_bad_share {max_bad_share:g} allows "
        f"({first}{more}); replace or remove their files, or raise max_bad_share."
    )


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
    queries: pd.DataFrame, outcome: pd.Series, problems: pd.DataFrame, videos: Videos, cap: int
) -> dict[str, Any]:
    """Counts per split, and lists of at most `cap` entries, as the result shows them.

    Args:
        outcome: of `outcomes`, a query each.
        problems: `problems.csv`.
    """
    dropped_in = Counter(problems.loc[problems["action"] == "dropped", "split"])
    splits = {}
    for split in sorted(set(queries["split"]) | set(dropped_in)):
        rows = queries["split"] == split
        counts = Counter(outcome[rows]) + Counter({DROPPED: dropped_in[split]})
        used = counts.pop(USED, 0)
        ids = set(queries.loc[rows, "video_id"])
        splits[split] = {
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
    }


def _video_counts(videos: Videos, ids: Set[str], used: int) -> dict[str, int]:
    kinds = {"missing": videos.missing, "bad": videos.bad, "partial": videos.partial}
    return {"annotated": len(ids), "used": used, **{kind: len(ids & found.keys()) for kind, found in kinds.items()}}


def _capped(reasons: Mapping[str, str], cap: int) -> dict[str, str]:
    return dict(sorted(reasons.items())[:cap])


def _problems(problems: pd.DataFrame, cap: int) -> list[dict[str, Any]]:
    """Rows by file, action and problem; numbers are taken out of the problem's text so that equal ones meet."""
    texts = problems["problem"].map(lambda text: re.sub(r"-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b", "N", text))
    kinds = Counter(zip(problems["file"], problems["action"], texts, strict=True))
    return [
        {"file": file, "action": action, "problem": problem, "rows": count}
        for (file, action, problem), count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:cap]
    ]
