"""Baselines for segments that see no video, alone and against the numbers of the specification."""

from pathlib import Path

import numpy as np
import pandas as pd

from conftest import data
from vidistill.data.annotations import activitynet13
from vidistill.data.rows import flaw, query_ids
from vidistill.evaluation import told, wtalc
from vidistill.evaluation.average_precision import mean_average_precision, rank

TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
SEGMENTS = ["video_id", "label", "start", "end"]


def score(truth: pd.DataFrame, found: pd.DataFrame, tious: tuple[float, ...] = TIOUS) -> np.ndarray:
    videos = sorted(set(truth["video_id"]))
    return mean_average_precision(rank(truth, found, videos, tious), np.ones((1, len(videos))))[0]


def with_mean(values: np.ndarray) -> list[str]:
    return [f"{value:.2f}" for value in (*values, values.mean())]


def labels(truth: pd.DataFrame) -> pd.DataFrame:
    return truth[["video_id", "label"]].drop_duplicates()


def small(seed: int = 0) -> tuple[pd.DataFrame, dict[str, float]]:
    """Segments of about 5 seconds, early in videos of different durations."""
    rng = np.random.default_rng(seed)
    durations = {f"v{v}": float(rng.uniform(20, 60)) for v in range(12)}
    rows = []
    for video, seconds in durations.items():
        for label in "ab"[: rng.integers(1, 3)]:
            for start in rng.uniform(0, 0.5 * seconds, rng.integers(1, 4)):
                rows.append((video, label, start, start + rng.uniform(3, 7)))
    return pd.DataFrame(rows, columns=SEGMENTS), durations


def test_segments_cover_videos_and_short_videos_come_first():
    asked = pd.DataFrame({"video_id": ["v", "v", "w"], "label": ["a", "b", "a"]})
    durations = {"v": 10.0, "w": 4.0}
    whole = told.intervals(asked, durations)
    assert whole[SEGMENTS[2:]].to_numpy().tolist() == [[0, 10], [0, 10], [0, 4]]
    assert told.intervals(asked, durations, 0.25, 0.5)["start"].tolist() == [2.5, 2.5, 1.0]
    grid = told.grid(asked, durations, 4.0)
    assert grid.to_numpy().tolist() == [
        *[["v", label, *times, -10.0] for label in "ab" for times in ([0.0, 4.0], [4.0, 8.0], [8.0, 10.0])],
        ["w", "a", 0.0, 4.0, -4.0],
    ]
    assert whole["score"].tolist() == [-10, -10, -4]


def test_the_fitted_interval_is_the_best_of_all():
    truth, durations = small()
    tried = {
        (i / 10, j / 10): score(truth, told.intervals(labels(truth), durations, i / 10, j / 10)).mean()
        for i in range(10)
        for j in range(i + 1, 11)
    }
    assert told.fit_interval(truth, durations, TIOUS, 10) == max(tried, key=tried.__getitem__)


def test_the_fitted_step_is_the_best_of_all():
    truth, durations = small()
    tried = {s: score(truth, told.grid(labels(truth), durations, s)).mean() for s in (4, 6, 8, 12, 16, 24, 32, 48)}
    best = max(tried, key=tried.__getitem__)
    assert told.fit_grid(truth, durations, TIOUS) == best
    stretched = truth.assign(start=4 * truth["start"], end=4 * truth["end"])
    assert told.fit_grid(stretched, {v: 4 * s for v, s in durations.items()}, TIOUS) == 4 * best


def test_a_step_is_found_for_segments_longer_than_their_videos():
    truth, durations = small()
    assert told.fit_grid(truth.assign(start=0.0, end=99.0), durations, TIOUS) == max(durations.values())


def read(path: Path, **subsets: str) -> tuple[dict[str, pd.DataFrame], dict[str, float]]:
    """Sound segments by split, and durations."""
    rows = activitynet13.read(str(path), subsets, "segments")
    kept = [
        a
        for a, query_id in zip(rows, query_ids(rows), strict=True)
        if query_id and (flaw(a, a.duration, "keep") or ("", "kept"))[1] == "kept"
    ]
    tables = {
        split: pd.DataFrame([(a.video_id, a.label, a.start, a.end) for a in kept if a.split == split], columns=SEGMENTS)
        for split in subsets
    }
    return tables, {a.video_id: a.duration for a in rows}


def test_thumos14():
    tables, durations = read(data("thumos14", "thumos14.json"), train="validation", test="test")
    assert {split: len(table) for split, table in tables.items()} == {"train": 3_007, "test": 3_358}
    assert told.fit_grid(tables["train"], durations, TIOUS) == 6.0
    whole, wrong = tables["test"], ["video_test_0000270", "video_test_0001292", "video_test_0001496"]
    test = whole[~whole["video_id"].isin(wrong)]
    assert (test["video_id"].nunique(), len(test)) == (210, 3_311)
    assert with_mean(score(test, told.intervals(labels(test), durations)))[-1] == "0.62"
    grid = told.grid(labels(test), durations, 6.0)
    assert with_mean(score(test, grid)) == ["34.20", "28.42", "20.28", "12.38", "5.93", "2.38", "0.79", "14.91"]
    every = pd.MultiIndex.from_product([sorted(set(test[c])) for c in ("video_id", "label")], names=SEGMENTS[:2])
    assert with_mean(score(test, told.grid(every.to_frame(index=False), durations, 6.0)))[-1] == "1.51"

    videos, ambiguous = sorted(set(whole["video_id"])), wtalc.read_ambiguous(data("thumos14", "Ambiguous_test.txt"))
    snippets = wtalc.in_snippets(whole, 25 / 16)
    assert (len(videos), (snippets["start"] == snippets["end"]).sum()) == (212, 17)
    about = {"tious": TIOUS, "rate": 25 / 16}
    for found, mean in (
        (told.intervals(labels(whole), durations), "0.52"),
        (told.grid(labels(whole), durations, 6.0), "15.76"),
    ):
        assert with_mean(wtalc.mean_average_precision(whole, found, ambiguous, videos, **about))[-1] == mean


def test_activitynet_1_3():
    tables, durations = read(data("activitynet-1.3", "activitynet_bmn.json"), train="training", test="validation")
    test = tables["test"]
    # Two of the 4,728 videos have no segment of any length.
    assert (test["video_id"].nunique(), len(test)) == (4_726, 7_293 - 22)
    tious = tuple(n / 20 for n in range(10, 20))
    fitted = told.fit_interval(tables["train"], durations, tious, 20)
    assert fitted == (0.05, 0.95)
    for interval, expected in (
        ((0.0, 1.0), ["36.94", "20.99", "5.76", "21.98"]),
        (fitted, ["39.33", "24.27", "1.46", "24.41"]),
    ):
        values = with_mean(score(test, told.intervals(labels(test), durations, *interval), tious))
        assert [values[i] for i in (0, 5, 9, 10)] == expected
