"""Times as text, and a progress line on terminals."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TextIO

EVERY = 0.5  # seconds


class Watch(Protocol):
    """Returns a context for a step `what`; `so_far` tells its progress."""

    def __call__(self, what: str, so_far: Callable[[], str]) -> AbstractContextManager[None]: ...


def unwatched(what: str, so_far: Callable[[], str]) -> AbstractContextManager[None]:
    """A `Watch` that reports nothing."""
    return nullcontext()


def text(seconds: float, tenths: bool = False) -> str:
    """Seconds as m:ss, or h:mm:ss from an hour on; optionally with tenths."""
    minutes, rest = divmod(round(seconds * 10) if tenths else round(seconds) * 10, 600)
    under = f"{rest / 10:04.1f}" if tenths else f"{rest // 10:02d}"
    return f"{minutes}:{under}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{under}"


@contextmanager
def running(what: str, so_far: Callable[[], str], stream: TextIO | None = None) -> Iterator[None]:
    """Show `what`, `so_far()` and elapsed seconds while the block runs; then clear the line.

    Args:
        stream: default stderr; nothing is written if it is not a terminal.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield
        return
    started, ended = time.monotonic(), threading.Event()

    def show() -> None:
        while not ended.wait(EVERY):
            stream.write(f"\r\x1b[K{what}: {so_far()}, {time.monotonic() - started:.0f} s")
            stream.flush()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        stream.write("\r\x1b[K")
        stream.flush()


def of_many(watch: Watch, what: str, done: int, total: int, since: float) -> Watch:
    """A `Watch` that says before each step which of `total` things it belongs to, and how much time all need.

    Args:
        done: how many are finished since `since`, a time of `time.monotonic`.
    """
    passed = time.monotonic() - since
    left = f", {text(passed / done * (total - done))} left" if done else ""
    before = f"{what} {done + 1} of {total}{left}; " if total > 1 else ""
    return lambda step, so_far: watch(f"{before}{step}", so_far)
