"""Long videos by windows: which, with which rows, and one answer from all."""

import math
from pathlib import Path

import numpy as np
import pytest

from vidistill.base.stage import UserError
from vidistill.commands import windows
from vidistill.commands.windows import Window
from vidistill.evaluation.metrics import iou


@pytest.mark.parametrize("duration", [3.0, 10.0])
def test_a_video_that_is_no_longer_than_a_window_is_one(duration: float) -> None:
    assert windows.divide(duration, 10.0) == [(0.0, duration)]
    values = np.arange(7.0)[:, None]
    rows = windows.features({"rgb": values}, duration, Window(0.0, duration))["rgb"]
    np.testing.assert_array_equal(rows, values)
    maps = np.array([[0.5, -1.0, 0.25]])
    np.testing.assert_array_equal(windows.join(maps, [Window(0.0, duration)]), maps[0])


@pytest.mark.parametrize("duration", [10.001, 12.0, 15.0, 25.0, 3600.0])
def test_windows_cover_a_video_and_overlap_by_half(duration: float) -> None:
    found = windows.divide(duration, 10.0)
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(duration)
    assert all(window.end - window.start == pytest.approx(10) for window in found)
    steps = np.diff([window.start for window in found])
    assert (steps > 0).all()
    assert steps.max() <= 5 + 1e-9
    assert len(found) < duration / 5 + 1
    assert windows.divide(duration, 10.0, rows=1) == [(0.0, duration)]


@pytest.mark.parametrize("count", [1, 3, 31, 1000])
def test_windows_have_equally_many_rows_at_their_times(count: int) -> None:
    duration, values = 100.0, np.linspace(0, 100, count, endpoint=False)[:, None]
    some = [windows.features({"a": values}, duration, window)["a"] for window in windows.divide(duration, 30.0)]
    assert len({len(rows) for rows in some}) == 1
    for window, rows in zip(windows.divide(duration, 30.0), some, strict=True):
        assert rows[0, 0] == pytest.approx(window.start, abs=max(100 / count, 1e-6))
    assert some[-1][-1] == values[-1]


def test_suppression_keeps_the_best_of_what_overlaps() -> None:
    random = np.random.default_rng(0)
    moments = np.sort(random.uniform(0, 50, (200, 2)), axis=1)
    scores = random.normal(size=200)
    kept = windows.suppress(moments, scores)
    assert scores[kept].tolist() == sorted(scores[kept], reverse=True)
    for place, k in enumerate(kept):
        assert (iou(moments[kept[:place]], moments[k]) <= windows.OVERLAP).all()
    for k in set(range(200)) - set(kept.tolist()):
        better = [j for j in kept if scores[j] > scores[k]]
        assert (iou(moments[better], moments[k]) > windows.OVERLAP).any()


def test_maps_of_windows_join_to_one_of_the_video() -> None:
    """A curve that every window sees alike comes back."""
    size = 40
    parts = windows.divide(47.0, 10.0)
    places = np.array([window.start + (np.arange(size) + 0.5) / size * 10 for window in parts])
    found = windows.join(np.sin(places), parts)
    assert len(found) == round(size * 4.7)
    expected = np.sin((np.arange(len(found)) + 0.5) / len(found) * 47.0)
    np.testing.assert_allclose(found, expected, atol=0.05)
    step = windows.join(np.array([np.zeros(size), np.ones(size)]), windows.divide(15.0, 10.0))
    assert (np.diff(step) >= 0).all()  # from what the first says to what the second says
    assert step[0] == 0
    assert step[-1] == 1


def test_a_length_is_given_or_the_models(caplog: pytest.LogCaptureFixture) -> None:
    assert windows.length(None, 30.0, Path("m")) == 30
    assert windows.length(7.0, 30.0, Path("m")) == 7
    assert windows.length(7.0, None, Path("m")) == 7
    assert not caplog.records
    assert windows.length(None, None, Path("m")) == math.inf
    assert "m does not say how long" in caplog.text
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(UserError, match="too short"):
            windows.length(wrong, 30.0, Path("m"))
