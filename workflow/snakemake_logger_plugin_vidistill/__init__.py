"""The short terminal, by Snakemake's interface for loggers: one line per job, one sentence per error.

Files and commands are in `.snakemake/log`. Dry runs and `--verbose` keep Snakemake's own text, with shorter lists.
"""

import logging
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_vidistill.reasons import shorter

# Imports nothing of vidistill: the clone that is run may be another than the installed one, and brings its own.
RED, YELLOW, PLAIN = "\033[31m", "\033[33m", "\033[0m"
SILENT = (LogEvent.SHELLCMD, LogEvent.WORKFLOW_STARTED, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED)
# Texts of Snakemake that have no event of their own. Should a version word them otherwise, they are shown.
CHATTER = (
    "Assuming unrestricted shared filesystem usage",
    "Using shell:",
    "Provided cores:",
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

    def emit(self, record: Any) -> None:
        try:
            held, self.held = self.held, ""
            text = self.text(record)
            if held and not self.stopped:
                text = f"{held}\n{text}" if text else held
            if text:
                colour = {"ERROR": RED, "CRITICAL": RED, "WARNING": YELLOW}.get(record.levelname)
                self.stream.write(f"{colour}{text}{PLAIN}\n" if self.coloured and colour else f"{text}\n")
                self.stream.flush()
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """The last lines of a run that did not come to its end."""
        if self.held:
            self.stream.write(f"{self.held}\n")
        if self.stopped or self.failed:
            end = "Stopped." if self.stopped else "Not finished; first mend what the errors above say."
            self.stream.write(f"{end} The same command goes on from here.\n")
            if self.stopped:  # interrupted in its event loop, Snakemake fails to close that, which helps nobody
                logging.getLogger("snakemake.logging").disabled = True
            self.stopped = self.failed = False
        super().close()

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
            return f"{clock()} {job(record.rule_name, record.wildcards)}{in_brackets(record.log)}"
        if event == LogEvent.JOB_ERROR:
            return self.job_error(record)
        if event == LogEvent.PROGRESS:
            return f"{clock()} {self.format(record)}"
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
            return "\n".join([f"{clock()} {record.rule_name} failed{in_brackets(record.log)}", *errors])
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


def in_brackets(files: Iterable[str]) -> str:
    return f" ({', '.join(files)})" if files else ""


def clock() -> str:
    return time.strftime("%H:%M:%S")
