"""Progress of a long loop for the log: amount done, rate, time left.

Lines such as "videos: 13 of 197, 8/s, 22 s left" and "epoch 3 of 30, ..., 40 s left" are what the terminal shows of a
running job (snakemake_logger_plugin_vidistill.remaining).
"""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)
EVERY = 10.0  # seconds


def plain(number: float) -> str:
    """1,234, or 0.21 for small numbers."""
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.2f}"


class Pace:
    """Log progress, every ten seconds at most.

    Args:
        what: the activity; the line begins with it.
        total: the amount to do; None if unknown.
        done: the amount an earlier run did, which does not count for the rate.
        show: formats a number.
    """

    def __init__(self, what: str, total: float | None, *, done: float = 0, show: Callable[[float], str] = plain):
        self.what, self.total, self.first, self.show = what, total, done, show
        self.started = self.logged = time.monotonic()

    def at(self, done: float) -> None:
        """Log the amount done, unless the last line is less than ten seconds old."""
        if time.monotonic() - self.logged >= EVERY:
            self.say(done)

    def say(self, done: float) -> None:
        """Log the amount done."""
        self.logged = time.monotonic()
        rate = (done - self.first) / max(self.logged - self.started, 1e-3)
        of = f" of {self.show(self.total)}" if self.total else ""
        left = f", {(self.total - done) / rate:,.0f} s left" if self.total and rate > 0 and done < self.total else ""
        log.info("%s: %s%s, %s/s%s", self.what, self.show(done), of, self.show(rate), left)
