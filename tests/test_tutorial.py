"""The tutorial, run: every block of docs/tutorial.md in the order in which it stands, in a new folder."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from workflow_runs import ROOT, clone

TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r'(?:<!-- ([^\n]*) -->\n)?```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of the page: what kind, which file it is, and what is said about running it."""

    about: str  # the comment above it
    kind: str
    file: str | None
    text: str


def blocks() -> list[Block]:
    return [
        Block(about or "", kind, file or None, text)
        for about, kind, file, text in BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))
    ]


def in_a_folder_of_its_own(folder: Path) -> dict[str, str]:
    """A clone, and the environment of a person in it who has activated .venv: its commands, this package."""
    clone(folder)
    commands = folder.parent / f"{folder.name}-bin"
    commands.mkdir()
    (commands / "vidistill").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vidistill "$@"\n')  # as pip installs it
    (commands / "vidistill").chmod(0o755)
    path = os.pathsep.join((str(commands), os.path.dirname(sys.executable), os.environ["PATH"]))
    return {**os.environ, "PATH": path, "PYTHONPATH": str(folder / "workflow"), "OMP_NUM_THREADS": "1"}


def shell(text: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_every_block_is_of_a_kind_that_is_run() -> None:
    page = TUTORIAL.read_text(encoding="utf-8")
    assert len(blocks()) == page.count("\n```") / 2
    for block in blocks():
        assert (block.file is None) == (block.kind == "bash")
        assert re.fullmatch(r"|not run: .+|dry: \w+\.yaml", block.about), block.about
    assert sum(block.about.startswith("not run") for block in blocks()) == 2


@pytest.mark.long
def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    folder = tmp_path / "vidistill"
    folder.mkdir()
    environment = in_a_folder_of_its_own(folder)
    said = {}
    for block in blocks():
        if block.file and block.kind == "csv":  # what a command before it wrote
            assert (folder / block.file).read_text().startswith(block.text), (folder / block.file).read_text()[:300]
        elif block.file:
            (folder / block.file).write_text(block.text)
        elif block.about.startswith("dry: "):
            for absent in ("data/weights/rgb_imagenet.pt", "data/weights/flow_imagenet.pt"):
                (folder / absent).parent.mkdir(parents=True, exist_ok=True)
                (folder / absent).touch()
            (folder / "data/glove").mkdir()
            (folder / "data/glove/glove.840B.300d.txt").touch()
            said[block.text] = shell(f"{block.text.strip()} --dry-run", folder, environment)
        elif not block.about:
            said[block.text] = shell(block.text, folder, environment)
    for dataset in ("mine", "own"):
        result = json.loads((folder / f"results/student_{dataset}.json").read_text())
        queries = result["coverage"]["splits"]["test"]["queries"]
        assert queries["used"] == queries["annotated"] > 10
        assert result["metrics"]["mIoU"]["mean"] > 0
        assert set(result["comparisons"]) == {"video_free", "baseline", "teacher"}
    assert any("'annotated': " in text for text in said.values())
    answered = next(text for command, text in said.items() if command.startswith("vidistill ground"))
    assert re.search(r"\d:\d\d", answered), answered
    assert (folder / "answer.png").read_bytes().startswith(b"\x89PNG")
