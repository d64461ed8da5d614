"""Average precision of segments: worked numbers, an independent evaluator, resampled videos."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from localised import plain
from vidistill.evaluation import average_precision, metrics, predictions
from vidistill.evaluation.average_precision import mean_average_precision, rank

TIOUS = [0.1, 0.3, 0.5, 0.7]
SEGMENTS = ["video_id", "label", "start", "end"]


def tables(truth: list[tuple], found: list[tuple]) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame(truth, columns=SEGMENTS), pd.DataFrame(found, columns=[*SEGMENTS, "score"])


def score(truth: pd.DataFrame, found: pd.DataFrame, tious: Sequence[float]) -> np.ndarray:
    videos = sorted({*truth["video_id"], *found["video_id"]})
    return mean_average_precision(rank(truth, found, videos, tious), np.ones((1, len(videos))))[0]


def random_tables(seed: int, videos: int = 9, grid: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Overlapping segments of three classes, and predictions near them and elsewhere, of five classes.

    Args:
        grid: whole numbers, so that scores, IoUs and whole segments tie.
    """
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for v in range(videos):
        for label in "abc"[: rng.integers(1, 4)]:
            for _ in range(rng.integers(1, 7)):
                start, length = rng.uniform(0, 40), rng.uniform(1, 12)
                truth.append((f"v{v}", label, start, start + length))
        for label in "abcde":
            near = [t for t in truth if t[:2] == (f"v{v}", label)] * 3
            for _, _, start, end in near:
                found.append((f"v{v}", label, *np.sort(np.array([start, end]) + rng.normal(0, 2, 2)), rng.normal(1)))
            for _ in range(rng.integers(0, 5)):
                found.append((f"v{v}", label, *np.sort(rng.uniform(0, 50, 2)), rng.normal()))
    both = tables(truth, found)
    return tuple(table.round(0) for table in both) if grid else both  # type: ignore[return-value]


def test_the_worked_numbers():
    truth = [("a", "x", 10, 20), ("a", "x", 30, 36), ("b", "x", 5, 9)]
    found = [
        ("a", "x", 11, 19, 0.9),
        ("a", "x", 12, 20, 0.8),
        ("b", "x", 4, 10, 0.7),
        ("a", "x", 31, 40, 0.6),
        ("c", "x", 0, 5, 0.5),
    ]
    assert score(*tables(truth, found), [0.5, 0.6, 0.7]) == pytest.approx([83.3333, 55.5556, 33.3333], abs=1e-4)


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_an_independent_evaluator_agrees(seed: int, grid: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(average_precision, "CELLS", 10 ** (seed + 1))
    truth, found = random_tables(seed, grid=grid)
    assert score(truth, found, TIOUS) == pytest.approx([plain(truth, found, t) for t in TIOUS], abs=1e-9)
    shuffled = truth.sample(frac=1, random_state=1), found.sample(frac=1, random_state=2)
    assert np.array_equal(score(*shuffled, TIOUS), score(truth, found, TIOUS))


def test_each_prediction_takes_the_best_segment_that_is_left():
    truth = [("v", "a", 0, 10), ("v", "a", 5, 15)]
    found = [("v", "a", 4, 14, 0.9), ("v", "a", 5, 15, 0.8), ("v", "a", 0, 10, 0.7)]
    # The first takes [5, 15], IoU 9/11. The second overlaps what is left by 1/3 alone.
    assert score(*tables(truth, found), [0.5]) == pytest.approx([100 * (1 / 2 * 1 + 1 / 2 * 2 / 3)])
    assert score(*tables(truth, found), [0.3]) == pytest.approx([100.0])


def test_of_segments_with_equal_iou_the_latest_is_taken_or_the_earliest():
    truth, found = tables(
        [("v", "a", 0, 10), ("v", "a", 12, 22)], [("v", "a", 6, 16, 0.9), ("v", "a", 0, 10, 0.8), ("v", "a", 5, 9, 0.7)]
    )
    for earliest, expected in ((False, 100.0), (True, 50.0)):
        ranked = rank(truth, found, ["v"], [0.25], earliest=earliest)
        assert mean_average_precision(ranked, np.ones((1, 1)))[0] == pytest.approx([expected])


def test_perfect_predictions_have_1_and_false_ones_below_change_nothing():
    truth, _ = random_tables(0)
    perfect = truth.assign(score=np.random.default_rng(0).uniform(1, 2, len(truth)))
    assert score(truth, perfect, TIOUS) == pytest.approx([100.0] * 4, abs=1e-12)
    _, others = random_tables(1)
    below = pd.concat([perfect, others.assign(score=others["score"] - 100)])
    assert score(truth, below, TIOUS) == pytest.approx([100.0] * 4, abs=1e-12)
    above = pd.concat([perfect, others.assign(score=others["score"] + 100)])
    assert (score(truth, above, TIOUS) < 90).all()


def test_a_class_without_predictions_counts_0_and_one_without_segments_does_not_count():
    truth = [("v", "a", 0, 10), ("w", "b", 0, 10)]
    found = [("v", "a", 0, 10, 1.0), ("v", "c", 0, 10, 2.0), ("u", "a", 0, 10, 0.5)]
    assert score(*tables(truth, found), [0.5]) == [50.0]
    assert score(*tables(truth, []), [0.5]) == [0.0]


def test_equal_scores_are_ordered_by_video_start_and_end():
    truth = [("b", "a", 0, 10), ("b", "a", 20, 30)]
    late, early, other = ("b", "a", 20, 30, 1.0), ("b", "a", 0, 5, 1.0), ("a", "a", 0, 9, 1.0)
    expected = [100 * (1 / 2 * 1 / 3)]  # the last of the three is right
    for found in ([late, early, other], [other, late, early]):
        assert score(*tables(truth, found), [0.6]) == pytest.approx(expected)


def test_weights_are_copies_of_videos():
    truth, found = random_tables(3)
    videos = sorted(set(truth["video_id"]))
    ranked = rank(truth, found, videos, TIOUS)
    weights = np.random.default_rng(0).integers(0, 4, (5, len(videos)))
    weights[0, :] = 0
    weights[0, 2] = 1
    for row in weights:
        copied = [
            pd.concat([table[table["video_id"] == v].assign(video_id=f"{v}-{n}") for v, n in copies(videos, row)])
            for table in (truth, found)
        ]
        assert mean_average_precision(ranked, row[None])[0] == pytest.approx(score(*copied, TIOUS), abs=1e-9)
    together = mean_average_precision(ranked, weights)
    assert np.array_equal(together, np.concatenate([mean_average_precision(ranked, row[None]) for row in weights]))
    none = average_precision.average_precision(ranked["a"], np.zeros((1, len(videos))))
    assert np.isnan(none).all()


def copies(videos: list[str], row: np.ndarray) -> list[tuple[str, int]]:
    return [(video, n) for video, count in zip(videos, row, strict=True) for n in range(count)]


def test_other_videos_are_left_out():
    truth, found = random_tables(5)
    some = sorted(set(truth["video_id"]))[:4]
    kept = [table[table["video_id"].isin(some)] for table in (truth, found)]
    assert np.array_equal(
        mean_average_precision(rank(truth, found, some, TIOUS), np.ones((1, 4)))[0], score(*kept, TIOUS)
    )


# Of lighthouse's evaluator (line/lighthouse 03ea7b4, training/standalone_eval) on the windows of the next test.
BY_LIGHTHOUSE = (70.5, 62.54, 62.54, 59.16, 53.72, 50.19, 44.79, 35.69, 26.2, 10.57, 47.59)
R1_BY_LIGHTHOUSE = {"R@0.3": 95.0, "R@0.5": 85.0, "R@0.7": 65.0}


def test_several_moments_per_query_are_counted_as_in_lighthouses_evaluator():
    """Windows of two-second clips, of which many have an IoU of exactly 0.5, up to 12 for a query."""
    rng = np.random.default_rng(0)
    truth, windows = [], np.zeros((40, 12, 2))
    for query in range(40):
        count = int(rng.integers(1, 5))
        moments = (np.sort(rng.choice(76, 2 * count, replace=False)) * 2).reshape(-1, 2).astype(float)
        for number in range(int(rng.integers(1, 13))):
            start, end = moments[int(rng.integers(count))]
            start, end = start + 2 * int(rng.integers(-2, 3)), end + 2 * int(rng.integers(-2, 3))
            windows[query, number] = max(0, start), max(end, max(0, start) + 2)
        truth.append(moments)
    tious = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    found = average_precision.of_windows(windows, truth, tious).mean(axis=0)
    assert tuple(found.round(2)) == BY_LIGHTHOUSE
    overlap = metrics.best_iou(windows, predictions.pad(truth))
    values = metrics.per_query(overlap, (0.3, 0.5, 0.7), best_of=False).mean(axis=0)
    assert dict(zip(metrics.names((0.3, 0.5, 0.7), best_of=False)[:3], values.round(2).tolist(), strict=False)) == (
        R1_BY_LIGHTHOUSE
    )
