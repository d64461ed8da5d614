"""Metrics, ranking rules, the bootstrap and the video-free baselines, each alone and against published numbers."""

import csv
import json

import numpy as np
import pytest

from conftest import data
from vidistill.data.annotations import tacos as annotations
from vidistill.evaluation import bootstrap, metrics, ranking, video_free


def charades(split: str) -> np.ndarray:
    """(N, 3) start, end, duration, as annotated."""
    with open(data("charades-sta", f"Charades_v1_{split}.csv"), newline="") as file:
        durations = {row["id"]: float(row["length"]) for row in csv.DictReader(file)}
    lines = data("charades-sta", f"charades_sta_{split}.txt").read_text().splitlines()
    fields = [line.split("##")[0].split() for line in lines]
    return np.array([(float(start), float(end), durations[video]) for video, start, end in fields])


def activitynet(part: str) -> np.ndarray:
    videos = json.loads(data("activitynet-captions", f"{part}.json").read_text()).values()
    rows = np.array([(*moment, video["duration"]) for video in videos for moment in video["timestamps"]])
    return rows[rows[:, 0] < rows[:, 1]]


def tacos(part: str) -> np.ndarray:
    return np.array([(a.start, a.end, a.duration) for a in annotations.read(str(data("tacos", f"{part}.json")), part)])


def normalised(rows: np.ndarray) -> np.ndarray:
    return video_free.normalise(np.minimum(rows[:, None, :2], rows[:, None, 2:]), rows[:, 2])


def percent(values: np.ndarray) -> list[str]:
    return [f"{value:.2f}" for value in values.mean(axis=0)]


def test_iou_of_overlapping_apart_and_nested():
    a = np.array([[0.0, 10.0], [0.0, 4.0], [2.0, 4.0], [0.0, 5.0]])
    b = np.array([[5.0, 15.0], [6.0, 9.0], [0.0, 8.0], [5.0, 9.0]])
    assert metrics.iou(a, b) == pytest.approx([1 / 3, 0.0, 0.25, 0.0])


def test_iou_without_length_is_zero():
    points = np.array([[3.0, 3.0], [3.0, 3.0], [6.0, 2.0]])
    assert (metrics.iou(points, np.array([[3.0, 3.0], [0.0, 9.0], [0.0, 9.0]])) == 0).all()


def test_best_moment_counts():
    windows = np.array([[[0.0, 10.0], [20.0, 30.0]]])
    moments = np.array([[[0.0, 5.0], [20.0, 30.0]]])
    assert metrics.best_iou(windows, moments) == pytest.approx(np.array([[0.5, 1.0]]))


def test_columns_are_named_and_reach_their_threshold():
    ranked = np.array([[0.5, 0.1, 0.1, 0.1, 0.9, 1.0], [0.49, 0.6, 0.0, 0.0, 0.0, 0.0]])
    values = dict(zip(metrics.names([0.5, 0.7]), metrics.per_query(ranked, [0.5, 0.7]).mean(axis=0), strict=True))
    assert values == pytest.approx({"R@0.5": 50.0, "R@0.7": 0.0, "mIoU": 49.5, "R5@0.5": 100.0, "R5@0.7": 50.0})


def test_field_evaluator():
    """The public evaluator of the JSON-lines form gives these four numbers for this submission."""
    lines = data("charades-sta", "lighthouse_charades_test_release.jsonl").read_text().splitlines()
    queries = [json.loads(line) for line in lines]
    thirds = np.array([[0.0, query["duration"] / 3, 2 * query["duration"] / 3] for query in queries])
    windows = np.stack([thirds[:, 1:], thirds[:, :2]], axis=1)  # the second third first: the score must mend it
    scores = np.tile([0.5, 0.9], (len(queries), 1))
    order = ranking.rank("score", windows, scores, scores)
    moments = np.array([query["relevant_windows"][:1] for query in queries])
    assert all(len(query["relevant_windows"]) == 1 for query in queries)
    ranked = np.take_along_axis(metrics.best_iou(windows, moments), order, axis=1)
    assert percent(metrics.per_query(ranked, [0.1, 0.3, 0.5, 0.7]))[:4] == ["51.61", "42.96", "30.46", "17.31"]


def test_equal_scores_keep_the_proposals_order():
    windows = np.zeros((1, 4, 2))
    scores = np.array([[1.0, 3.0, 3.0, 1.0]])
    assert ranking.rank("score", windows, scores, scores).tolist() == [[1, 2, 0, 3]]
    assert ranking.rank("loss", windows, scores, scores).tolist() == [[0, 3, 1, 2]]
    assert ranking.rank("vote", windows, scores, scores).tolist() == [[0, 3, 1, 2]]


def cpl_vote(windows: np.ndarray, errors: np.ndarray, weighted: bool) -> int:
    """The vote rule, one query, as loops."""
    count, first = len(windows), int(np.argmin(errors))
    total = [
        sum(
            metrics.iou(windows[i], windows[j]) * (metrics.iou(windows[first], windows[j]) if weighted else 1.0)
            for j in range(count)
        )
        for i in range(count)
    ]
    return int(np.argmax(total))


@pytest.mark.parametrize("vote_weight", ["iou", "one"])
def test_vote_rule(vote_weight: ranking.VoteWeight):
    rng = np.random.default_rng(0)
    windows = np.sort(rng.uniform(0, 30, (40, 8, 2)), axis=2)
    errors = rng.uniform(size=(40, 8))
    order = ranking.rank("vote", windows, -errors, errors, vote_weight)
    assert order[:, 0].tolist() == [cpl_vote(w, e, vote_weight == "iou") for w, e in zip(windows, errors, strict=True)]
    assert (np.sort(order, axis=1) == np.arange(8)).all()


def test_vote_weights_differ():
    windows = np.array([[[0.0, 4.0], [10.0, 20.0], [11.0, 21.0], [9.0, 19.0]]])
    errors = np.array([[0.0, 1.0, 2.0, 3.0]])  # the loss-best proposal is alone, the crowd is elsewhere
    assert ranking.rank("vote", windows, errors, errors, "iou")[0, 0] == 0
    assert ranking.rank("vote", windows, errors, errors, "one")[0, 0] == 1


def test_interval_of_a_mean_has_the_normal_width():
    values = np.random.default_rng(1).normal(5.0, 2.0, (2000, 1))
    low, high = bootstrap.intervals(values, samples=4000, confidence=0.95, seed=0)[0]
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_interval_does_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch):
    values = np.random.default_rng(1).normal(size=(50, 3))
    whole = bootstrap.intervals(values, samples=200, confidence=0.9, seed=3)
    monkeypatch.setattr(bootstrap, "CELLS", 7 * len(values))
    assert np.allclose(whole, bootstrap.intervals(values, samples=200, confidence=0.9, seed=3), rtol=0, atol=1e-12)
    assert not np.allclose(whole, bootstrap.intervals(values, samples=200, confidence=0.9, seed=4), rtol=0, atol=1e-3)


def test_difference_is_paired():
    """Two models that vary strongly over queries but differ by a constant: the difference is certain."""
    ours = np.random.default_rng(2).choice([0.0, 90.0], 100)
    interval = bootstrap.intervals(np.stack([ours + 1.0 - ours, ours], axis=1), samples=500, confidence=0.95, seed=0)
    assert interval[0] == pytest.approx([1.0, 1.0])
    assert bootstrap.excludes_zero(interval[0])
    assert not bootstrap.excludes_zero(np.array([-0.1, 3.0]))
    assert not bootstrap.excludes_zero(np.array([0.0, 3.0]))
    assert bootstrap.excludes_zero(np.array([-3.0, -0.1]))


def test_one_query_has_no_interval():
    assert bootstrap.intervals(np.ones((1, 2)), samples=10, confidence=0.95, seed=0) is None


def test_constant_is_the_best_on_training_moments(monkeypatch: pytest.MonkeyPatch):
    moments = np.array([[[0.1, 0.3]]] * 6 + [[[0.5, 0.9]]] * 4)
    fitted = video_free.fit_constant(moments, [0.9], steps=10)
    assert fitted[0] == pytest.approx([0.1, 0.3])
    monkeypatch.setattr(video_free, "CHUNK", 1)
    assert np.array_equal(fitted, video_free.fit_constant(moments, [0.9], steps=10))


def full(rows: np.ndarray) -> np.ndarray:
    return normalised(rows)


def cpl(rows: np.ndarray) -> np.ndarray:
    return normalised(rows[rows[:, 1] <= rows[:, 2]])


@pytest.mark.parametrize(
    ("split", "train_queries", "test_queries", "constant", "whole"),
    [
        (full, 12408, 3720, ["49.73", "30.65", "16.94"], ["35.00", "0.43", "0.00"]),
        (cpl, 10606, 3158, ["58.58", "36.10", "19.95"], ["34.26", "0.44", "0.00"]),
    ],
)
def test_video_free_charades(split, train_queries, test_queries, constant, whole):
    train, test, thresholds = split(charades("train")), split(charades("test")), [0.3, 0.5, 0.7]
    assert (len(train), len(test)) == (train_queries, test_queries)
    fitted = video_free.fit_constant(train, thresholds, steps=50)
    assert percent(video_free.constant_per_query(test, fitted, thresholds))[:3] == constant
    assert percent(video_free.whole_video_per_query(test, thresholds))[:3] == whole


def test_video_free_activitynet():
    train, test, thresholds = normalised(activitynet("train")), normalised(activitynet("val_2")), [0.1, 0.3, 0.5]
    assert len(test) == 17031
    fitted = video_free.fit_constant(train, thresholds, steps=20)
    assert percent(video_free.constant_per_query(test, fitted, thresholds))[:3] == ["82.57", "49.51", "29.06"]
    assert percent(video_free.whole_video_per_query(test, thresholds))[:3] == ["82.57", "48.02", "21.18"]


def test_video_free_tacos():
    train, test, thresholds = normalised(tacos("train")), normalised(tacos("test")), [0.3, 0.5, 0.7]
    fitted = video_free.fit_constant(train, thresholds, steps=50)
    assert percent(video_free.constant_per_query(test, fitted, thresholds))[:3] == ["9.80", "3.00", "1.12"]
    assert percent(video_free.whole_video_per_query(test, thresholds))[:3] == ["5.90", "1.55", "0.77"]
