"""Warnings about numbers: durations or moments that do not fit the videos, and test data seen in training."""

from collections.abc import Collection, Iterator, Mapping, Set
from typing import Any

import numpy as np
import pandas as pd

from vidistill.base.wording import plural

SLACK, SHARE = 0.5, 0.02  # seconds, and share of a duration; smaller differences are normal


def durations(
    queries: pd.DataFrame, known: Mapping[str, float], partial: Set[str], slack: float, cap: int
) -> dict[str, Any]:
    """Videos whose annotated duration differs from that of their features; `cap` of them with both, in seconds.

    Args:
        queries: columns video_id, duration (seconds, NaN where unknown).
        known: video -> seconds that its features cover.
        partial: videos that are shorter because they are damaged.
        slack: seconds by which the two may always differ.
    """
    rows = queries[["video_id", "duration"]].dropna().drop_duplicates()
    rows = rows[rows["video_id"].isin(known.keys() - partial)]
    ours = rows["video_id"].map(known).to_numpy(np.float64)
    given = rows["duration"].to_numpy(np.float64)
    differ = np.abs(given - ours) > np.maximum(slack, SHARE * ours)
    found = {
        video_id: {"annotated": _seconds(annotated), "video": _seconds(seconds)}
        for video_id, annotated, seconds in sorted(
            zip(rows["video_id"][differ], given[differ], ours[differ], strict=True)
        )
    }
    return {"videos": len(found), "listed": dict(list(found.items())[:cap])}


def beyond(
    queries: pd.DataFrame, targets: Mapping[str, np.ndarray], known: Mapping[str, float], slack: float, cap: int
) -> dict[str, Any]:
    """Queries with a moment partly or entirely after the end of the video; `cap` of them listed.

    Args:
        queries: columns query_id, video_id.
        targets: query id -> (G, 2) seconds.
        known, slack: as for `durations`.
    """
    found = []
    for query_id, video_id in zip(queries["query_id"], queries["video_id"], strict=True):
        if query_id not in targets or video_id not in known:
            continue
        seconds = known[video_id]
        for start, end in targets[query_id]:
            if start >= seconds or end > seconds + max(slack, SHARE * seconds):
                moment = {"start": _seconds(start), "end": _seconds(end), "video": _seconds(seconds)}
                found.append({"query_id": query_id, "video_id": video_id, **moment})
                break
    wholly = sum(row["start"] >= row["video"] for row in found)
    return {"queries": len(found), "wholly": wholly, "listed": found[:cap]}


def shared(queries: pd.DataFrame, learned: Collection[str], split: str, cap: int) -> dict[str, Any]:
    """Videos, and rows (video and sentence), of the evaluated split that are also in training.

    Args:
        queries: columns video_id, split, sentence.
        learned: the training splits.
    """
    seen, tested = queries[queries["split"].isin(list(learned))], queries[queries["split"] == split]
    videos = sorted(set(seen["video_id"]) & set(tested["video_id"]))
    rows = [
        {
            (video, " ".join(text.casefold().split()))
            for video, text in zip(part["video_id"], part["sentence"], strict=True)
        }
        for part in (seen, tested)
    ]
    return {"with": list(learned), "videos": len(videos), "rows": len(rows[0] & rows[1]), "listed": videos[:cap]}


def sentences(result: Mapping[str, Any]) -> Iterator[str]:
    """One sentence per warning about a result, with the first example."""
    covered = result["coverage"]
    yield from _made_elsewhere(result)
    about = covered["shared"]
    if about["videos"]:
        example = f", for example {about['listed'][0]}" if about["listed"] else ""
        rows = f", with {plural(about['rows'], 'equal row')} (video and sentence)" if about["rows"] else ""
        yield (
            f"{plural(about['videos'], 'video')} of the split {result['split']} {_are(about['videos'])} also in "
            f"training ({', '.join(about['with'])}){rows}{example}: the numbers are not for unseen videos only."
        )
    about = covered["durations"]
    if about["videos"]:
        example = "".join(
            f" ({video}: annotated {both['annotated']:g} s, the video has {both['video']:g} s)"
            for video, both in list(about["listed"].items())[:1]
        )
        yield (
            f"The annotated duration of {plural(about['videos'], 'video')} differs from the video's{example}; "
            "the video's duration counts."
        )
    about = covered["beyond"]
    if about["queries"]:
        example = "".join(
            f" ({row['video_id']}: {row['start']:g} s to {row['end']:g} s of {row['video']:g} s)"
            for row in about["listed"][:1]
        )
        yield (
            f"The moment of {plural(about['queries'], 'query')} ends after the end of the video{example}; "
            f"{about['wholly']} of them lie entirely after it and cannot be found."
        )


def _made_elsewhere(result: Mapping[str, Any]) -> Iterator[str]:
    """What of a file of predictions does not fit the data set, and which of its queries have none."""
    about = result["models"][result["model"]].get("predictions")
    if about and about["left_out"]:
        example = f" ({about['listed'][0]})" if about["listed"] else ""
        count = plural(about["left_out"], about["unit"])
        yield f"{count} of {about['rows']} in {about['file']} cannot be used{example}."
    if unanswered := result.get("unanswered"):
        counted = ", ".join(f"{name} {value:.2f}" for name, value in list(unanswered["metrics"].items())[:3])
        yield (
            f"{plural(unanswered['queries'], 'query')} with a moment {'has' if unanswered['queries'] == 1 else 'have'} "
            f"no prediction and {_are(unanswered['queries'])} left out; counted as wrong: {counted}."
        )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _seconds(value: float) -> float:
    return round(float(value), 3)
