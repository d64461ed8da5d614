"""Running the workflow as a person does, through Snakemake's command line, and reading what it says."""

import functools
import logging
import multiprocessing
import os
import re
import runpy
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

import yaml

import warm_python

ROOT = Path(__file__).resolve().parent.parent
TINY = Path(__file__).with_name("tiny.yaml")  # the demo in seconds


@dataclass(frozen=True)
class Job:
    """A job of a dry run."""

    rule: str
    inputs: frozenset[str]
    outputs: frozenset[str]


@dataclass(frozen=True)
class Run:
    """How a call of Snakemake ended."""

    status: int
    text: str

    @property
    def jobs(self) -> Counter[str]:
        """Rule -> number of jobs that ran, or would run; `all`, which does nothing, left out."""
        table = re.search(r"^job +count\n[- ]+\n((?:\w+ +\d+\n)+)", self.text, re.MULTILINE)
        rows = (line.split() for line in table[1].splitlines()) if table else ()
        return Counter({rule: int(count) for rule, count in rows if rule not in ("total", "all")})

    @property
    def errors(self) -> list[str]:
        """What the user is told to mend, each once, though a job is tried again."""
        return list(dict.fromkeys(re.findall(r"^error: (.*)$", self.text, re.MULTILINE)))

    @property
    def reasons(self) -> set[str]:
        """Why jobs run, as Snakemake says it for each."""
        return {
            part for line in re.findall(r"^    reason: (.*)$", self.text, re.MULTILINE) for part in line.split("; ")
        }

    def inputs(self, rule: str) -> list[list[str]]:
        """The input files of each job of a rule, as a dry run lists them."""
        blocks = re.findall(rf"^rule {rule}:\n(?:    .*\n)*?    input: (.*)$", self.text, re.MULTILINE)
        return [block.split(", ") for block in blocks]

    @property
    def graph(self) -> list[Job]:
        """The jobs of a dry run with their files; a long list of outputs is cut."""
        blocks = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", self.text, re.MULTILINE)

        def files(block: str, kind: str) -> frozenset[str]:
            found = re.search(rf"^    {kind}: (.*)$", block, re.MULTILINE)
            return frozenset(found[1].split(", ") if found else ())

        return [Job(rule, files(block, "input"), files(block, "output")) for rule, block in blocks]


def command(*targets: str, config: Iterable[Path] = (), root: Path = ROOT, cores: int = 2, **options: str) -> list[str]:
    """Snakemake's command line; `options` as in profile="folder"."""
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--cores", str(cores)]
    words += [word for name, value in options.items() for word in (f"--{name}", value)]
    words += targets
    files = [str(file) for file in config]
    return [*words, "--configfile", *files] if files else words


def run(
    folder: Path,
    *targets: str,
    changes: Mapping[str, Any] | None = None,
    config: Iterable[Path] = (),
    root: Path = ROOT,
    dry: bool = False,
    cores: int = 1,  # as the tests run side by side
    **options: str,
) -> Run:
    """Snakemake in `folder`, with the configuration of `root`, over it the files `config` and then `changes`."""
    files = list(config)
    if changes:
        files.append(folder / "changes.yaml")
        files[-1].write_text(yaml.safe_dump(dict(changes)))
    words = command(*targets, config=files, root=root, cores=cores, **options)
    words += ["--dry-run"] if dry else []
    with tempfile.TemporaryFile() as said:
        process = IMPORTED.Process(target=snakemake, args=(words[3:], folder, DupFd(said.fileno()), warm()))
        process.start()
        process.join()
        said.seek(0)
        return Run(process.exitcode, said.read().decode(errors="replace"))


# Importing Snakemake takes as long as all that a dry run does after it. So each run is a copy of a process that has
# imported it and has done nothing else.
IMPORTED = multiprocessing.get_context("forkserver")
IMPORTED.set_forkserver_preload(["snakemake.cli", "snakemake.report", "smart_open", "yte", "pulp", "pandas"])


warm = functools.cache(warm_python.start)  # jobs are such copies, too


def snakemake(words: list[str], folder: Path, said: Any, environment: dict[str, str]) -> None:
    """`python -m snakemake` in a process of its own, all that it says in one file."""
    os.chdir(folder)
    os.environ.update(environment)
    for stream in (1, 2):
        os.dup2(said.detach() if stream == 1 else 1, stream)
    sys.argv = ["snakemake", *words]
    sys.path.insert(0, str(folder))
    try:
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    finally:
        logging.shutdown()  # as at the end of any process but those of multiprocessing


def clone(folder: Path) -> None:
    """What a run needs of the project, copied into `folder`."""
    for name in ("rules", "profiles", "config", "workflow", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
