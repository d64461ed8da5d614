"""All annotation files of a data set, read while Snakemake parses; ids of videos, names of splits."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from vidistill.base import settings as settings_module
from vidistill.base.stage import UserError
from vidistill.data.annotations import sources
from vidistill.data.annotations.annotation import split_name, video_id
from vidistill.data.annotations.sources import QueriesSettings


def settings(**changes: Any) -> QueriesSettings:
    values = {"dataset": "mine", "format": "table", "durations": [], "beyond_duration": "clamp", **changes}
    return settings_module.parse(QueriesSettings, json.dumps(values))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", "a"),
        ("a.mp4", "a"),
        ("x/a.b.MKV", "a.b"),
        ("c:\\x\\a.avi", "a"),
        ("v1.5", "v1.5"),
        ("x/a", "x/a"),
        (".mp4", ".mp4"),
    ],
)
def test_a_video_id_is_a_file_name_without_suffix(name: str, expected: str) -> None:
    assert video_id(name) == expected


def test_split_names() -> None:
    assert [split_name(name, "x") for name in (" Train", "TEST", "validation", "dev")] == [
        "train",
        "test",
        "val",
        "val",
    ]


def test_parse_time_needs_neither_numpy_nor_pandas() -> None:
    script = (
        "import sys; from vidistill.data.annotations import sources; "
        "print(*{'numpy', 'pandas', 'torch', 'pyarrow'} & {m.split('.')[0] for m in sys.modules})"
    )
    environment = {"PYTHONPATH": str(ROOT / "workflow")}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.split() == []


def test_video_ids_and_rows_over_several_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video,sentence,split\nb.mp4,x,test\na,,\n")
    (tmp_path / "c.jsonl").write_text('{"video": "c", "sentence": "y"}\n')
    (tmp_path / "length.csv").write_text("id,length\nb,7.5\n")
    wanted = settings(
        annotations={"train": [f"{tmp_path}/a.csv"], "test": [f"{tmp_path}/c.jsonl"]},
        durations=[f"{tmp_path}/length.csv"],
    )
    assert {row.video_id for row in sources.read(wanted)} == {"a", "b", "c"}
    found = [(a.video_id, a.split, a.duration) for a in sources.read(wanted)]
    assert found == [("c", "test", None), ("b", "test", 7.5), ("a", "train", None)]


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({}, "annotations: {} should have at least 1 item"),
        ({"train": []}, "datasets.mine.annotations lists no file"),
        ({"train": ["a.csv"], "test": ["a.csv"]}, "datasets.mine.annotations lists a.csv twice"),
        ({"trian": ["a.csv"]}, "annotations.trian: 'trian' is not supported"),
        ({"train": ["a.csv"]}, "a.csv does not exist"),
    ],
)
def test_wrong_annotation_settings(annotations: dict[str, list[str]], said: str) -> None:
    with pytest.raises(UserError, match=said):
        sources.read(settings(annotations=annotations))
