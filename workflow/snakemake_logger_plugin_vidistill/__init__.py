"""The short terminal, by Snakemake's interface for loggers: one line per job, one sentence per error.

Below them, on a terminal, how far each running job is, and the time left of it and of the whole. Where the output is
a file or a pipe, these lines come every ten minutes. Files and commands are in `.snakemake/log`. Dry runs and
`--verbose` keep Snakemake's own text, with shorter lists.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_vidistill.live import Block
from snakemake_logger_plugin_vidistill.reasons import shorter
from snakemake_logger_plugin_vidistill.remaining import Job, Run

# Imports nothing of vidistill: the clone that is run may be another than the installed one, and brings its own.
RED, YELLOW, PLAIN = "\033[31m", "\033[33m", "\033[0m"
SILENT = (LogEvent.SHELLCMD, LogEvent.WORKFLOW_STARTED, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED)
WIDTH = 80  # columns
SHOWN = 8  # running jobs
# Seconds from one look at the logs of the running jobs to the next: on a terminal, with many jobs there (on a cluster),
# and where each look adds lines to a file.
LOOK, LOOK_AT_MANY, LOOK_IN_FILE = 1.0, 15.0, 600.0
# Texts of Snakemake that have no event of their own. Should a version word them otherwise, they are shown.
CHATTER = (
    "Assuming unrestricted shared filesystem usage",
    "Using shell:",
    "Provided cores:",
    "Removing temporary output ",
    "Provided resources:",
    "Rules claiming more threads",
    "Conda environments: ignored",
    "Select jobs to execute",
    "Trying to restart job",
    "Shutting down, this might take some time",
    "RuleException:\nCalledProcessError",  # the command, which follows where no sentence says more
    "WorkflowError:\nAt least one job did not complete successfully",
)
FILES = 6  # files in a list
STOPPED = "Terminating processes on user request"
FAILED = "Exiting because a job execution failed"


class LogHandler(LogHandlerBase):
    """Writes to the terminal, in place of Snakemake's own handler."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False  # Snakemake then gives its own, which writes what is not shortened here
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.brief = not (self.common_settings.dryrun or self.common_settings.verbose)
        self.coloured = (
            not self.common_settings.nocolor and self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        )
        self.stopped = self.failed = False
        self.said: set[tuple[Any, ...]] = set()
        self.held = ""  # an error that Ctrl-C may have caused, until the next record tells
        self.run = Run()
        self.block = Block(self.stream) if self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" else None
        self.ended = threading.Event()
        self.looking: threading.Thread | None = None

    def emit(self, record: Any) -> None:
        try:
            held, self.held = self.held, ""
            try:
                self.follow(record)
            except (AttributeError, TypeError):  # another version's records: nothing is known about the time left
                self.run = Run()
            text = self.text(record)
            if held and not self.stopped:
                text = f"{held}\n{text}" if text else held
            if text:
                if self.block:
                    self.block.hide()
                colour = {"ERROR": RED, "CRITICAL": RED, "WARNING": YELLOW}.get(record.levelname)
                self.stream.write(f"{colour}{text}{PLAIN}\n" if self.coloured and colour else f"{text}\n")
                self.stream.flush()
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """The last lines of a run that did not come to its end."""
        self.ended.set()
        if self.looking:
            self.looking.join()
        if self.block:
            self.block.hide()
        if self.held:
            self.stream.write(f"{self.held}\n")
        if self.stopped or self.failed:
            end = "Stopped." if self.stopped else "Not finished; first mend what the errors above say."
            self.stream.write(f"{end} The same command goes on from here.\n")
            if self.stopped:  # interrupted in its event loop, Snakemake fails to close that, which helps nobody
                logging.getLogger("snakemake.logging").disabled = True
            self.stopped = self.failed = False
        super().close()

    def follow(self, record: Any) -> None:
        """Keep count of the jobs."""
        event, run = getattr(record, "event", None), self.run
        if event == LogEvent.RESOURCES_INFO:
            run.cores, run.nodes = getattr(record, "cores", run.cores), getattr(record, "nodes", run.nodes)
            run.resources = dict(getattr(record, "provided_resources", run.resources))
        elif event == LogEvent.RUN_INFO:
            run.plan(record.stats)
        elif expected := getattr(record, "expected_jobs", None):
            run.expect(expected)
        elif event == LogEvent.JOB_INFO:
            name, log = job(record.rule_name, record.wildcards), next(iter(record.log), None)
            share, is_heard = run.share(dict(record.resources.items())), (record.shellcmd or "").endswith(">&2")
            run.begin(record.jobid, Job(name, record.rule_name, share, record.created, log, is_heard))
            if self.brief and not self.looking and not self.common_settings.quiet:
                self.looking = threading.Thread(target=self.look, daemon=True)
                self.looking.start()
        elif event == LogEvent.JOB_FINISHED:
            run.end(record.job_id, record.created)
        elif event == LogEvent.JOB_ERROR:
            run.fail(record.jobid)

    def look(self) -> None:
        """Show how far the running jobs are, until the run ends."""
        while not self.ended.wait(self.pause):
            self.acquire()  # as is done around `emit`
            try:
                if self.run.running and not self.stopped:
                    self.show()
            finally:
                self.release()

    @property
    def pause(self) -> float:
        if not self.block:
            return LOOK_IN_FILE
        return LOOK if len(self.run.running) <= SHOWN else LOOK_AT_MANY

    def show(self) -> None:
        """Show or write how far the running jobs are. Nothing stands in the way of a job that writes itself."""
        if self.block and any(one.is_heard for one in self.run.running.values()):
            self.block.hide()
            return
        now, run = time.time(), self.run
        width = self.block.width if self.block else WIDTH
        lines = list(run.lines(now, width))
        if len(lines) > SHOWN:
            lines = [*lines[: SHOWN - 1], f"  and {len(lines) - SHOWN + 1} more"]
        if left := run.left(now):
            lines.insert(0, f"{clock()} {left}")
        if self.block:
            self.block.show(lines)
        else:
            self.stream.write("".join(f"{line}\n" for line in lines))
            self.stream.flush()

    def text(self, record: Any) -> str:
        """What the terminal shows of a record; nothing for what is in the log alone."""
        event, message = getattr(record, "event", None), str(record.msg or "")
        self.stopped |= message.startswith(STOPPED)
        if event in (LogEvent.JOB_INFO, LogEvent.JOB_ERROR):
            record = logging.makeLogRecord(record.__dict__)  # other handlers keep theirs
            record.output = shortened(record.output)
            record.reason = shorter(getattr(record, "reason", None))
        if not self.brief:
            return self.format(record)
        if event == LogEvent.JOB_INFO:
            return beginning(job(record.rule_name, record.wildcards), record.log)
        if event == LogEvent.JOB_ERROR:
            return self.job_error(record)
        if event == LogEvent.PROGRESS:
            left = self.run.left(record.created) if record.done < record.total else ""
            return f"{clock()} {self.format(record)}{', ' if left else ''}{left}"
        if message.startswith(FAILED):
            self.failed = True
            return ""
        return "" if event in SILENT or message.startswith(CHATTER) else self.format(record)

    def job_error(self, record: Any) -> str:
        """The sentences for the user where a job ended with some; all that Snakemake says otherwise.

        A job that Ctrl-C ended did nothing wrong; it may end before Snakemake itself hears of it.
        """
        if self.stopped or any(map(interrupted, record.log)):
            return ""
        if errors := [error for log in record.log for error in user_errors(log)]:
            if (said := (record.jobid, *errors)) in self.said:  # versions of Snakemake report one failure twice
                return ""
            self.said.add(said)
            return "\n".join([beginning(f"{record.rule_name} failed", record.log), *errors])
        record.input = shortened(record.input)
        if any(map(os.path.exists, record.log)):
            return self.format(record)
        self.held = self.format(record)  # it ended before it began
        return ""


def interrupted(log: str) -> bool:
    """Whether Ctrl-C ended the job with this log."""
    try:
        with open(log, "rb") as file:
            return file.read().rstrip().endswith(b"KeyboardInterrupt")
    except OSError:
        return False


def user_errors(log: str) -> list[str]:
    """The sentences that a job ended with, see vidistill.base.job_logs."""
    try:
        with open(log, encoding="utf-8", errors="replace") as lines:
            return [line.rstrip() for line in lines if line.startswith("error: ")]
    except OSError:
        return []


def shortened(files: Iterable[str] | None) -> list[str]:
    """The first of many files, and how many more there are; the demo has hundreds."""
    files = list(files or [])
    return files if len(files) <= FILES else [*files[: FILES - 1], f"and {len(files) - FILES + 1} more"]


def job(rule: str, wildcards: dict[str, str]) -> str:
    """A job as "train: demo, student, seed 0"."""
    numbered = ("shard", "seed")
    about = [f"{name} {value}" if name in numbered else value for name, value in wildcards.items() if name != value]
    return f"{rule}: {', '.join(about)}" if about else rule


def beginning(what: str, logs: Iterable[str]) -> str:
    """The time, what a job is, and its log, which gets a line of its own where all is too long for one."""
    line, log = f"{clock()} {what}", ", ".join(logs)
    if not log:
        return line
    return f"{line} ({log})" if len(line) + len(log) + 3 < WIDTH else f"{line}\n         {log}"


def clock() -> str:
    return time.strftime("%H:%M:%S")
