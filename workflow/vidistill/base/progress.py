"""Progress of a long loop for the log: amount done, rate, time left."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)
EVERY = 10.0  # seconds


def plain(number: float) -> str:
    """1,234, and 0.21 where a whole number would say too little."""
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.2f}"


class Pace:
    """Says it in the log, every ten seconds at most.

    Args:
        what: is being done, as the line begins.
        total: how much there is to do; None when unknown.
        done: what an earlier run did, which says nothing about the rate.
        show: how a number is written.
    """

    def __init__(self, what: str, total: float | None, *, done: float = 0, show: Callable[[float], str] = plain):
        self.what, self.total, self.first, self.show = what, total, done, show
        self.started = self.said = time.monotonic()

    def at(self, done: float) -> None:
        """So much is done."""
        if time.monotonic() - self.said >= EVERY:
            self.say(done)

    def say(self, done: float) -> None:
        """So much is done, said in any case."""
        self.said = time.monotonic()
        rate = (done - self.first) / max(self.said - self.started, 1e-3)
        of = f" of {self.show(self.total)}" if self.total else ""
        left = f", {(self.total - done) / rate:,.0f} s left" if self.total and rate > 0 and done < self.total else ""
        log.info("%s: %s%s, %s/s%s", self.what, self.show(done), of, self.show(rate), left)
