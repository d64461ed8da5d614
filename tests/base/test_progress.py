"""How far a loop is, in words."""

import pytest

from vidistill.base import progress
from vidistill.base.progress import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_it_says_how_much_how_fast_and_how_long(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    one = Pace("batches", 388)
    for second, done in ((3, 1), (12, 4), (20, 7), (600, 388)):
        clock[0] = second
        one.at(done)
    assert caplog.messages == ["batches: 4 of 388, 0.33/s, 1,152 s left", "batches: 388 of 388, 0.65/s"]


def test_what_an_earlier_run_did_does_not_count_for_the_rate(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    one = Pace("bytes", 1000, done=900, show=lambda number: f"<{number:.0f}>")
    clock[0] = 20
    one.at(920)
    assert caplog.messages == ["bytes: <920> of <1000>, <1>/s, 80 s left"]


def test_an_unknown_total_has_no_end(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    one = Pace("lines", None)
    clock[0] = 10
    one.at(20000)
    assert caplog.messages == ["lines: 20,000, 2,000/s"]
