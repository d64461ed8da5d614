"""What several test files share."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from vidistill.base import settings as settings_module
from vidistill.settings.flow import Tvl1
from workflow_runs import TINY, run

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"


# Files whose tests run the whole workflow; first, so that several processes come to the end of the tests together.
WHOLE_RUNS = (
    "interruptions",
    "reruns",
    "terminal",
    "report",
    "no_moments",
    "names",
    "first_search",
    "external_models",
    "bad_input",
    "ground",
    "onnx",
    "workflow",
    "resources",
    "tutorial",
    "docs",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_")
        return WHOLE_RUNS.index(name) if name in WHOLE_RUNS else len(WHOLE_RUNS)

    items.sort(key=place)
    for item in items:
        if runs_snakemake(item):
            item.add_marker(pytest.mark.whole_run)


def runs_snakemake(item: pytest.Item) -> bool:
    """Whether a test runs the workflow, by where it stands or by what it calls."""
    function = getattr(item, "function", None)
    calls = getattr(function, "__code__", None) and function.__code__.co_names
    by_itself = "run" in (calls or ()) and getattr(item.module, "run", None) is run
    return (
        item.path.parent.name in ("tests", "slurm") or by_itself or "tiny_results" in getattr(item, "fixturenames", ())
    )


@pytest.fixture(scope="session")
def tiny_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the tiny demo, to look at and not to change; one run for all processes of the tests."""
    shared = tmp_path_factory.getbasetemp()
    folder = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "tiny"
    with FileLock(f"{folder}.lock"):
        if not (folder / "results/student_demo.json").exists():
            folder.mkdir(exist_ok=True)
            outcome = run(folder, "results/student_demo.json", config=[TINY])
            assert outcome.status == 0, outcome.text
    return folder / "results"


@pytest.fixture(scope="session")
def config() -> dict[str, Any]:
    """The configuration as users get it."""
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.fixture(scope="session")
def tvl1(config: dict[str, Any]) -> Tvl1:
    """TV-L1 as users get it."""
    return Tvl1(**{name: config["flow"][name] for name in Tvl1.model_fields})


@pytest.fixture(scope="session")
def quick_tvl1(tvl1: Tvl1) -> Tvl1:
    return tvl1.model_copy(update={"scales": 3, "warps": 2, "outer_iterations": 2, "inner_iterations": 10})


@pytest.fixture
def stopped_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Let trainings end like a killed one after so many epochs in all; gives the list of trained epochs."""
    from vidistill.training.checkpoint import Checkpoint  # PyTorch, which few tests need

    def arrange(epochs: int) -> list[int]:
        advance, trained = Checkpoint.advance, list[int]()

        def stop(self: Checkpoint, *args: Any) -> None:
            advance(self, *args)
            trained.append(self.epoch)
            if len(trained) == epochs:
                raise KeyboardInterrupt

        monkeypatch.setattr(Checkpoint, "advance", stop)
        return trained

    return arrange


def parse(cls: type, section: dict[str, Any], **changes: Any) -> Any:
    """A stage's settings from a section of the configuration and changes to it."""
    return settings_module.parse(cls, json.dumps({**section, **changes}))


def data(*parts: str) -> Path:
    """A third-party file for checks; the test is skipped when it is absent."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"third-party data absent: {'/'.join(parts)}")
    return path
