"""What the demo's videos hold: as files names of the settings alone, as a data set worth training on."""

import subprocess
import sys
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from conftest import ROOT, parse
from vidistill.base.stage import UserError
from vidistill.data.demo.scenes import ACTIONS, CASTS, COLOURS, FORMATS, DemoSettings, Event, Video, plan, video_files


@pytest.fixture(scope="module")
def planned(config: dict[str, Any]) -> list[Video]:
    return plan(parse(DemoSettings, config["demo"]))


def queries(video: Video) -> list[Event]:
    return [event for event in video.events if event.sentence]


def normalised(videos: list[Video], split: str) -> np.ndarray:
    """(N, 2) moments of a split as shares of their videos."""
    rows = []
    for video in videos:
        if video.split == split:
            duration = float(len(video.times) / video.format.rate)
            rows += [(event.start / duration, event.end / duration) for event in queries(video)]
    return np.array(rows)


def recall(start: float, end: float, moments: np.ndarray, threshold: float) -> float:
    """R@threshold of the same interval for every query."""
    inside = np.clip(np.minimum(end, moments[:, 1]) - np.maximum(start, moments[:, 0]), 0, None)
    return float(np.mean(inside / (end - start + moments[:, 1] - moments[:, 0] - inside) >= threshold))


def test_files_are_named_by_the_settings_alone(config: dict[str, Any], planned: list[Video]):
    settings = parse(DemoSettings, config["demo"])
    names = video_files(settings)
    assert (
        names == [video.file for video in planned] == video_files(parse(DemoSettings, config["demo"], seed=9, noise=0))
    )
    assert len(set(names)) == settings.train_videos + settings.test_videos
    assert names[7] == f"demo-0007.{FORMATS[7].suffix}"
    assert {name.rsplit(".", 1)[1] for name in names} >= {"mp4", "avi", "webm", "mkv", "mov", "mpg"}


def test_more_videos_leave_those_before_as_they_were(config: dict[str, Any], planned: list[Video]):
    more = plan(parse(DemoSettings, config["demo"], train_videos=250))
    assert more[:240] == planned[:240]


def test_another_seed_gives_other_videos(config: dict[str, Any], planned: list[Video]):
    other = plan(parse(DemoSettings, config["demo"], seed=1))
    assert all(a.events != b.events and a.scene != b.scene for a, b in zip(planned, other, strict=True))


def test_planning_needs_the_standard_library_alone():
    """It runs while Snakemake parses, in every job."""
    code = "import sys, vidistill.data.demo.scenes; print(sorted({'numpy', 'cv2', 'av', 'torch'} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "workflow", capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_splits_are_large_and_half_of_the_queries_need_motion(planned: list[Video]):
    kinds = {
        split: Counter(e.kind for v in planned if v.split == split for e in queries(v)) for split in ("train", "test")
    }
    assert kinds["test"].total() >= 200
    assert kinds["train"].total() >= 700
    for count in kinds.values():
        assert set(count) == {"appearance", "motion"}
        assert 0.45 <= count["motion"] / count.total() <= 0.55
    shown = Counter(sum(cast) for cast in CASTS)
    assert 3 <= sum(n * k for n, k in shown.items()) / len(CASTS) <= 3.5  # queries a video


def test_words_are_few_and_frequent_and_training_has_those_of_the_test(planned: list[Video]):
    words = {
        split: Counter(word for v in planned if v.split == split for e in queries(v) for word in e.sentence.split())
        for split in ("train", "test")
    }
    assert set(words["test"]) <= set(words["train"])
    assert 40 <= len(words["train"]) <= 60
    assert min(words["train"].values()) >= 10
    assert set(COLOURS) <= set(words["train"])


def test_events_lie_in_the_video_and_follow_each_other(planned: list[Video]):
    for video in planned:
        duration = len(video.times) / video.format.rate
        assert 8.9 <= duration <= 11.1
        assert video.events[0].start >= 0
        assert video.events[-1].end <= duration
        assert all(a.end <= b.start for a, b in pairwise(video.events))
        assert video.times[0] == 0
        assert all(a < b for a, b in pairwise(video.times))


def test_moments_differ_so_much_that_no_constant_interval_is_useful(config: dict[str, Any]):
    """The interval that is best on train, evaluated on test, as the mean over seeds since 266 queries vary."""
    grid, found = np.linspace(0, 1, 51), []
    for seed in range(4):
        videos = plan(parse(DemoSettings, config["demo"], seed=seed))
        train, test = normalised(videos, "train"), normalised(videos, "test")
        lengths = np.concatenate([train, test]) @ [-1, 1]
        assert lengths.min() >= 0.149
        assert lengths.max() <= 0.451
        assert lengths.std() > 0.05
        _, start, end = max((recall(a, b, train, 0.5), a, b) for a in grid for b in grid if 0.1 < b - a < 0.6)
        found.append(recall(start, end, test, 0.5))
        assert recall(0, 1, test, 0.5) == 0
    assert np.mean(found) < 0.21
    assert max(found) < 0.25


def test_an_appearance_query_names_an_object_that_is_there_in_its_moment_alone(planned: list[Video]):
    for video in planned:
        for query in queries(video):
            assert query.colour in query.sentence.split()
            assert query.shape in query.sentence.split()
            if query.kind == "appearance":
                assert [event for event in video.events if event.colour == query.colour] == [query]


def test_a_motion_query_needs_the_action_since_its_object_does_several_things(planned: list[Video]):
    seen = defaultdict(set)
    for video in planned:
        asked = [query for query in queries(video) if query.kind == "motion"]
        if not asked:
            continue
        assert len(asked) >= 2
        assert len({(query.colour, query.shape) for query in asked}) == 1
        assert len({query.action for query in asked}) == len(asked)
        for query in asked:
            # The sentence without its object tells the action, whatever the object.
            seen[query.sentence.replace(f"{query.colour} {query.shape}", "")].add(query.action)
    assert all(len(actions) == 1 for actions in seen.values())
    assert set().union(*seen.values()) == set(ACTIONS)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"train_videos": 0}, "train_videos"), ({"test_videos": 0}, "test_videos"), ({"seconds": 1}, "seconds")],
)
def test_settings_that_make_no_data_set_are_refused(config: dict[str, Any], changes: dict[str, Any], named: str):
    with pytest.raises(UserError, match=named):
        video_files(parse(DemoSettings, config["demo"], **changes))
