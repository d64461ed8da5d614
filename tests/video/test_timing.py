from fractions import Fraction

import pytest

from vidistill.video.timing import WINDOW, resample, spans

F = Fraction


def sampled(times, fps, end=None):
    """The frames, named by their place in the decoder's order, at k/fps; the last lasts 1/25 s without `end`."""
    end = max(times, default=F(0)) + F(1, 25) if end is None else end
    shown = spans(((F(t), i) for i, t in enumerate(times)), F(end))
    return [i for i, n in resample(shown, F(fps)) for _ in range(n)]


@pytest.mark.parametrize("rate", [F(25), F(30000, 1001), F(24000, 1001), F(981, 50), F(1), F(240)])
def test_same_rate_is_the_identity_however_the_clock_rounds(rate):
    exact = [i / rate for i in range(500)]
    milliseconds = [F(round(t * 1000), 1000) for t in exact]
    assert sampled(exact, rate, 500 / rate) == list(range(500))
    assert sampled(milliseconds, rate, 500 / rate) == list(range(500))


def test_other_rates_take_the_frame_that_is_shown():
    times = [F(i, 30) for i in range(60)]
    expected = [max(j for j in range(60) if times[j] <= F(k, 25)) for k in range(50)]
    assert sampled(times, 25, 2) == expected
    assert sampled(times, 60, 2) == [k // 2 for k in range(120)]


def test_variable_rate_repeats_what_stands_still_and_skips_what_is_too_short():
    assert sampled([0, F(2, 10), F(21, 100), F(22, 100), F(5, 10)], 10, F(6, 10)) == [0, 0, 1, 3, 3, 4]


def test_the_first_picture_is_held_from_the_beginning():
    assert sampled([F(1, 5), F(6, 25), F(7, 25)], 25) == [0] * 6 + [1, 2]


def test_shuffled_times_are_sorted_and_the_decoders_order_kept():
    shuffled = [F(i, 25) for i in (0, 1, 3, 2, 4, 6, 5, 7, 9, 8)]
    assert sampled(shuffled, 25) == list(range(10))


def test_a_time_that_comes_far_too_late_does_not_turn_time_back():
    times = [F(i, 25) for i in range(3 * WINDOW)]
    times[-1] = times[1]
    got = sampled(times, 25)
    assert got == sorted(got)
    assert got[: 2 * WINDOW - 2] == list(range(2 * WINDOW - 2))


def test_one_frame_is_one_frame_whatever_its_length():
    assert sampled([F(0)], 25) == [0]
    assert sampled([F(0)], 25, 0) == [0]
    assert sampled([F(0)], 25, F(1, 5)) == [0] * 5
    assert sampled([], 25) == []


def test_spans_join_without_gaps():
    got = list(spans(zip([F(0), F(1, 2), F(1, 2), F(1)], range(4), strict=True), F(5, 4)))
    assert [(float(a), float(b), i) for a, b, i in got] == [(0, 0.5, 0), (0.5, 0.5, 1), (0.5, 1, 2), (1, 1.25, 3)]
