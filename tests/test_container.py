"""The container recipe, as far as it can be checked without building it."""

import re
import tomllib
from pathlib import Path

from workflow_runs import ROOT, clone

RECIPE = (ROOT / "envs" / "Dockerfile").read_text()
COPIED = {name for line in re.findall(r"^COPY (.*) \S+$", RECIPE, re.MULTILINE) for name in line.split()}


def test_all_that_a_run_needs_is_copied_and_exists(tmp_path: Path) -> None:
    clone(tmp_path / "needed")
    assert {path.name for path in (tmp_path / "needed").iterdir()} <= COPIED
    assert all((ROOT / name).exists() for name in COPIED)
    for name in COPIED:
        assert f"!{name.split('/')[0]}" in (ROOT / ".dockerignore").read_text().splitlines(), name


def test_it_installs_the_same_pytorch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pinned,) = (need for need in project["dependencies"] if need.startswith("torch=="))
    assert f"pip install {pinned} " in RECIPE
    assert "cluster" in project["optional-dependencies"]
