"""JSON lines of moment_detr and lighthouse, and TimeLens's objects: several windows are one query."""

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import DATA
from vidistill.base.stage import UserError
from vidistill.data import moments, queries, rows, training_moments
from vidistill.data.annotations import charades, qvhighlights, sources, timelens
from vidistill.settings.queries import QueriesSettings

LINES = [
    {"qid": 1, "query": "A dog.", "vid": "x_60.0_210.0", "duration": 150, "relevant_windows": [[0, 10], [82, 150]]},
    {"qid": 2, "query": "A dog.", "vid": "x_60.0_210.0", "duration": 150, "relevant_windows": [[0, 10]]},
    {"qid": 3, "query": "A cat. ", "vid": "y.mp4", "duration": 150},
    {"qid": 4, "query": "Late.", "vid": "y.mp4", "duration": 150, "relevant_windows": [[160, 170], [4, 6], [4, 6]]},
]


def write(path: Path, lines: list[object]) -> str:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


def test_all_windows_of_a_line_are_moments_of_one_query(tmp_path: Path) -> None:
    found = qvhighlights.read(write(tmp_path / "a.jsonl", LINES), "test")
    table = queries.build(found, {}, "clamp")
    assert len(table) == 4
    assert table["video_id"].tolist() == ["x_60.0_210.0", "x_60.0_210.0", "y", "y"]
    made, problems = moments.build(found, {}, "clamp")
    by_query = made.groupby("query_id")[["start", "end"]].apply(lambda part: part.to_numpy().tolist()).to_dict()
    first, second, _, late = table["query_id"]
    assert (first, second) == (first[:-1] + "0", first[:-1] + "1")  # equal sentences are told apart by their qid
    assert by_query == {first: [[0, 10], [82, 150]], second: [[0, 10]], late: [[4, 6]]}
    assert [(p.line, p.action) for p in problems] == [(4, "dropped"), (4, "dropped")]  # too late, and named twice
    later = [{**LINES[0], "relevant_windows": [[0, 10], [82, 149]]}, *LINES[1:]]
    changed = qvhighlights.read(write(tmp_path / "b.jsonl", later), "test")
    assert len({rows.moments_digest(one, "clamp", ["test"]) for one in (found, changed)}) == 2
    earliest = training_moments.select(made, table, ["test"])
    assert earliest.set_index("query_id").loc[first, "end"] == 10


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "not a JSON object"),
        ({"qid": 1, "vid": "x"}, "the query is None; give a text"),
        ({"qid": 1, "vid": "x", "query": "q", "relevant_windows": [[1, 2, 3]]}, r"window 1: it is not \[start, end\]"),
        ({"qid": 1, "vid": "x", "query": "q", "relevant_windows": 3}, "is not a list"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path: Path, line: object, said: str) -> None:
    with pytest.raises(UserError, match=f"a.jsonl, line 2.*{said}"):
        qvhighlights.read(write(tmp_path / "a.jsonl", [LINES[0], line]), "test")


def test_a_split_may_have_a_format_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("AAAAA 1.0 2.0##a person sits.\n")
    entry = {"BBBBB": {"duration": 9.5, "spans": [[0.0, 4.0], [5, 6]], "queries": ["a person runs.", "a dog."]}}
    (tmp_path / "test.json").write_text(json.dumps(entry))
    settings = QueriesSettings(
        dataset="d",
        format="charades",
        formats={"test": "timelens"},
        annotations={"train": (str(tmp_path / "train.txt"),), "test": (str(tmp_path / "test.json"),)},
    )
    found = [(a.video_id, a.sentence, a.split, a.start, a.end, a.duration) for a in sources.read(settings)]
    assert found == [
        ("BBBBB", "a person runs.", "test", 0.0, 4.0, 9.5),
        ("BBBBB", "a dog.", "test", 5.0, 6.0, 9.5),
        ("AAAAA", "a person sits.", "train", 1.0, 2.0, None),
    ]
    (tmp_path / "test.json").write_text(json.dumps({"BBBBB": {"duration": 9.5, "spans": [[0.0, 4.0]], "queries": []}}))
    with pytest.raises(UserError, match="video BBBBB: spans and queries are not two lists of the same length"):
        timelens.read(str(tmp_path / "test.json"), "test")


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the annotations of Charades-STA")
def test_charades_is_the_same_in_both_forms() -> None:
    folder = DATA / "charades-sta"
    lines = qvhighlights.read(str(folder / "lighthouse_charades_test_release.jsonl"), "test")
    texts = charades.read(str(folder / "charades_sta_test.txt"), "test")
    assert len(lines) == len(texts) == 3720
    same = [
        (a.video_id, a.sentence, a.start) == (b.video_id, b.sentence, b.start)
        for a, b in zip(lines, texts, strict=True)
    ]
    assert np.mean(same) == 1
