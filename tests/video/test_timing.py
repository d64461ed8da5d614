from fractions import Fraction

import pytest

from mmdist.video.timing import WINDOW, mended, resample, spans

F = Fraction


def at(times, durations=None):
    """Frames named by their place in the decoder's order."""
    durations = durations or [F(1, 25)] * len(times)
    return [(None if t is None else F(t), d, i) for i, (t, d) in enumerate(zip(times, durations, strict=True))]


def sampled(times, fps, durations=None, max_gap=60):
    return [i for i, n in resample(spans(mended(at(times, durations), F(max_gap))), F(fps)) for _ in range(n)]


@pytest.mark.parametrize("rate", [F(25), F(30000, 1001), F(24000, 1001), F(981, 50), F(1), F(240)])
def test_same_rate_is_the_identity_however_the_clock_rounds(rate):
    duration = [1 / rate] * 500
    exact = [i / rate for i in range(500)]
    milliseconds = [F(round(t * 1000), 1000) for t in exact]
    assert sampled(exact, rate, duration) == list(range(500))
    assert sampled(milliseconds, rate, duration) == list(range(500))


def test_other_rates_take_the_frame_that_is_shown():
    times = [F(i, 30) for i in range(60)]
    expected = [max(j for j in range(60) if times[j] <= F(k, 25)) for k in range(50)]
    assert sampled(times, 25, [F(1, 30)] * 60) == expected
    assert sampled(times, 60, [F(1, 30)] * 60) == [k // 2 for k in range(120)]


def test_variable_rate_repeats_what_stands_still_and_skips_what_is_too_short():
    assert sampled([0, F(2, 10), F(21, 100), F(22, 100), F(5, 10)], 10, [F(1, 10)] * 5) == [0, 0, 1, 3, 3, 4]


def test_times_count_from_the_first_frame_even_when_it_is_not_the_first_in_the_file():
    assert sampled([F(5), F(5) + F(1, 25), F(5) + F(2, 25)], 25) == [0, 1, 2]
    assert sampled([F(-2, 25), F(-1, 25), F(0)], 25) == [0, 1, 2]


def test_shuffled_times_are_sorted_and_the_decoders_order_kept():
    shuffled = [F(i, 25) for i in (1, 2, 4, 3, 5, 7, 6, 8, 10, 9)]
    assert sampled(shuffled, 25) == list(range(10))


def test_a_time_that_comes_far_too_late_does_not_turn_time_back():
    times = [F(i, 25) for i in range(3 * WINDOW)]
    times[-1] = times[1]
    got = sampled(times, 25)
    assert got == sorted(got)
    assert got[: 2 * WINDOW - 2] == list(range(2 * WINDOW - 2))


def test_frames_without_times_follow_their_predecessors():
    assert sampled([None] * 5, 25) == [0, 1, 2, 3, 4]
    assert sampled([0, F(1, 25), None, None, F(4, 25)], 25) == [0, 1, 2, 3, 4]
    assert sampled([None, F(7), F(7) + F(1, 25)], 25) == [0, 1, 2]


@pytest.mark.parametrize("jump", [F(2**40), F(-(2**40)), F(61)])
def test_damaged_times_neither_shift_nor_swell_the_rest(jump):
    times = [F(i, 25) for i in range(40)]
    assert sampled([*times[:20], times[20] + jump, *times[21:]], 25) == list(range(40)), "one frame"
    assert sampled(times[:20] + [t + jump for t in times[20:]], 25) == list(range(40)), "a discontinuity"
    assert sampled([times[0] + jump, *times[1:]], 25) == list(range(40)), "the first frame"


def test_a_pause_below_the_limit_is_kept():
    assert sampled([0, F(10), F(10) + F(1, 25)], 25) == [0] * 250 + [1, 2]


def test_one_frame_is_one_frame_whatever_its_length():
    assert sampled([F(3)], 25) == [0]
    assert sampled([F(3)], 25, [F(0)]) == [0]
    assert sampled([F(3)], 25, [F(1, 5)]) == [0] * 5
    assert sampled([], 25) == []


def test_spans_join_without_gaps():
    got = list(spans(mended(at([F(3), F(7, 2), F(7, 2), F(4)], [F(1, 4)] * 4), F(60))))
    assert [(float(a), float(b), i) for a, b, i in got] == [(0, 0.5, 0), (0.5, 0.5, 1), (0.5, 1, 2), (1, 1.25, 3)]
