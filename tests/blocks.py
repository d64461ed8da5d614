"""Running the blocks of a page of the documentation, as a reader does."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from workflow_runs import clone

BLOCK = re.compile(r'(?:<!-- ([^\n]*) -->\n)?```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of a page: what kind, which file it is, and what is said about running it."""

    about: str  # the comment above it
    kind: str
    file: str | None
    text: str


def blocks(page: Path) -> list[Block]:
    return [
        Block(about or "", kind, file or None, text)
        for about, kind, file, text in BLOCK.findall(page.read_text(encoding="utf-8"))
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
