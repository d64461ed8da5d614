"""The time left of jobs and of a run, and the lines that show it."""

import io
import os
import sys
import time
from pathlib import Path

import pytest

from screens import screen
from snakemake_logger_plugin_vidistill import beginning, remaining
from snakemake_logger_plugin_vidistill.live import Block
from snakemake_logger_plugin_vidistill.remaining import Job, Run
from vidistill.base import progress as progress_of_stages
from vidistill.base import shards

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("line", "text", "left"),
    [
        ("12:02:54 videos: 13 of 197, demo-0036, 0.1 s each, 11 s left", "13 of 197 videos", 11),
        ("12:02:18 videos: 170 of 790, 17/s, 1,037 s left", "170 of 790 videos", 1037),
        ("12:02:18 videos: 790 of 790, 18/s", "790 of 790 videos", None),
        ("12:02:18 glove.txt, MB: 120 of 5,600, 40/s, 137 s left", "120 of 5,600 MB", 137),
        ("12:02:18 epoch 3 of 30, loss 0.1234, 40 s left", "epoch 3 of 30", 40),
        # 288 batches of this epoch and 27 epochs of 388 batches, 2 a second
        ("12:02:18 epoch 3 of 30, batches: 100 of 388, 2.00/s, 144 s left", "epoch 3 of 30", 144 + 27 * 194),
    ],
)
def test_a_line_of_a_log_tells_how_far_a_job_is(line: str, text: str, left: float | None) -> None:
    assert remaining.progress(line) == (text, left)


@pytest.mark.parametrize("line", ["TV-L1 by numba, cpu", "device: cpu, 2 threads", "7 of them", ""])
def test_other_lines_tell_nothing(line: str) -> None:
    assert remaining.progress(line) is None


def test_what_stages_log_is_understood(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    caplog.set_level("INFO")

    def make(video_id, group):
        group.attrs.update(status="ok", reason="")

    names = [f"v{n}" for n in range(3)]
    shards.fill(tmp_path / "0.h5", tmp_path / "work", names, make, fingerprint=dict.fromkeys(names, ""), attributes={})
    found = [one.text for one in map(remaining.progress, caplog.messages) if one]
    assert found == ["1 of 3 videos", "2 of 3 videos", "3 of 3 videos"]
    caplog.clear()
    monkeypatch.setattr(progress_of_stages, "EVERY", 0.0)
    progress_of_stages.Pace("epoch 1 of 2, batches", 10).at(5)
    (one,) = map(remaining.progress, caplog.messages)
    assert one.text == "epoch 1 of 2"
    assert one.left is not None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "1 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3540, "59 min"),
        (3600, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (40_000, "11 h"),
        (172_000, "2 days"),
        (900_000, "10 days"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert remaining.duration(seconds) == said


def log(folder: Path, *lines: str, age: float = 0.0) -> str:
    path = folder / f"{len(list(folder.iterdir()))}.log"
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, (NOW - age, NOW - age))
    return str(path)


def a_run(**waiting: int) -> Run:
    run = Run(cores=2)
    run.plan({**waiting, "total": sum(waiting.values())})
    return run


def test_the_whole_is_the_sum_of_what_is_left_shared_by_the_cores(tmp_path: Path) -> None:
    run = a_run(decode=4, train=3)
    run.expect([{"rule": "decode", "threads": 2, "timed": True, "seconds": None}] * 4)
    run.expect([{"rule": "train", "threads": 1, "timed": True, "seconds": None}] * 3)
    assert run.left(NOW) == ""  # nothing is known
    run.begin(1, Job("decode", "decode", run.share({"_cores": 2}), NOW - 300, None))
    run.end(1, NOW - 180)
    assert run.left(NOW) == "more than 6 min left"  # three of two minutes, and trainings that nobody has timed
    run.begin(2, Job("train", "train", run.share({"_cores": 1}), NOW - 100, log(tmp_path, "epoch 1 of 9, 500 s left")))
    # 3 * 120 s on both cores; 500 s and two of 600 s on one
    assert run.left(NOW) == "about 20 min left"
    run.end(2, NOW)
    assert run.left(NOW) == "about 8 min left"  # it took 100 s


def test_the_whole_takes_at_least_as_long_as_its_longest_job(tmp_path: Path) -> None:
    run = a_run(train=1)
    run.begin(1, Job("train", "train", 0.5, NOW, log(tmp_path, "epoch 1 of 9, 500 s left")))
    assert run.left(NOW) == "about 8 min left"


def test_an_earlier_run_counts_until_this_one_knows_better() -> None:
    run = a_run(train=2)
    run.expect([{"rule": "train", "threads": 2, "timed": True, "seconds": seconds} for seconds in (200.0, 400.0)])
    assert run.left(NOW) == "about 10 min left"
    run.begin(1, Job("train", "train", 1.0, NOW - 60, None))
    assert run.left(NOW) == "about 9 min left"
    run.end(1, NOW)
    assert run.left(NOW) == "about 1 min left"


def test_rules_that_take_seconds_hide_nothing() -> None:
    run = a_run(decode=1, moments=1)
    run.expect([{"rule": "decode", "threads": 2, "timed": True, "seconds": 20.0}])
    run.expect([{"rule": "moments", "threads": 1, "timed": False, "seconds": None}])
    assert run.left(NOW) == "less than a minute left"
    run.begin(1, Job("moments", "moments", 0.5, NOW, None))
    assert run.left(NOW + 5) == "less than a minute left"
    assert run.left(NOW + 30) == ""  # unless one does not


def test_after_a_failure_nobody_knows_unless_the_job_is_tried_again() -> None:
    run = a_run(decode=2)
    run.expect([{"rule": "decode", "threads": 2, "timed": True, "seconds": 100.0}] * 2)
    job = Job("decode", "decode", 1.0, NOW, None)
    run.begin(1, job)
    run.fail(1)
    assert run.left(NOW) == ""
    run.begin(1, job)
    assert run.left(NOW) == "about 3 min left"


def test_a_gpu_is_shared_like_the_cores_and_a_cluster_by_its_number_of_jobs() -> None:
    run = Run(cores=16, resources={"gpu": 2, "mem_mb": 1000})
    assert run.share({"_cores": 1, "gpu": 1, "mem_mb": 100, "tmpdir": "/tmp"}) == 0.5
    assert run.share({"_cores": 64}) == 1
    assert Run(nodes=10).share({"_cores": 4}) == 0.1
    assert Run(nodes=sys.maxsize).share({"_cores": 4}) == 0


def test_a_line_is_a_job_with_what_its_log_says(tmp_path: Path) -> None:
    run = a_run(extract=3, train=1)
    run.begin(
        1,
        Job("extract: demo/rgb, shard 0", "extract", 1.0, NOW - 9, log(tmp_path, "videos: 5 of 9, 70 s left", age=10)),
    )
    run.begin(2, Job("extract: demo/rgb, shard 1", "extract", 1.0, NOW - 130, log(tmp_path, "device: cpu")))
    run.begin(3, Job("train: " + "x" * 99, "train", 1.0, NOW, log(tmp_path, "epoch 2 of 9, loss 1, 3 s left", age=60)))
    run.begin(4, Job("extract: demo/rgb, shard 2", "extract", 1.0, NOW - 9, str(tmp_path / "absent.log")))
    lines = list(run.lines(NOW, 80))
    assert all(len(line) == 79 for line in lines), lines
    assert lines[0].split("  ")[1] == "extract: demo/rgb, shard 0"
    assert lines[0].endswith(" 5 of 9 videos     1 min left")  # 70 s, ten seconds ago
    assert lines[1].endswith("for 2 min")
    assert "epoch 2 of 9" in lines[2]
    assert " left" not in lines[2]  # what was left has passed
    assert lines[3].endswith("for 9 s")


def test_lines_change_below_those_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    block = Block(stream)
    stream.write("first\n")
    block.show(["a", "b" * 200, "c"])
    assert screen(stream.getvalue()) == ["first", "a", "b" * 79, "c"]
    block.show(["d"])
    assert screen(stream.getvalue()) == ["first", "d"]
    block.hide()
    stream.write("second\n")
    block.show(["e", "f"])
    assert screen(stream.getvalue()) == ["first", "second", "e", "f"]
    block.hide()
    assert screen(stream.getvalue()) == ["first", "second", ""]


def test_a_job_and_its_log_stand_on_lines_of_80_columns() -> None:
    short = beginning("demo", ["results/logs/demo.log"])
    assert short == f"{time.strftime('%H:%M:%S')} demo (results/logs/demo.log)"
    long = beginning("train: charades-cpl, student-no-local, seed 2", ["results/logs/train/charades-cpl/x/seed-2.log"])
    assert [len(line) < 80 for line in long.splitlines()] == [True, True]
