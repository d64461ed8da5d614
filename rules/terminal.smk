"""What a run says on the terminal: a line a job. All of it, files and commands, is in .snakemake/log as before."""

import logging
import time

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

FILES_TOLD = 6  # files told of a job; the demo has hundreds
CHATTER = "Select jobs to execute"
IN_FULL = (LogEvent.JOB_INFO, LogEvent.JOB_ERROR)


def shortened(files):
    """The first of many files, and how many more there are."""
    files = list(files or [])
    return files if len(files) <= FILES_TOLD else [*files[: FILES_TOLD - 1], f"and {len(files) - FILES_TOLD + 1} more"]


class Terminal(logging.Formatter):
    """Snakemake's formatter, for people who watch: given fewer files, asked for less.

    Dry runs and --verbose keep what they say, but for long lists of what a job makes.
    """

    def __init__(self, handler, brief):
        super().__init__()
        self.handler = handler
        self.inner = handler.formatter
        self.brief = brief

    def format(self, record):
        event = getattr(record, "event", None)
        if event in IN_FULL:
            record = logging.makeLogRecord(record.__dict__)  # other handlers keep theirs
            record.output = shortened(record.output)
            reason = getattr(record, "reason", None)
            if reason and len(str(reason)) > 500:
                record.reason = f"{str(reason)[:400]} ... ({str(reason).count(', ') + 1} in all)"
        if not self.brief:
            return self.inner.format(record)
        self.handler.last_msg_was_job_info = True  # or it puts an empty line before each job
        if event == LogEvent.JOB_INFO:
            return job_started(record)
        if event == LogEvent.JOB_ERROR:
            record.input = shortened(record.input)
        if event in (LogEvent.SHELLCMD, LogEvent.WORKFLOW_STARTED, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED):
            return ""
        if event == LogEvent.PROGRESS:
            return f"{clock()} {self.inner.format(record)}"
        if event in (None, LogEvent.RUN_INFO) and str(record.msg).startswith(CHATTER):
            return ""
        return self.inner.format(record)


def job_started(record):
    about = ", ".join(f"{name} {value}" for name, value in dict(record.wildcards).items())
    logs = f" ({', '.join(record.log)})" if record.log else ""
    return f"{clock()} {record.rule_name}{': ' if about else ''}{about}{logs}"


def clock():
    return time.strftime("%H:%M:%S")


def shorten_terminal():
    brief = not (workflow.output_settings.dryrun or workflow.output_settings.verbose)
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler" and not isinstance(handler.formatter, Terminal):
            handler.setFormatter(Terminal(handler, brief))


shorten_terminal()
