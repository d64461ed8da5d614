"""A newcomer's path, run: every block of docs/first-search.md, from ten clips without annotation to a search."""

import csv
import json
import re
from pathlib import Path

from blocks import blocks, in_a_folder_of_its_own, shell
from workflow_runs import ROOT

PAGE = ROOT / "docs" / "first-search.md"


def test_ten_clips_are_searched_as_the_page_says(tiny_results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vidistill"
    folder.mkdir()
    environment = in_a_folder_of_its_own(folder)
    (folder / "results").symlink_to(tiny_results)  # of the demo, in small
    commands = [block for block in blocks(PAGE) if block.kind == "bash"]
    left_out = [block for block in commands if block.about.startswith("not run: ")]
    assert len(commands) == 7
    assert len(left_out) == 2
    said = {block.text: shell(block.text, folder, environment) for block in commands if block not in left_out}
    clips = sorted((folder / "clips").glob("demo-*"))
    assert len(clips) == 10
    first = next(text for command, text in said.items() if command.startswith("vidistill search"))
    rows = re.findall(r"^ +\d  (\S+) +0:0\d\.\d - 0:0\d\.\d +fit -?\d+\.\d+", first, re.MULTILINE)
    assert len(rows) == 5, first
    assert {*rows} <= {clip.name for clip in clips}
    found = json.loads((folder / "found.json").read_text())
    assert [len(answer["videos"]) for answer in found["answers"]] == [3, 3]
    assert (folder / "answer.png").read_bytes().startswith(b"\x89PNG")
    assert "<video" in (folder / "answer.html").read_text()
    with open(folder / "moments.csv", newline="") as file:
        moments = list(csv.DictReader(file))
    assert {row["sentence"] for row in moments} == {"the red ball moves", "the green box appears"}
    assert {Path(row["video"]).name for row in moments} == {clip.name for clip in clips}
    assert len(list((folder / "cut").glob("*.mp4"))) == len(moments)
