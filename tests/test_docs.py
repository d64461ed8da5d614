"""The documentation: messages that exist, settings that are accepted, links that lead somewhere, columns as are."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import pytest
import yaml

from workflow_runs import ROOT, run

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
OTHERS = {  # message of others -> file of theirs that says it
    "No Snakefile found": "snakemake/api.py",
    "Directory cannot be locked": "snakemake/exceptions.py",
    "No rule to produce": "snakemake/exceptions.py",
    "MissingOutputException": "snakemake/exceptions.py",
}
OF_THE_SYSTEM = {"snakemake: command not found", "No module named 'torch'"}


def text_of(node: ast.expr) -> str:
    """What an expression makes as text, with … for all that is known only when it runs."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(text_of, node.values))
    return "…"


def sentences() -> list[str]:
    """Every text in the package, the rules and the Makefile that could be said."""
    found = []
    for path in (*(ROOT / "workflow" / "vidistill").rglob("*.py"), ROOT / "rules" / "runs.smk"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr | ast.Constant):
                found.append(text_of(node))
    return [*found, (ROOT / "Makefile").read_text()]


def quoted() -> list[str]:
    rows = re.findall(r"^\| `(.+?)` \|", (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 35
    return rows


def is_said(message: str, known: list[str]) -> bool:
    parts = [part for part in re.split("…", message) if part.strip(" ,;.()")]
    pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    return any(pattern.search(text) for text in known)


@pytest.mark.parametrize("message", quoted())
def test_every_message_that_is_explained_exists(message: str) -> None:
    if message in OTHERS:
        package = Path(importlib.util.find_spec("snakemake").origin).parent.parent  # type: ignore[union-attr, arg-type]
        assert any(message in path.read_text() for path in (package / "snakemake").glob("*.py"))
    elif message not in OF_THE_SYSTEM:
        # A sentence of several literals: each of its pieces stands somewhere, in this order within one of them.
        assert is_said(message, sentences()), message


def test_the_check_of_messages_can_fail() -> None:
    assert not is_said("… videos are lost in …; look for them", sentences())


YAML = [
    (page, number, textwrap.dedent(block))
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"^ *```yaml[^\n]*\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)
    )
]


@pytest.mark.parametrize(("page", "number", "block"), YAML, ids=[f"{page.name}-{number}" for page, number, _ in YAML])
def test_settings_that_are_shown_are_accepted(tmp_path: Path, page: Path, number: int, block: str) -> None:
    (tmp_path / "shown.yaml").write_text(block)
    outcome = run(tmp_path, "results/student_demo.json", config=[tmp_path / "shown.yaml"], dry=True)
    assert outcome.status == 0, outcome.text


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "config/README.md", ROOT / "envs/opencv-cuda.md"]:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_pictures_are_small_described_and_shown() -> None:
    pictures = sorted((ROOT / "docs/pictures").iterdir())
    assert sum(path.stat().st_size for path in pictures) < 400_000
    shown = {
        (page.parent / target).resolve(): " ".join(words.split())
        for page in PAGES
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text())
    }
    assert set(shown) == set(pictures)
    assert all(len(words) > 40 for words in shown.values())


def test_the_pages_are_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    start = (tmp_path / "site" / "index.html").read_text()
    assert 'href="tutorial.html"' in start
    assert "fonts.googleapis" not in start
    assert (tmp_path / "site" / "configuration.html").exists()
    assert re.search(r'<img [^>]*src="pictures/answer.png"', start)
    assert (tmp_path / "site" / "pictures" / "answer.png").exists()


def test_pages_that_are_not_there_are_left_out_and_others_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mkdocs")
    monkeypatch.syspath_prepend(ROOT / "docs")
    import pages

    nav = [{"Start": "index.md"}, {"Use": [{"Gone": "gone.md"}]}, {"More": [{"A": "a.md"}, {"Gone": "gone.md"}]}]
    assert pages.only(nav, {"index.md", "a.md"}) == [{"Start": "index.md"}, {"More": [{"A": "a.md"}]}]
    assert pages.complete(nav, {"index.md", "gone.md", "a.md", "new.md"})[-1] == {"Further": ["new.md"]}
    assert pages.complete(nav, {"index.md", "gone.md", "a.md"}) == nav
    sys.modules.pop("pages")


# docs/outputs.md beside a run.


@pytest.fixture
def results(tiny_results: Path) -> Path:
    return tiny_results


def described(start: str) -> set[str]:
    """The names in backticks of the paragraph or row of docs/outputs.md that begins so, without those in brackets."""
    text = (ROOT / "docs/outputs.md").read_text(encoding="utf-8")
    paragraph = text[text.index(start) + len(start) :].split("\n\n")[0]
    if start.startswith("| "):
        paragraph = paragraph.split("\n")[0]
    return set(re.findall(r"`([a-z_0-9]+)`", re.sub(r"\([^)]*\)", "", paragraph)))


TABLES = {
    "demo/queries.parquet": "`results/{dataset}/queries.parquet`:",
    "demo/moments.parquet": "`results/{dataset}/moments.parquet`:",
    "demo/problems.csv": "`results/{dataset}/problems.csv`:",
    "demo/student/availability.csv": "`results/{dataset}/{model}/availability.csv`:",
    "demo/student/seed-0/predictions.parquet": "| `predictions.parquet` |",
    "demo/teacher/seed-0/pseudo_labels.parquet": "| `pseudo_labels.parquet` |",
    "demo/teacher/seed-0/activation_maps.parquet": "| `activation_maps.parquet` |",
}


@pytest.mark.parametrize("file", TABLES)
def test_the_columns_that_are_described_are_those_of_the_files(results: Path, file: str) -> None:
    table = pd.read_csv(results / file) if file.endswith(".csv") else pd.read_parquet(results / file)
    assert described(TABLES[file]) == set(table.columns)


def test_the_loss_terms_that_are_described_are_those_of_some_model(results: Path) -> None:
    found = (pd.read_parquet(path) for path in results.glob("demo/*/seed-0/history.parquet"))
    assert described("| `history.parquet` |") == set().union(*(table.columns for table in found))


def test_the_keys_that_are_described_are_those_of_the_result(results: Path) -> None:
    text = (ROOT / "docs/outputs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text[: text.index("/predictions.jsonl`: ")], re.MULTILINE)
    result: dict[str, Any] = json.loads((results / "student_demo.json").read_text())
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == set(result)
    line = json.loads((results / "demo/student/predictions.jsonl").read_text().splitlines()[0])
    assert set(line) == {"qid", "query", "vid", "pred_relevant_windows"}
    assert all(f'"{key}"' in text for key in line)


def test_the_attributes_that_are_described_are_those_of_the_features(results: Path) -> None:
    names = described("`results/features/{collection}/{stream}/{shard}.h5`:")
    with h5py.File(results / "features/demo/flow/0.h5") as file:
        video = next(iter(file.values()))
        assert set(video) | set(video.attrs) | set(file.attrs) == names


def test_the_configured_paths_are_those_of_the_guides(config: dict[str, Any]) -> None:
    for name, page in (("charades", "charades.md"), ("activitynet", "activitynet.md"), ("tacos", "tacos.md")):
        guide = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for files in config["datasets"][name]["annotations"].values():
            assert all(Path(file).name in guide for file in files)
        assert f"snakemake --cores 1 download_{name}" in guide
        for file in config["downloads"]["sets"][name]:
            if digest := config["downloads"]["files"][file]["sha256"]:
                assert digest[:8] in guide, file


def test_the_catalog_entry_and_the_citation_are_well_formed() -> None:
    entry = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    assert set(entry["usage"]) <= {"mandatory-flags", "software-stack-deployment", "report"}
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    version = re.search(r'__version__ = "(.*)"', (ROOT / "workflow/vidistill/__init__.py").read_text())
    assert version is not None
    assert cited["version"] == version[1]
    assert cited["license"] == "MIT"
    assert cited["references"][0]["type"] == "conference-paper"
