"""How far a run is: per running job from its log, and of the whole from what its jobs have taken so far."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# Lines of a job's log as vidistill.base.progress words them: "videos: 13 of 197, 8/s, 22 s left", and of a training
# "epoch 3 of 30, loss 1.2, 40 s left" and "epoch 3 of 30, batches: 4 of 388, 0.3/s, 1,152 s left".
NUMBER = r"\d+(?:[,.]\d+)*"
COUNTED = re.compile(rf"(?:^|[ ,])(?P<what>[^:,]*?):? (?P<done>{NUMBER}) of (?P<total>{NUMBER})(?= |,|$)")
LEFT = re.compile(rf", ({NUMBER}) s left")
RATE = re.compile(rf", ({NUMBER})/s")
TAIL = 4096  # bytes of a log that are read
SHORT = 15.0  # seconds that a job takes whose time nobody measures


class Progress(NamedTuple):
    """How far a job is: "13 of 197 videos", and seconds left from when its log said so; None if it does not say."""

    text: str
    left: float | None


@dataclass
class Job:
    """A job that runs."""

    name: str
    rule: str
    share: float  # of what the run may use at once, 0 to 1
    since: float  # seconds since the epoch
    log: str | None
    is_heard: bool = False  # it writes to the terminal itself

    def progress(self, now: float) -> Progress | None:
        """How far it is by its log; None where that says nothing yet."""
        if not self.log:
            return None
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
                lines = file.read().decode(errors="replace").splitlines()
                age = max(0.0, now - os.fstat(file.fileno()).st_mtime)
        except OSError:
            return None
        found = next(filter(None, map(progress, reversed(lines))), None)
        if found is None or found.left is None:
            return found
        return found._replace(left=found.left - age if found.left > age else None)


@dataclass
class Run:
    """All jobs of a run.

    Attributes:
        cores, nodes: how much may run at once, on this machine or as submitted jobs.
        resources: name -> how much of it there is, such as GPUs.
        waiting: rule -> its jobs that have not begun.
        earlier: rule -> seconds that such jobs took in an earlier run.
        timed: rules whose jobs may take long; the others take seconds.
        took: rule -> seconds that its jobs took in this run.
    """

    cores: int | None = None
    nodes: int | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    earlier: dict[str, list[float]] = field(default_factory=dict)
    timed: set[str] = field(default_factory=set)
    took: dict[str, list[float]] = field(default_factory=dict)
    running: dict[int, Job] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)

    def plan(self, counts: Mapping[str, int]) -> None:
        """Take the number of jobs per rule."""
        self.waiting = {rule: count for rule, count in counts.items() if rule != "total"}

    def expect(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        """Take what is known of each job before it begins: rule, threads, whether it is timed, seconds of earlier."""
        for job in jobs:
            self.shares[job["rule"]] = self.share({"_cores": job["threads"]})
            if job["timed"]:
                self.timed.add(job["rule"])
            if job["seconds"] is not None:
                self.earlier.setdefault(job["rule"], []).append(job["seconds"])

    def share(self, needed: Mapping[str, Any]) -> float:
        """The largest share of any resource that a job with these resources takes."""
        if self.nodes:
            return 1 / self.nodes if self.nodes < sys.maxsize else 0.0
        there = {**self.resources, "_cores": self.cores}
        shares = [
            needed[name] / limit
            for name, limit in there.items()
            if isinstance(limit, int) and limit > 0 and isinstance(needed.get(name), int)
        ]
        return min(1.0, max(shares, default=1.0))

    def begin(self, number: int, job: Job) -> None:
        """A job begins, perhaps again."""
        if number not in self.failed:
            self.waiting[job.rule] = max(0, self.waiting.get(job.rule, 0) - 1)
        self.failed.discard(number)
        self.shares[job.rule] = job.share
        self.running[number] = job

    def end(self, number: int, at: float) -> None:
        """A job is done."""
        if job := self.running.pop(number, None):
            self.took.setdefault(job.rule, []).append(at - job.since)

    def fail(self, number: int) -> None:
        """A job has failed. Unless it begins again, nobody knows which of the others will run."""
        self.running.pop(number, None)
        self.failed.add(number)

    def left(self, now: float) -> str:
        """The time that is left of all, in words; empty as long as nothing is known about it.

        The sum of what each job needs, as a share of what the run may use at once; at least the longest job. Jobs that
        have not begun take as long as those of their rule took, or will have taken, or took in an earlier run.
        """
        known: list[tuple[float, float]] = []  # seconds, share
        unknown, totals = False, dict[str, list[float]]()
        for job in self.running.values():
            found = job.progress(now)
            left = found.left if found else None
            if left is not None:
                totals.setdefault(job.rule, []).append(now - job.since + left)
            elif (usual := self.usual(job.rule)) is not None:
                left = max(0.0, usual - (now - job.since))
            unknown |= left is None and (job.rule in self.timed or now - job.since > SHORT)
            known.append((left or 0.0, job.share))
        for rule, count in self.waiting.items():
            usual = self.usual(rule, totals)
            unknown |= usual is None and rule in self.timed and count > 0
            known += [(usual or 0.0, self.shares.get(rule, 1.0))] * count
        if not known or self.failed:
            return ""
        seconds = max(sum(one * share for one, share in known), max(one for one, _ in known))
        if unknown:
            return f"more than {duration(seconds)} left" if seconds >= 60 else ""
        return f"about {duration(seconds)} left" if seconds >= 60 else "less than a minute left"

    def usual(self, rule: str, totals: Mapping[str, list[float]] | None = None) -> float | None:
        """What a job of a rule takes, seconds; None if that is not known."""
        for source in (self.took, totals or {}, self.earlier):
            if times := source.get(rule):
                return sum(times) / len(times)
        return None

    def lines(self, now: float, width: int) -> Iterator[str]:
        """Each running job, how far it is, and the time that it needs."""
        for job in self.running.values():
            found = job.progress(now)
            left = f"{duration(found.left)} left" if found and found.left else f"for {duration(now - job.since)}"
            text = found.text if found else ""
            room = width - 5 - max(len(left), 13)  # all of the width but one column
            if len(text) > room // 2:
                text = ""
            name = cut(job.name, room - len(text) - 2)
            yield f"  {name}{text.rjust(room - len(name))}  {left.rjust(13)}"


def progress(line: str) -> Progress | None:
    """What a line of a log says about how far its job is; None if nothing."""
    counts = list(COUNTED.finditer(line))
    if not counts:
        return None
    (first, *nested), left, rate = counts, LEFT.search(line), RATE.search(line)
    seconds = number(left[1]) if left else None
    done, total = number(first["done"]), number(first["total"])
    if nested and seconds is not None and rate and number(rate[1]):  # what is left of this epoch, and those after it
        seconds += (total - done) * number(nested[0]["total"]) / number(rate[1])
    elif nested:
        seconds = None
    what = first["what"].rpartition(" ")[2] if " of " in first["what"] else first["what"].strip()
    if what == "epoch":
        return Progress(f"epoch {first['done']} of {first['total']}", seconds)
    return Progress(f"{first['done']} of {first['total']} {what}", seconds)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def duration(seconds: float) -> str:
    """Seconds as people say them: "40 s", "12 min", "2 h 5 min", "3 days"."""
    minutes = round(seconds / 60)
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 10 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"


def cut(text: str, width: int) -> str:
    """The text, its middle left out where it is longer."""
    if len(text) <= width:
        return text
    half = max(1, (width - 3) // 2)
    return f"{text[: width - 3 - half]}...{text[-half:]}"
