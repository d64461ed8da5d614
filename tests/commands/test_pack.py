"""A model to hand on: packed, checked, and asked from elsewhere."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from vidistill.base.stage import UserError
from vidistill.commands import card, card_text, pack, packed
from vidistill.commands.ground import Grounder
from vidistill.commands.search import Library

PLAIN: dict[str, Any] = {"device": "cpu", "threads": 1}
SENTENCES = ["the green box goes up"]


@pytest.fixture(scope="module")
def folder(tiny_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packed by the command; not to be changed."""
    folder = tmp_path_factory.mktemp("pack") / "student"
    pack.main([str(tiny_results / "student_demo.json"), str(folder), "--licence", "CC-BY-4.0"])
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def front(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / packed.CARD).read_text().split("---\n")[1])


def test_a_packed_model_answers_as_its_result(
    tiny_results: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = next((tiny_results / "demo/videos").glob("demo-0006.*"))
    there = Grounder(tiny_results / "student_demo.json", **PLAIN)
    shutil.copy(video, tmp_path)
    monkeypatch.chdir(tmp_path)  # nothing of the workflow is here
    here = Grounder("copy", **PLAIN)
    assert here.trained.name == there.trained.name
    (expected,), (found,) = (g.ask(g.watch(video), SENTENCES) for g in (there, here))
    assert found.moments == expected.moments
    library = Library(tmp_path, "copy", **PLAIN)
    library.read()
    ((moment,),) = library.search(SENTENCES)
    assert moment.moments == expected.moments


def test_a_card_has_the_numbers_of_the_result(tiny_results: Path, folder: Path) -> None:
    result = json.loads((tiny_results / "student_demo.json").read_text())
    about = front(folder)
    assert (about["license"], about["library_name"]) == ("cc-by-4.0", "vidistill")
    (model,) = about["model-index"]
    metrics = {metric["type"]: metric for metric in model["results"][0]["metrics"]}
    assert {name: metric["value"] for name, metric in metrics.items()} == {
        name: found["mean"] for name, found in result["metrics"].items()
    }
    assert metrics["mIoU"]["args"]["interval"] == result["metrics"]["mIoU"]["interval"]
    text = (folder / packed.CARD).read_text()
    assert "random weights" in text
    assert result["models"]["student"]["sha256"]["0"] in text
    assert json.loads((folder / packed.SETTINGS).read_text())["train"]["model"] == "student"
    made = json.loads((folder / packed.FEATURES).read_text())["streams"]["rgb"]
    assert made["provenance"]["extractor"] == "i3d"


def test_hubs_read_the_card(folder: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard.load(folder / packed.CARD).data
    assert data.license == "cc-by-4.0"
    assert data.model_name == "student"
    assert {found.metric_type for found in data.eval_results} >= {"R@0.5", "mIoU"}


def test_a_card_is_checked_by_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card.main([str(folder)])
    assert "complete" in capsys.readouterr().out


def of_text(change: Callable[[str], str]) -> Callable[[Path], object]:
    def changed(folder: Path) -> None:
        path = folder / packed.CARD
        before = path.read_text()
        path.write_text(change(before))
        assert path.read_text() != before

    return changed


def of_json(name: str, change: Callable[[Any], object]) -> Callable[[Path], object]:
    def changed(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (of_text(lambda text: text.replace("license: cc-by-4.0\n", "")), "license is missing"),
        (of_text(lambda text: text.replace("license: cc-by-4.0", "license: my own")), "license_name"),
        (of_text(lambda text: text.replace("license: cc-by-4.0", "license: other")), "license_name"),
        (of_text(lambda text: text.replace("library_name: vidistill\n", "")), "library_name is missing"),
        (of_text(lambda text: text.replace("value: ", "value: 1", 1)), "other numbers of R@0.3"),
        (of_text(lambda text: text.replace("type: mIoU", "type: accuracy")), "lacks mIoU"),
        (of_text(lambda text: text.replace("name: student", "name: teacher")), "is of teacher"),
        (of_text(lambda text: text.replace("| R@0.5 ", "| R@0.9 ")), "table of results"),
        (of_text(lambda text: text.replace("## What it does not know", "## Limits")), "What it does not know"),
        (of_text(lambda text: text.partition("## Licence")[0] + "## Licence\n"), "Licence"),
        (of_text(lambda text: re.sub("`[0-9a-f]{64}`", "`0`", text)), "SHA-256"),
        (of_text(lambda text: text.replace("---\n", "", 1)), "front matter"),
        (of_text(lambda text: text.replace("tags:", "tags: [")), "front matter"),
        (of_json(packed.RESULT, lambda r: r["metrics"]["mIoU"].update(mean=99.0)), "other numbers of mIoU"),
        (of_json(packed.RESULT, lambda r: r["models"]["student"].update(sha256={"0": "1"})), "not the model of"),
        (of_json(packed.SETTINGS, lambda s: s["train"].update(snippets=7)), "settings.json"),
        (of_json(packed.FEATURES, lambda f: f["streams"].clear()), "features.json"),
        (lambda folder: (folder / packed.FEATURES).unlink(), "lacks features.json"),
    ],
)
def test_what_is_wrong_with_a_card_is_found(copy: Path, change: Callable[[Path], object], said: str) -> None:
    change(copy)
    found = list(card.problems(copy))
    assert any(said in problem for problem in found), found


def test_a_person_may_add_to_a_card(copy: Path) -> None:
    of_text(lambda text: text.replace("tags:", "language: en\ntags:") + "\n## Thanks\n\nTo all.\n")(copy)
    assert list(card.problems(copy)) == []


def test_another_model_in_a_pack_is_refused(copy: Path, tiny_results: Path) -> None:
    shutil.copy(tiny_results / "demo/teacher/seed-0/model.safetensors", copy / packed.MODEL)
    with pytest.raises(UserError, match=r"not the model of"):
        Grounder(copy, **PLAIN)
    (copy / packed.RESULT).unlink()
    with pytest.raises(UserError, match=r"not a packed model"):
        Grounder(copy, **PLAIN)


def test_what_cannot_be_packed_is_said(tiny_results: Path, tmp_path: Path) -> None:
    result = tiny_results / "student_demo.json"
    with pytest.raises(UserError, match="no seed 7"):
        pack.pack(result, tmp_path / "out", licence="mit", seed=7)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(UserError, match="not an empty folder"):
        pack.pack(result, tmp_path / "full", licence="mit")
    with pytest.raises(UserError, match="--licence"):
        pack.pack(result, tmp_path / "out", licence=" ")
    with pytest.raises(UserError, match="not a result"):
        pack.pack(tiny_results / "demo/student/seed-0/model.safetensors", tmp_path / "out", licence="mit")
    assert not (tmp_path / "out").exists()


def test_a_licence_that_hubs_do_not_know_keeps_its_name(folder: Path) -> None:
    about = card_text.front(packed.read(folder), "For friends only")
    assert (about["license"], about["license_name"]) == ("other", "For friends only")
