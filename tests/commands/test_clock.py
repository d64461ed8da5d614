import io
import time

import pytest

from vidistill.commands import clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_seconds_as_people_read_them() -> None:
    found = [clock.text(seconds, tenths=True) for seconds in (0, 9.96, 59.96, 75, 3599.99, 3661.2)]
    assert found == ["0:00.0", "0:10.0", "1:00.0", "1:15.0", "1:00:00.0", "1:01:01.2"]
    assert [clock.text(seconds) for seconds in (0, 59.6, 600, 3600)] == ["0:00", "1:00", "10:00", "1:00:00"]


def test_a_terminal_sees_what_is_done_and_then_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "EVERY", 0.01)
    terminal = Terminal()
    with clock.running("decoding", lambda: "7 frames", terminal):
        deadline = time.monotonic() + 10
        while "decoding: 7 frames, 0 s" not in terminal.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "decoding: 7 frames, 0 s" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_file_sees_nothing() -> None:
    file = io.StringIO()
    with clock.running("decoding", lambda: "7 frames", file):
        pass
    assert file.getvalue() == ""
