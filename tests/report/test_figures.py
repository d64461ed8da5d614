"""Stage `figures` as its command: all files, equal bytes, and data sets that lack what others have."""

import base64
import functools
import json
from pathlib import Path
from typing import Any

import drawn
import pytest
from drawn import runs

import evaluated
from evaluated import TEST, Runs
from vidistill.base.settings import parse
from vidistill.base.stage import UserError
from vidistill.report import figures

PAGES = {"results", "recall", "efficiency", "failures", "losses", "agreement", "coverage", "frames", "costs"}
PAGES |= {f"queries-{group}" for group in ("best", "median", "worst")}
PICTURES = {"efficiency.svg", "losses.svg", "agreement.svg", "recall.svg", "failures.svg", "frames.png"}


@pytest.fixture
def command(config):
    """Evaluate the runs, then run the stage; the files that it wrote, by name."""

    def run(data: Runs, teachers: tuple[str, ...] = ("baseline",), *, out: str = "out", **changes: Any):
        result = evaluated.evaluate(data, config["evaluate"], **changes)
        options = data.write()
        del options["--problems"], options["--models"], options["--efficiency"]
        exported = [result["model"], *teachers]
        for shift, model in enumerate(exported):
            for option, files in drawn.export(data, model, float(shift)).items():
                options.setdefault(option, []).extend(files)
        stage = {"evaluate": result["settings"], "teachers": teachers, "exported": exported, "collection": "c"}
        settings = {**config["figures"], "queries": 1, **stage, "decode": config["decode"], "flow": None}
        options["--settings"] = [json.dumps(settings)]
        options["--result"] = [str(data.root / "result.json")]
        options["--benchmarks"] = [str(data.root / "none")]
        options["--videos"] = [str(data.root / "gone")]
        folder = data.root / out
        options["--folder"] = [str(folder)]
        arguments = [a for option, values in options.items() for a in (option, *values)]
        figures.main([*arguments])
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    return run


def test_every_page_and_picture_is_written_and_equal_runs_are_equal_bytes(tmp_path: Path, command):
    data = runs(tmp_path)
    first = command(data)
    assert set(first) == PICTURES | {f"{name}.html" for name in PAGES}
    assert first == command(data, out="again")
    for name, content in first.items():
        if name.endswith(".html"):
            text = content.decode()
            assert text.startswith("<!doctype html>")
            assert "<script" not in text
            assert 'src="http' not in text


def test_a_baseline_alone_with_one_seed_and_no_training_moments(tmp_path: Path, command):
    data = runs(tmp_path)
    data.moments = data.moments.iloc[:TEST]
    found = command(data, (), model="baseline", compare_with=[], seeds=[0])
    assert set(found) == PICTURES | {f"{name}.html" for name in PAGES}
    assert b"constant interval cannot be fitted" in found["results.html"]


def test_without_moments_pages_say_so_and_show_what_is_predicted(tmp_path: Path, command):
    data = runs(tmp_path)
    data.moments = data.moments.iloc[:0]
    found = command(data)
    assert set(found) == PICTURES | {f"{name}.html" for name in PAGES}
    for name in ("results", "recall", "efficiency", "failures"):
        assert b"Nothing can be scored" in found[f"{name}.html"]
    for group in ("best", "worst"):
        assert b"No query can be scored" in found[f"queries-{group}.html"]
        assert b"<img" not in found[f"queries-{group}.html"]
    words = drawn_texts(found["queries-median.html"])
    assert b"predicted" in words
    assert b"semantic activation map" in words
    assert b"truth" not in words
    assert b"IoU of the prediction" not in found["queries-median.html"]


def test_a_compared_model_without_a_scored_query(tmp_path: Path, command):
    data = runs(tmp_path)
    data.moments = data.moments.iloc[:1]
    first = data.queries["query_id"][0]
    data.tables = {k: t[t["query_id"] != first] if k[0] == "baseline" else t for k, t in data.tables.items()}
    found = command(data)
    assert b"Percent of 1 query" in found["results.html"]


def test_doubts_stand_on_the_pages(tmp_path: Path, command):
    data = runs(tmp_path)
    data.queries.loc[:1, "duration"] *= 1000
    data.queries.loc[TEST, "video_id"] = "v003"
    found = command(data)
    for name in ("results", "coverage"):
        assert b"annotated duration of 1 video" in found[f"{name}.html"]
        assert b"1 video of the split test is also in training" in found[f"{name}.html"]
    assert b"<td>v000</td>" in found["coverage.html"]


def drawn_texts(page: bytes) -> bytes:
    """The words of a page's first picture, which its SVG holds as comments."""
    return base64.b64decode(page.partition(b"svg+xml;base64,")[2].partition(b'"')[0])


def test_a_teacher_that_is_no_model_of_this_run(tmp_path: Path, command):
    found = command(runs(tmp_path), ("elsewhere",))
    assert b"between:test:elsewhere:1" in found["agreement.svg"]
    assert b"elsewhere: semantic activation map" in drawn_texts(found["queries-best.html"])


def test_a_model_without_a_local_branch_has_no_maps(tmp_path: Path, command, monkeypatch):
    monkeypatch.setattr(drawn, "export", functools.partial(drawn.export, maps=False))
    words = drawn_texts(command(runs(tmp_path), ())["queries-best.html"])
    assert b"predicted" in words
    assert b"semantic activation map" not in words


def test_settings_are_checked(config):
    about = {"teachers": [], "exported": [], "collection": "c", "decode": config["decode"], "flow": None}
    given = {"dataset": "d", "model": "m", "compare_with": [], "seeds": [0], "max_bad_share": 0.2}
    settings = {**config["figures"], **about, "evaluate": {**config["evaluate"], **given}}
    assert parse(figures.FiguresSettings, json.dumps(settings)).groups == config["figures"]["groups"]
    with pytest.raises(UserError, match="groups: 0 should be greater than or equal to 1"):
        parse(figures.FiguresSettings, json.dumps({**settings, "groups": 0}))
