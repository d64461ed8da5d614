"""What a change reruns: exactly what depends on it. Counted by dry runs over one finished tiny run."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_runs import TINY, clone, run

RESULT = "results/student_demo.json"

EVALUATED = {"evaluate": 1}
TRAINED = {"train": 3, "export": 1, **EVALUATED}
VIDEOS_TO_RESULT = {"decode": 2, "flow": 2, "extract": 4, **TRAINED}
SETTINGS = [
    ({"evaluate": {"confidence": 0.9}}, EVALUATED),
    ({"max_bad_share": 0.5}, EVALUATED),
    ({"train": {"score_weight": 2.0}}, TRAINED),
    ({"models": {"student": {"train": {"distillation": {"weight": 0.5}}}}}, {"train": 1, **EVALUATED}),
    ({"models": {"teacher": {"train": {"loss": {"mutual_weight": 0.5}}}}}, {"train": 2, "export": 1, **EVALUATED}),
    ({"models": {"student": {"compare_with": ["teacher"]}}}, EVALUATED),
    ({"export": {"threads": 1}}, {"export": 1, "train": 1, **EVALUATED}),
    ({"vocabulary": {"max_words": 3}}, {"vocabulary": 1, **TRAINED}),
    ({"datasets": {"demo": {"beyond_duration": "drop"}}}, {"queries": 1, "vocabulary": 1, **TRAINED}),
    ({"collections": {"demo": {"decode": {"jpeg_quality": 90}}}}, VIDEOS_TO_RESULT),
    ({"keep_frames": True}, {}),
    ({"seeds": [0, 1]}, {"train": 3, "export": 1, **EVALUATED}),
    ({"datasets": {"other": {"collection": "charades", "annotations": {"train": ["nowhere.csv"]}}}}, {}),
]
CODE_EDITS = [
    ("evaluation/metrics.py", EVALUATED),
    ("losses.py", TRAINED),
    ("export.py", {"export": 1, "train": 1, **EVALUATED}),
    ("video/decode.py", VIDEOS_TO_RESULT),
    ("data/vocabulary.py", {"vocabulary": 1, **TRAINED}),
    ("plan.py", {}),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny demo's result, and the workflow's code in a copy that may be edited."""
    folder = tmp_path_factory.mktemp("it's a run")
    clone(folder / "clone")
    outcome = run(folder, RESULT, config=[TINY], root=folder / "clone")
    assert outcome.status == 0, outcome.text
    return folder


def reruns(folder: Path, **changes: Any) -> dict[str, int]:
    outcome = run(folder, RESULT, config=[TINY], changes=changes, root=folder / "clone", dry=True)
    assert outcome.status == 0, outcome.text
    return dict(outcome.jobs)


@contextmanager
def edited(path: Path, change: Callable[[str], str]) -> Iterator[None]:
    """A file edited, and as it was, its time included, afterwards."""
    text, times = path.read_text(), path.stat()
    path.write_text(change(text))
    assert path.read_text() != text
    try:
        yield
    finally:
        path.write_text(text)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_the_chain_runs_and_leaves_what_it_should(finished: Path) -> None:
    result = json.loads((finished / RESULT).read_text())
    assert (result["model"], result["dataset"], result["seeds"]) == ("student", "demo", [0])
    assert set(result["comparisons"]) >= {"baseline", "teacher"}
    assert 0 <= result["metrics"]["mIoU"]["mean"] <= 100
    assert result["coverage"]["splits"]["test"]["queries"]["used"] > 0
    left = {
        path.relative_to(finished / "results").parts[0] for path in (finished / "results").rglob("*") if path.is_file()
    }
    assert left == {"benchmarks", "demo", "features", "logs", "student_demo.json"}  # no frames, no flow, no .work


def test_the_number_of_cores_changes_no_byte(finished: Path, tmp_path: Path) -> None:
    outcome = run(tmp_path, RESULT, config=[TINY], cores=1)
    assert outcome.status == 0, outcome.text
    kinds = ("*.json", "*.jsonl", "*.parquet", "*.safetensors", "*.csv")
    files = [path.relative_to(finished) for kind in kinds for path in (finished / "results").rglob(kind)]
    assert len(files) > 15
    assert [str(name) for name in files if (finished / name).read_bytes() != (tmp_path / name).read_bytes()] == []


def test_nothing_changed_reruns_nothing(finished: Path) -> None:
    assert reruns(finished) == {}
    outcome = run(finished, RESULT, config=[TINY], root=finished / "clone")
    assert outcome.status == 0
    assert "Nothing to be done" in outcome.text


@pytest.mark.parametrize(("changes", "expected"), SETTINGS, ids=[str(row[0]) for row in SETTINGS])
def test_a_setting_reruns_what_reads_it(finished: Path, changes: dict[str, Any], expected: dict[str, int]) -> None:
    assert reruns(finished, **changes) == expected


@pytest.mark.parametrize(("file", "expected"), CODE_EDITS, ids=[row[0] for row in CODE_EDITS])
def test_code_reruns_what_reaches_it(finished: Path, file: str, expected: dict[str, int]) -> None:
    with edited(finished / "clone" / "workflow" / "mmdist" / file, lambda text: text + "\nADDED = 1\n"):
        assert reruns(finished) == expected


def test_comments_and_docstrings_rerun_nothing(finished: Path) -> None:
    with ExitStack() as edits:
        for path in sorted((finished / "clone" / "workflow" / "mmdist").rglob("*.py")):
            edits.enter_context(edited(path, lambda text: text.replace('"""', '"""Reworded: ', 1) + "\n# A comment.\n"))
        assert reruns(finished) == {}


def test_another_order_of_keys_reruns_nothing(finished: Path) -> None:
    def turned(part: Any) -> Any:
        return {key: turned(value) for key, value in reversed(part.items())} if isinstance(part, dict) else part

    path = finished / "clone" / "config" / "config.yaml"
    with edited(path, lambda text: yaml.safe_dump(turned(yaml.safe_load(text)), sort_keys=False)):
        assert reruns(finished) == {}


def test_an_edited_annotation_reruns_its_tables_and_what_follows(finished: Path) -> None:
    with edited(finished / "results" / "demo" / "annotations.csv", lambda text: text.replace("a ", "one ", 1)):
        assert reruns(finished) == {"queries": 1, "vocabulary": 1, **TRAINED}


def test_a_changed_video_reruns_its_shard_and_training(finished: Path) -> None:
    video = finished / "results" / "demo" / "videos" / "demo-0000.mp4"
    data, times = video.read_bytes(), video.stat()
    video.write_bytes(data + b"\0")
    try:
        tables = {"queries": 1, "vocabulary": 1}  # the demo's table has no durations, its videos are asked
        assert reruns(finished) == {"decode": 1, "flow": 1, "extract": 2, **tables, **TRAINED}
        video.write_bytes(data)  # written anew and the same: Snakemake looks into small files
        assert reruns(finished) == {}
    finally:
        video.write_bytes(data)
        os.utime(video, ns=(times.st_atime_ns, times.st_mtime_ns))
