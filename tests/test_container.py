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


def test_all_recipes_install_the_tested_versions() -> None:
    pinned = (ROOT / "envs" / "constraints.txt").read_text().split()
    (pytorch,) = (need for need in pinned if need.startswith("torch=="))
    assert f"pip install {pytorch} " in RECIPE
    in_conda = re.findall(r"- (\S+==\S+)", (ROOT / "envs" / "vidistill.yaml").read_text())
    assert in_conda
    assert set(in_conda) <= set(pinned)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {re.split("[<>=;]", need)[0] for need in project["dependencies"]}
    assert named - {"snakemake"} <= {need.split("==")[0] for need in pinned}
    assert "cluster" in project["optional-dependencies"]
