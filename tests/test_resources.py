"""What jobs ask for: of this machine no more than it has, of a cluster what they need."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_sets import IDS, charades_tree
from workflow_runs import ROOT, TINY, clone, run

RESULT = "results/student_demo.json"


def memory(text: str, rule: str) -> set[int]:
    """MB that the jobs of a rule ask for, as a run lists them."""
    return {int(mb) for mb in re.findall(rf"rule {rule}:\n(?:    .*\n)*?    resources: .*?mem_mb=(\d+)", text)}


def test_locally_a_job_asks_for_no_more_memory_than_there_is(tmp_path: Path) -> None:
    clone(tmp_path / "clone")
    machine = tmp_path / "clone" / "workflow" / "vidistill" / "planning" / "machine.py"
    text, total = machine.read_text(), "return min(found) // 10**6"
    assert total in text
    machine.write_text(text.replace(total, "return 3000"))
    small = run(tmp_path, RESULT, root=tmp_path / "clone", dry=True)
    assert (memory(small.text, "decode"), memory(small.text, "extract")) == ({2000}, {3000})
    given = run(tmp_path, RESULT, "--resources", "mem_mb=90000", root=tmp_path / "clone", dry=True)
    assert (memory(given.text, "decode"), memory(given.text, "extract")) == ({2000}, {4000})
    machine.write_text(text.replace(total, "return 100"))
    made = run(tmp_path, "results/demo/annotations.csv", config=[TINY], root=tmp_path / "clone")
    assert made.status == 0, made.text  # as the only job at a time, with all of the memory
    log = "".join(path.read_text() for path in (tmp_path / ".snakemake" / "log").iterdir())
    assert memory(log, "demo") == {100}


@pytest.mark.parametrize(("device", "expected"), [("auto", "1"), ("cpu", "0")])
def test_submitted_jobs_ask_for_gpus_and_for_memory_that_this_machine_need_not_have(
    tmp_path: Path, device: str, expected: str
) -> None:
    clone(tmp_path / "clone")
    machine = tmp_path / "clone" / "workflow" / "vidistill" / "planning" / "machine.py"
    machine.write_text(machine.read_text().replace("return min(found) // 10**6", "return 3000"))
    profile = str(ROOT / "profiles" / "slurm")
    options = {"changes": {"device": device}, "root": tmp_path / "clone", "dry": True}
    outcome = run(tmp_path, RESULT, "--profile", profile, **options)
    assert outcome.status == 0, outcome.text
    for rule in ("flow", "extract", "train", "export"):
        asked = re.findall(rf"rule {rule}:\n(?:    .*\n)*?    resources: .*?gpu=(\d)", outcome.text)
        assert set(asked) == {expected}, rule
    assert memory(outcome.text, "extract") == {4000}


def test_memory_for_training_follows_its_features(tmp_path: Path) -> None:
    """One stream or two, of all videos that are named, 200 snippets of 1024 numbers, the second in half precision."""
    charades_tree(tmp_path)
    changes = {"collections": {"charades": {"streams": {"flow": {"dtype": "float16"}}}}}
    outcome = run(tmp_path, "results/student_charades.json", "--resources", "mem_mb=900000", changes=changes, dry=True)
    numbers = 200 * 1024 * len(IDS)
    assert memory(outcome.text, "train") == {5000 + 4 * numbers // 10**6, 5000 + 6 * numbers // 10**6}


@pytest.mark.parametrize(("width", "dtype"), [(128, "float32"), (4096, "float16")])
def test_memory_for_training_follows_the_width_of_features_that_exist(tmp_path: Path, width: int, dtype: str) -> None:
    """Though no setting says it."""
    charades_tree(tmp_path)
    with h5py.File(tmp_path / "features.h5", "w") as file:
        for video_id in IDS:
            file[video_id] = np.zeros((3, width), np.float32)
    own = {"extractor": "external", "source": "features.h5", "dtype": dtype}
    changes = {
        "collections": {"charades": {"streams": {"own": own}}},
        "datasets": {"charades": {"streams": {"rgb": "own"}}},
    }
    outcome = run(tmp_path, "results/baseline_charades.json", "--resources", "mem_mb=900000", changes=changes, dry=True)
    assert memory(outcome.text, "train") == {5000 + np.dtype(dtype).itemsize * 200 * width * len(IDS) // 10**6}
