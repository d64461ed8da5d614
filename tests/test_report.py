"""Snakemake's report of a whole run: one page without network, what is in it, and what is made anew."""

import json
import re
import shutil
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from own_videos import draw
from workflow_runs import TINY, Run, clone, run

TARGET = "results/report_student_mine.html"
BROKEN, ABSENT = "clip4", "clip8"
# Of the tiny demo's settings those that a data set has of its own.
SMALL = {"seeds": [0], "vocabulary": {"dimension": 16}}
REPORTED = {"figures": 1, "overview": 1}


def write_table(folder: Path, split: dict[str, str], moments: bool = True) -> None:
    rows = [
        f"{video},a {colour} ball moves,{split[video]},{start if moments else ''},{start + 1 if moments else ''}\n"
        for video in split
        for start, colour in ((0.1, "red"), (0.9, "blue"))
    ]
    (folder / "own.csv").write_text("video,sentence,split,start,end\n" + "".join(rows))


def configuration() -> dict[str, Any]:
    """A data set of clips in a folder, as a user would add it, as small as the tiny demo."""
    stream = {"extractor": "i3d", "endpoint": "MaxPool3d_3a_3x3", "crop": None}
    collection = {
        "videos": "my videos",
        "shards": 2,
        "decode": {"fps": 6, "short_side": 48},
        "streams": {"rgb": {**stream, "input": "frames"}, "flow": {**stream, "input": "flow"}},
    }
    dataset = {"collection": "mine", "annotations": {"train": ["own.csv"]}, **SMALL}
    return {"collections": {"mine": collection}, "datasets": {"mine": dataset}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a student's report; of its clips one is broken and one is absent. The workflow is a copy."""
    folder = tmp_path_factory.mktemp("a report")
    clone(folder / "clone")
    draw(folder / "my videos", [f"clip{n}.mp4" for n in range(8)])
    (folder / "my videos" / f"{BROKEN}.mp4").write_bytes(b"no video")
    write_table(folder, {f"clip{n}": "train" if n < 5 else "test" for n in range(9)})
    outcome = snakemake(folder, TARGET, "--report", "report.html", "--report-after-run")
    assert outcome.status == 0, outcome.text
    return folder


def snakemake(folder: Path, *targets: str, dry: bool = False, **changes: Any) -> Run:
    return run(folder, *targets, config=[TINY], changes={**configuration(), **changes}, root=folder / "clone", dry=dry)


def items(folder: Path) -> dict[str, Any]:
    """The entries of Snakemake's report by the name of their file."""
    text = (folder / "report.html").read_text()
    found = json.loads(re.search(r"^ *var results = (\{.*\});$", text, re.MULTILINE)[1])  # type: ignore[index]
    return {Path(path).stem: about for path, about in found.items()}


def shown(item: dict[str, Any]) -> str:
    return b64decode(item["data_uri"].partition("base64,")[2]).decode()


def test_the_report_has_every_page_with_its_caption(finished: Path) -> None:
    found = items(finished)
    groups = {f"queries-{group}" for group in ("best", "median", "worst")}
    figures = {
        "results",
        "recall",
        "efficiency",
        "failures",
        "losses",
        "agreement",
        "coverage",
        "frames",
        "costs",
        *groups,
    }
    assert set(found) == figures
    captions = {path.stem for path in (finished / "clone/workflow/report").glob("*.rst")}
    assert captions == figures | {"workflow"}
    assert all(len(about["caption"]) > 80 and about["labels"]["figure"] for about in found.values())
    for about in found.values():
        params = about["job_properties"]["params"]
        assert "train.optimisation.epochs 2 (default 15)" in params
        assert not set('{}"\\') & set(params)
    assert re.search("<strong>The student finds .* % of the moments", (finished / "report.html").read_text())
    assert "svg+xml;base64," in shown(found["recall"])
    assert "png;base64," in shown(found["frames"])
    assert "IoU of the prediction" in shown(found["queries-best"])


def test_a_bad_video_is_listed_with_its_reason(finished: Path) -> None:
    text = shown(items(finished)["coverage"])
    assert re.search(rf"<td>{BROKEN}</td><td>train</td><td>unreadable \(", text)
    assert f"<td>{ABSENT}</td><td>test</td>" in text


def test_numbers_and_times_are_those_of_the_run(finished: Path) -> None:
    found = items(finished)
    result = json.loads((finished / "results/student_mine.json").read_text())
    text = shown(found["results"])
    assert all(f"{metric['mean']:.0f}" in text for metric in result["metrics"].values())
    costs = shown(found["costs"])
    assert re.search(r'<td>extract</td><td>rgb</td><td class="number">2</td>', costs)
    assert re.search(r'<td>train</td><td>teacher</td><td class="number">1</td>', costs)


def addresses(text: str) -> set[str]:
    """What a page's own elements load or lead to, but for data within it and its own places."""
    found: set[str] = set()

    class Elements(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.update(value or "" for name, value in attrs if name in ("src", "href", "srcset"))

    Elements().feed(text)
    return {address for address in found if not address.startswith(("data:", "#"))}


def test_nothing_of_the_pages_is_elsewhere(finished: Path) -> None:
    pages = [shown(about) for about in items(finished).values()] + [(finished / TARGET).read_text()]
    for text in pages:
        assert "<script" not in text
        assert not re.search(r"url\(|@import", text)
        assert addresses(text) == set()
    assert addresses((finished / "report.html").read_text()) == set()  # its scripts are within it


def test_the_one_page_holds_all_of_them(finished: Path) -> None:
    text = (finished / TARGET).read_text()
    assert text.count("<section") == len(items(finished))
    assert "What the student learned on mine" in text


def reruns(folder: Path, target: str = TARGET, **changes: Any) -> dict[str, int]:
    outcome = snakemake(folder, target, dry=True, **changes)
    assert outcome.status == 0, outcome.text
    return dict(outcome.jobs)


def test_only_figures_follow_from_figures(finished: Path) -> None:
    assert reruns(finished) == {}
    assert reruns(finished, figures={"groups": 2}) == REPORTED
    assert reruns(finished, evaluate={"confidence": 0.9}) == {"evaluate": 1, **REPORTED}
    path = finished / "clone/workflow/vidistill/report/recall.py"
    text = path.read_text()
    path.write_text(text + "\nADDED = 1\n")
    try:
        assert reruns(finished) == REPORTED
        assert reruns(finished, "results/student_mine.json") == {}
    finally:
        path.write_text(text)


def test_a_report_made_again_is_equal_byte_for_byte(finished: Path) -> None:
    folder = finished / "results/report/mine/student"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "costs.html"}
    assert len(before) == 17
    outcome = snakemake(finished, TARGET, "--forcerun", "figures")
    assert outcome.status == 0, outcome.text
    assert dict(outcome.jobs) == REPORTED
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "costs.html"} == before


def test_a_report_without_videos_teacher_and_training_moments(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    rng = np.random.default_rng(0)
    for n in range(9):
        np.save(tmp_path / "features" / f"clip{n}.npy", rng.normal(size=(12, 16)).astype(np.float32))
    split = {f"clip{n}": "train" if n < 5 else "test" for n in range(9)}
    write_table(tmp_path, split)
    lines = (tmp_path / "own.csv").read_text().splitlines()
    lines = [",".join([*line.split(",")[:3], "", ""]) if ",train," in line else line for line in lines]
    lines = [f"{line},{'duration' if i == 0 else 3.0}" for i, line in enumerate(lines)]
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    stream = {"extractor": "external", "source": "features"}
    dataset = {"collection": "own", "annotations": {"train": ["own.csv"]}, **SMALL}
    changes = {"collections": {"own": {"shards": 1, "streams": {"rgb": stream}}}, "datasets": {"own": dataset}}
    target = "results/report_baseline_own.html"
    outcome = run(tmp_path, target, config=[TINY], changes=changes, root=finished / "clone")
    assert outcome.status == 0, outcome.text
    made = (
        "external",
        "queries",
        "moments",
        "availability",
        "vocabulary",
        "train",
        "export",
        "efficiency",
        "retrieve",
        "evaluate",
        "figures",
        "overview",
    )
    assert dict(outcome.jobs) == dict.fromkeys(made, 1)
    text = (tmp_path / target).read_text()
    assert "The training split has no moments" in text
    assert "IoU of the prediction" in text


def test_a_stage_that_fails_behind_a_pipe_is_said_to_fail(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    outcome = snakemake(folder, "results/student_mine.json", evaluate={"oracle_metric": "unknown"})
    assert outcome.status == 1
    assert "evaluate.oracle_metric is 'unknown'" in outcome.text
    assert "MissingOutputException" not in outcome.text
