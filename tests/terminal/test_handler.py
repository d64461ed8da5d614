"""The logger plugin fed with Snakemake's records, without a run."""

import io
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_vidistill import LogHandler

STARTED = 1_000_000.0


@pytest.fixture
def handler() -> LogHandler:
    settings = SimpleNamespace(
        printshellcmds=True,
        nocolor=True,
        quiet=None,
        debug_dag=False,
        verbose=False,
        show_failed_logs=True,
        stdout=False,
        dryrun=False,
    )
    found = LogHandler(settings, None)
    found.stream, found.block = io.StringIO(), None
    found.setFormatter(logging.Formatter("%(message)s"))
    return found


def tell(handler: LogHandler, event: LogEvent | None, text: str = "", at: float = 0.0, **about: Any) -> str:
    """What the terminal gets of a record, `at` seconds after the start."""
    handler.stream = io.StringIO()
    record = logging.makeLogRecord({"msg": text, "levelname": "INFO", "event": event, **about})
    record.created = STARTED + at
    handler.handle(record)
    return handler.stream.getvalue()


def job(number: int, at: float, **changes: Any) -> dict[str, Any]:
    about = {"jobid": number, "rule_name": "decode", "wildcards": {"shard": str(number)}, "log": [], "reason": ""}
    about |= {"output": [], "input": [], "shellcmd": "decode > log 2>&1", "resources": {"_cores": 1}}
    return {"at": at, **about, **changes}


def test_progress_has_the_time_left_of_the_run(handler: LogHandler) -> None:
    tell(handler, LogEvent.RESOURCES_INFO, "Provided cores: 2", cores=2)
    tell(handler, LogEvent.RUN_INFO, "Job stats", stats={"decode": 4, "total": 4})
    assert tell(handler, None, expected_jobs=[{"rule": "decode", "threads": 1, "timed": True, "seconds": None}]) == ""
    assert "decode: shard 1" in tell(handler, LogEvent.JOB_INFO, **job(1, 0.0))
    assert tell(handler, LogEvent.JOB_FINISHED, at=300.0, job_id=1) == ""
    said = tell(handler, LogEvent.PROGRESS, "1 of 4 steps (25%) done", at=300.0, done=1, total=4)
    assert said.rstrip().endswith("1 of 4 steps (25%) done, about 8 min left")  # three of 300 s, two at a time
    last = tell(handler, LogEvent.PROGRESS, "4 of 4 steps (100%) done", at=900.0, done=4, total=4)
    assert last.rstrip().endswith("done")


def test_a_record_of_another_version_is_still_shown(handler: LogHandler) -> None:
    about = job(1, 0.0)
    del about["resources"], about["shellcmd"]
    assert "decode: shard 1" in tell(handler, LogEvent.JOB_INFO, **about)
    assert "done" in tell(handler, LogEvent.PROGRESS, "1 of 4 steps (25%) done", done=1, total=4)


def test_running_jobs_are_written_to_a_file_too(handler: LogHandler) -> None:
    tell(handler, LogEvent.RUN_INFO, "Job stats", stats={"decode": 20, "total": 20})
    for number in range(12):
        tell(handler, LogEvent.JOB_INFO, **job(number, 0.0))
    handler.stream = io.StringIO()
    handler.show()
    lines = handler.stream.getvalue().splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("  decode: shard 0")
    assert lines[-1] == "  and 5 more"
    assert all(len(line) < 80 for line in lines)


def test_nothing_stands_in_the_way_of_a_job_that_writes_itself(handler: LogHandler) -> None:
    tell(handler, LogEvent.RUN_INFO, "Job stats", stats={"evaluate": 1, "total": 1})
    shown: list[list[str]] = []
    handler.block = SimpleNamespace(show=shown.append, hide=lambda: None, width=80)  # type: ignore[assignment]
    tell(handler, LogEvent.JOB_INFO, **job(1, 0.0))
    handler.show()
    assert len(shown) == 1
    tell(handler, LogEvent.JOB_INFO, **job(2, 0.0, shellcmd="evaluate 2>&1 | tee log >&2"))
    handler.show()
    assert len(shown) == 1
