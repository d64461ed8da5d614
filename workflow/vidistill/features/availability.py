"""Stage `availability`: before training, which videos of a data set have the features that a model reads."""

import csv
import logging
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from vidistill.base import store
from vidistill.base.settings import Section, parse
from vidistill.base.stage import UserError, arguments, run
from vidistill.features import states
from vidistill.features.states import Stream

log = logging.getLogger(__name__)
COLUMNS = ("video_id", "status", "reason")


class AvailabilitySettings(Section):
    dataset: str
    model: str
    max_bad_share: float


@dataclass(frozen=True)
class Videos:
    """The data set's videos by state: id -> reason (for a missing video: the streams that lack it)."""

    annotated: Set[str]
    missing: Mapping[str, str]
    bad: Mapping[str, str]
    partial: Mapping[str, str]  # used as far as they were decoded

    @property
    def usable(self) -> Set[str]:
        return self.annotated - self.missing.keys() - self.bad.keys()

    def state(self, video_id: str) -> tuple[str, str]:
        """`ok`, `partial`, `bad` or `missing`, and the reason."""
        for status, found in (("bad", self.bad), ("missing", self.missing), ("partial", self.partial)):
            if video_id in found:
                return status, found[video_id]
        return "ok", ""


def sort_videos(video_ids: Collection[str], by_stream: Mapping[str, Stream]) -> Videos:
    """Sort a data set's videos by the state of their features; a video is usable if every stream has it."""
    missing, bad, partial = {}, {}, {}
    for video_id in sorted(set(video_ids)):
        states = {name: stream.videos.get(video_id) for name, stream in by_stream.items()}
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
    """One reason if the streams agree, as they do if the video itself is broken."""
    if len(set(reasons.values())) == 1:
        return next(iter(reasons.values()))
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())


def check_bad(videos: Videos, max_bad_share: float) -> None:
    """Stop if too many of the existing videos cannot be read. Missing videos are not an error.

    Raises:
        UserError: the share of bad videos is above `max_bad_share`; all of them are listed.
    """
    present = len(videos.annotated) - len(videos.missing)
    if len(videos.bad) <= max_bad_share * present:
        return
    listed = "; ".join(f"{video_id}: {reason}" for video_id, reason in sorted(videos.bad.items()))
    raise UserError(
        f"{len(videos.bad)} of {present} videos are bad, more than max_bad_share {max_bad_share:g} allows; "
        f"replace or remove their files, or raise max_bad_share. They are: {listed}."
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--features", nargs="+", required=True, help="STREAM=H5, every shard of every stream")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    s = parse(AvailabilitySettings, args.settings)
    ids = store.read_table(args.queries, ["video_id"])["video_id"].unique()
    videos = sort_videos(ids, states.read_all(args.features))
    counts = f"{len(videos.bad)} bad, {len(videos.partial)} partial, {len(videos.missing)} missing"
    log.info("%s, %s: %d of %d videos are usable; %s", s.dataset, s.model, len(videos.usable), len(ids), counts)
    check_bad(videos, s.max_bad_share)
    with store.atomic(args.output) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows((video_id, *videos.state(video_id)) for video_id in sorted(ids))


if __name__ == "__main__":
    run(main)
