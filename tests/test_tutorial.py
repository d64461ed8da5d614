"""The tutorial, run: every block of docs/tutorial.md in the order in which it stands, in a new folder."""

import json
import re
from pathlib import Path

import pytest

from blocks import blocks, in_a_folder_of_its_own, shell
from workflow_runs import ROOT

TUTORIAL = ROOT / "docs" / "tutorial.md"


def test_every_block_is_of_a_kind_that_is_run() -> None:
    page = TUTORIAL.read_text(encoding="utf-8")
    assert len(blocks(TUTORIAL)) == page.count("\n```") / 2
    for block in blocks(TUTORIAL):
        assert (block.file is None) == (block.kind == "bash")
        assert re.fullmatch(r"|not run: .+|dry: \w+\.yaml", block.about), block.about
    assert sum(block.about.startswith("not run") for block in blocks(TUTORIAL)) == 2


@pytest.mark.long
def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    folder = tmp_path / "vidistill"
    folder.mkdir()
    environment = in_a_folder_of_its_own(folder)
    said = {}
    for block in blocks(TUTORIAL):
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
