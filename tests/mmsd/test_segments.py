import numpy as np
import pytest

from vidistill.mmsd import segments
from vidistill.mmsd.segments import Segment
from vidistill.settings.localise import SegmentSettings
from vidistill.training.native import Stored, features

Z = np.array([0.0001, 0.004, 0.009, 0.02, 0.012, 0.0002, 0.0001, 0.006, 0.007, 0.0001])
RELEASED = SegmentSettings()


def found(z, **changes):
    return segments.find(np.asarray(z, dtype=float), SegmentSettings(**changes))


def test_the_thresholds_are_the_released_ones():
    assert RELEASED.thresholds == pytest.approx(np.arange(0.0003, 0.01, 0.0005))


def test_segments_are_the_worked_example():
    assert found(Z) == [(1, 6, pytest.approx(0.00894)), (7, 10, pytest.approx(0.0042667, abs=1e-7))]


def test_doubled_scores_and_thresholds_give_the_same_segments():
    once, twice = found(Z), found(2 * Z, thresholds=tuple(2 * t for t in RELEASED.thresholds))
    assert [x[:2] for x in twice] == [x[:2] for x in once]
    assert [x.score for x in twice] == pytest.approx([2 * x.score for x in once])


def test_exact_boundaries_are_those_of_the_run():
    assert found(Z, boundary="exact") == [
        (1, 5, pytest.approx((0.004 + 0.009 + 0.02 + 0.012) / 4 - (0.0001 + 0.0002) / 2)),
        (7, 9, pytest.approx(0.0065 - 0.0001)),
    ]


def test_a_run_to_the_videos_end_has_no_margin_there_and_ends_with_the_video():
    z = [0.001, 0.001, 0.5, 0.5, 0.5, 0.5]
    assert found(z, thresholds=(0.1,)) == [(2, 7, pytest.approx(0.5 - 0.001))]
    one = features([Stored(np.zeros((6, 2)))], 12.0, "native", "none")
    assert segments.seconds(Segment(2, 7, 0.0), one) == (4.0, 12.0)
    assert segments.seconds(Segment(2, 5, 0.0), one) == (4.0, 10.0)


def test_a_video_that_is_all_foreground_has_no_margin():
    assert found([0.4] * 5, thresholds=(0.1,)) == [(0, 6, pytest.approx(0.4))]


def test_runs_of_one_snippet_are_none_unless_wanted():
    assert found([0.0, 0.9, 0.0, 0.0], thresholds=(0.1,)) == []
    assert [x[:2] for x in found([0.0, 0.9, 0.0, 0.0], thresholds=(0.1,), min_snippets=1)] == [(1, 3)]


def test_a_segment_falls_by_the_share_of_itself_that_is_covered():
    # Of 4 + 1 snippets, [2, 6) shares [2, 4] with [0, 4): three, as both ends count. Of 9 + 1, [2, 11) shares three.
    best = Segment(0, 4, 0.9)
    assert segments.suppress([best, Segment(2, 6, 0.8)], 0.4) == [best]
    assert segments.suppress([best, Segment(2, 11, 0.8)], 0.4) == [best, Segment(2, 11, 0.8)]
    assert segments.suppress([best, Segment(3, 7, 0.8)], 0.4) == [best, Segment(3, 7, 0.8)]  # two of five


def test_what_was_suppressed_suppresses_nothing():
    first, second, third = Segment(0, 10, 0.9), Segment(4, 14, 0.8), Segment(11, 21, 0.7)
    assert segments.suppress([first, second, third], 0.4) == [first, third]
    assert segments.suppress([second, third], 0.2) == [second]


def test_of_equal_segments_the_earlier_then_the_shorter_is_first():
    z = [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0]
    assert [x.start for x in found(z, thresholds=(0.1,), margin=0.0, boundary="exact")] == [0, 6]
    twice = found([0.5, 0.5, 0.5, 0.0], thresholds=(0.1, 0.2), margin=0.0)
    assert len(twice) == 1


def brute_force(z, s):
    """The released procedure, step by step."""
    proposals = []
    for threshold in s.thresholds:
        start = None
        for t in range(len(z) + 1):
            above = t < len(z) and z[t] > threshold
            if above and start is None:
                start = t
            if not above and start is not None:
                n = t - start
                if n >= 2:
                    left = list(range(max(0, int(start - 0.25 * n)), start))
                    right = list(range(t + 1, min(len(z) - 1, int(t + 0.25 * n + 1))))
                    outer = np.mean(z[left + right]) if left + right else 0
                    proposals.append((start, t + 1, np.mean(z[start : t + 1]) - outer))
                start = None
    kept = []
    for start, end, score in sorted(proposals, key=lambda x: (-x[2], x[0], x[1])):
        if all(max(0, min(e, end) - max(s, start) + 1) / (end - start + 1) <= 0.4 for s, e, _ in kept):
            kept.append((start, end, score))
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_random_scores_give_what_the_released_procedure_gives(seed):
    random = np.random.default_rng(seed)
    z = np.convolve(random.uniform(0, 0.02, 120), np.ones(5) / 5, "same") * (random.uniform(size=120) > 0.15)
    expected = brute_force(z, RELEASED)
    assert len(expected) > 5
    assert found(z) == [(start, end, pytest.approx(score)) for start, end, score in expected]
