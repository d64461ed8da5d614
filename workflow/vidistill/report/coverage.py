"""Page: queries and videos behind the numbers, and why others are left out."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from vidistill.base.wording import plural
from vidistill.evaluation import doubts
from vidistill.report import page

_LISTS = (
    ("bad", "Bad videos", "They cannot be read; their queries are not used."),
    ("partial", "Partial videos", "They are used as far as they could be decoded."),
    (
        "missing",
        "Missing videos",
        "They have no file or no features in the listed streams; their queries are not used.",
    ),
)


def make(result: Mapping[str, Any], queries: pd.DataFrame) -> str:
    """The page.

    Args:
        queries: columns video_id, split.
    """
    covered, split = result["coverage"], result["split"]
    counts = covered["splits"][split]["queries"]
    splits = queries.groupby("video_id")["split"].agg(lambda names: ", ".join(sorted(set(names))))
    parts: list[str] = [
        f"The numbers of this report are based on {counts['used']} of {plural(counts['annotated'], 'annotated query')} "
        f"of the split {split}. All others are counted here, with the reason.",
        *doubts.sentences(result),
        page.heading("Queries and videos per split"),
        _splits(covered["splits"]),
    ]
    for kind, title, meaning in _LISTS:
        listed, total = covered[f"{kind}_videos"], covered["videos"][kind]
        parts += [page.heading(f"{title}: {total}")]
        if total:
            shown = "" if total == len(listed) else f" The first {len(listed)} are listed (evaluate.list_at_most)."
            header = ("video", "split", "missing streams" if kind == "missing" else "reason")
            rows = [(video, splits.get(video, ""), reason) for video, reason in listed.items()]
            parts += [meaning + shown, page.table(header, rows)]
        else:
            parts += ["None."]
    parts += _durations(covered)
    parts += [page.heading("Annotation problems"), *_problems(covered["annotation_problems"])]
    parts += [page.heading("Features"), page.table(("stream", "extractor", "weights", "network"), _features(result))]
    return page.document(f"Data and coverage: {result['dataset']}", *parts)


def _splits(splits: Mapping[str, Any]) -> page.Raw:
    header = ("split", "queries", "used", "not used (reason)", "videos", "used", "missing", "bad", "partial")
    rows = []
    for name, about in splits.items():
        queries, videos = about["queries"], about["videos"]
        reasons = ", ".join(f"{count} {reason}" for reason, count in queries["not_used"].items()) or "0"
        kinds = [videos[kind] for kind in ("annotated", "used", "missing", "bad", "partial")]
        rows.append((name, queries["annotated"], queries["used"], reasons, *kinds))
    return page.table(header, rows, numbers=(1, 2, 4, 5, 6, 7, 8))


def _durations(covered: Mapping[str, Any]) -> Iterator[str]:
    """Durations that differ, and moments after the end of their video, if there are any."""
    if about := covered["durations"]["listed"]:
        yield page.heading(f"Durations that differ: {covered['durations']['videos']}")
        yield "Seconds. The duration that the features cover counts, in predictions and in numbers."
        rows = [(video, f"{both['annotated']:g}", f"{both['video']:g}") for video, both in about.items()]
        yield page.table(("video", "annotated", "video (counts)"), rows, numbers=(1, 2))
    if listed := covered["beyond"]["listed"]:
        yield page.heading(f"Moments after the end of their video: {covered['beyond']['queries']}")
        yield "Seconds. Moments after the end cannot be found."
        rows = [(row["query_id"], *(f"{row[name]:g}" for name in ("start", "end", "video"))) for row in listed]
        yield page.table(("query", "start", "end", "end of the video"), rows, numbers=(1, 2, 3))


def _problems(problems: list[Mapping[str, Any]]) -> list[str]:
    if not problems:
        return ["None: every row was used unchanged."]
    header = ("file", "problem (N: a number)", "action", "rows")
    return [page.table(header, [(p["file"], p["problem"], p["action"], p["rows"]) for p in problems], numbers=(3,))]


def _features(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for stream, about in result["features"].items():
        ways = about["provenance"] if isinstance(about["provenance"], list) else [about["provenance"]]
        made = ", ".join(sorted({str(way.get("extractor", "unknown")) for way in ways}))
        digests = {str(way.get("weights_sha256") or "none")[:12] for way in ways}
        network = {True: "pretrained", False: "random, never trained"}.get(about["pretrained"], "unknown")
        yield stream, made, ", ".join(sorted(digests)), network
