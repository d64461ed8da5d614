"""Stages `queries` and `moments`: from annotation files to tables, ids, durations, and the list of flawed rows."""

import collections
import csv
import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pandas as pd
import pytest

from conftest import ROOT, data
from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data import moments, queries, rows
from vidistill.data.annotations import sources
from vidistill.data.annotations.annotation import Annotation
from vidistill.data.annotations.sources import QueriesSettings
from vidistill.data.moments import Problem
from vidistill.data.rows import query_ids


class Tables(NamedTuple):
    queries: pd.DataFrame
    moments: pd.DataFrame
    problems: list[Problem]


def build(annotations: list[Annotation], videos: Mapping[str, Path], policy: str) -> Tables:
    """What both stages make."""
    table = queries.build(annotations, videos, policy)
    known = table.dropna(subset=["duration"])
    durations = dict(zip(known["query_id"], known["duration"], strict=True))
    return Tables(table, *moments.build(annotations, durations, policy))


def row(video: str = "v", sentence: str = "a man runs.", start: Any = 1.0, end: Any = 2.0, **more: Any) -> Annotation:
    values = {"split": "train", "duration": 10.0, "file": "a.csv", "line": 1, **more}
    return Annotation(video_id=video, sentence=sentence, start=start, end=end, **values)


def settings(**changes: Any) -> QueriesSettings:
    values = {"dataset": "mine", "format": "table", "durations": [], "beyond_duration": "clamp", **changes}
    return settings_module.parse(QueriesSettings, json.dumps(values))


def write_video(path: Path, frames: int, fps: int = 10) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for value in range(frames):
            image = np.full((32, 32, 3), value * 5 % 256, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def run_stage(folder: Path, wanted: QueriesSettings, *videos: Path) -> subprocess.CompletedProcess[str]:
    values = {**vars(wanted), "annotations": {k: list(v) for k, v in wanted.annotations.items()}}
    environment = {"PYTHONPATH": str(ROOT / "workflow"), "PATH": ""}

    def stage(name: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", f"vidistill.data.{name}", "--settings", json.dumps(values), *options]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)

    table = ("--queries", folder / "q.parquet")
    done = stage("queries", "--videos", *videos, *table)
    if done.returncode:
        return done
    return stage("moments", *table, "--moments", folder / "m.parquet", "--problems", folder / "p.csv")


# --- Ids


def test_an_id_names_video_sentence_and_occurrence() -> None:
    rows = [row(), row(start=3.0, end=4.0), row("w"), row(sentence="Another.")]
    a, b, c, d = query_ids(rows)
    assert a == "v#a5d6f69bed5e#0"
    assert b == a[:-1] + "1"
    assert c == "w" + a[1:]
    assert d.split("#")[1] != a.split("#")[1]


def test_ids_stay_when_rows_are_inserted() -> None:
    rows = [row(), row("w"), row(sentence="x"), row(start=3.0, end=4.0), row("w", sentence="y")]
    new = [row("a"), row(sentence="before"), row("w", sentence="z", start=0.0)]
    before = dict(zip(rows, query_ids(rows), strict=True))
    mixed = [new[0], rows[0], new[1], *rows[1:4], new[2], rows[4]]
    after = dict(zip(mixed, query_ids(mixed), strict=True))
    assert {r: after[r] for r in rows} == before
    assert len(set(after.values())) == len(mixed)


def test_a_row_that_stands_there_twice_moves_no_id() -> None:
    rows = [row(), row(start=3.0, end=4.0)]
    assert list(query_ids([rows[0], rows[0], rows[1]])) == [next(query_ids(rows)), None, list(query_ids(rows))[1]]
    nan = row(start=math.nan)
    assert list(query_ids([nan, row(start=float("nan"))]))[1] is None


def test_ids_do_not_depend_on_split_times_or_what_is_dropped() -> None:
    rows = [row(end=12.0), row(start=3.0, end=4.0)]
    clamped, dropped = (build(rows, {}, policy).queries for policy in ("clamp", "drop"))
    assert list(dropped["query_id"]) == list(clamped["query_id"])[1:]
    assert list(query_ids([row()])) == list(query_ids([row(split="test", start=None, end=None, duration=None)]))


# --- Flawed rows


@pytest.mark.parametrize(
    ("flawed", "action", "problem", "moment"),
    [
        (row(), None, None, (1.0, 2.0)),
        (row(end=10.0), None, None, (1.0, 10.0)),
        (row(start=None, end=None), None, None, None),
        (row(end=12.0), "clamped", "end 12 is beyond the duration 10", (1.0, 10.0)),
        (row(start=2.0), "dropped", "start 2 is not before end 2", None),
        (row(start=3.0), "dropped", "start 3 is not before end 2", None),
        (row(start=10.0, end=12.0), "dropped", "start 10 is not before the end of the video, 10", None),
        (row(start=math.nan), "dropped", "start nan or end 2 is not finite", None),
        (row(end=math.inf), "dropped", "start 1 or end inf is not finite", None),
        (row(end=None), "dropped", "only one of start and end is given", None),
        (row(sentence=""), "dropped", "the sentence is empty", None),
    ],
)
def test_a_flawed_row_is_mended_or_left_out_and_listed(
    flawed: Annotation, action: str | None, problem: str | None, moment: tuple[float, float] | None
) -> None:
    sound = row("other")
    tables = build([sound, flawed], {}, "clamp")
    assert [(p.problem, p.action) for p in tables.problems] == ([(problem, action)] if action else [])
    assert list(tables.queries["video_id"]) == (["other"] if action == "dropped" else ["other", "v"])
    moments = [tuple(m) for m in tables.moments[["start", "end"]].to_numpy()]
    assert moments == [(1.0, 2.0), *([moment] if moment else [])]


def test_a_repeated_row_is_dropped_and_listed_with_its_place() -> None:
    tables = build([row(), row(line=2), row(line=3, split="test")], {}, "clamp")
    assert tables.problems == [Problem("a.csv", 2, "train", "v", "a man runs.", "the same row stands above", "dropped")]
    assert list(tables.queries["split"]) == ["train", "test"]


def test_beyond_duration_drop_leaves_other_rows_alone() -> None:
    tables = build([row(end=10.001), row("w", end=10.0), row("x", duration=None, end=99.0)], {}, "drop")
    assert list(tables.queries["video_id"]) == ["w", "x"]
    assert [p.action for p in tables.problems] == ["dropped", "kept"]


# --- Durations


def test_a_duration_is_asked_of_the_video(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", 25)
    rows = [row(duration=None, end=9.0), row(sentence="b", duration=0.0), row(sentence="c", duration=3.0)]
    tables = build(rows, {"v": tmp_path / "v.mp4"}, "clamp")
    assert list(tables.queries["duration"]) == [2.5, 2.5, 3.0]
    assert list(tables.moments["end"]) == [2.5, 2.0, 2.0]


def test_an_unknown_duration_is_null_and_told_once_a_video(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "empty.mp4").touch()
    videos = {name: tmp_path / f"{name}.mp4" for name in ("bad", "empty", "absent")}
    rows = [row(name, sentence, duration=None) for name in (*videos, "none") for sentence in ("a", "b")]
    tables = build(rows, videos, "clamp")
    assert len(tables.queries) == 8
    assert tables.queries["duration"].isna().all()
    assert [(p.video_id, p.action) for p in tables.problems] == [(v, "kept") for v in (*videos, "none")]
    assert {p.problem for p in tables.problems} == {"the duration is unknown: no annotation and no video file gives it"}


def test_a_video_file_costs_a_query_its_moment_at_most(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", 25)
    beyond = row(duration=None, start=3.0, end=4.0)
    for policy in ("clamp", "drop"):
        tables = build([beyond], {"v": tmp_path / "v.mp4"}, policy)
        assert len(tables.queries) == 1
        assert tables.moments.empty
        assert [p.action for p in tables.problems] == ["kept"]


def test_a_corrected_moment_is_none_of_what_training_sees() -> None:
    table = [row(), row("w", end=None, start=None), row("x", end=12.0)]
    same = [row(start=0.5), row("w", start=1.0, end=3.0), row("x", end=11.0)]
    for policy in ("clamp", "drop"):
        assert rows.digest(table, policy) == rows.digest(same, policy)
        for other in ([row(sentence="Another."), *table[1:]], [row(duration=11.0), *table[1:]], table[1:]):
            assert rows.digest(table, policy) != rows.digest(other, policy)
    assert rows.digest(table, "drop") != rows.digest([*table[:2], row("x")], "drop")  # the row is a query now


def test_files_of_folders(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("folder/a.mp4", "folder/b.MKV", "folder/notes.txt", "c.mp4"):
        (tmp_path / name).touch()
    found = queries.video_files([tmp_path / "folder", tmp_path / "c.mp4"])
    assert {key: file.name for key, file in found.items()} == {"a": "a.mp4", "b": "b.MKV", "c": "c.mp4"}


# --- Labels


def label(text: str, start: Any = 1.0, end: Any = 2.0, video: str = "v", **more: Any) -> Annotation:
    return row(video, "", start, end, label=text, **more)


def test_segments_of_a_label_are_one_query() -> None:
    annotations = [label("jump"), label("run", 3.0, 4.0), label("jump", 5.0, 6.0), label("jump", video="w")]
    tables = build(annotations, {}, "keep")
    found = tables.queries.set_index("query_id")
    jump, run = (f"v#{hashlib.sha256(text.encode()).hexdigest()[:12]}#0" for text in ("jump", "run"))
    assert list(found.index) == [jump, run, "w" + jump[1:]]
    assert list(found["label"]) == ["jump", "run", "jump"]
    assert found["sentence"].isna().all()
    assert tables.moments.to_dict("list") == {
        "query_id": [jump, run, jump, "w" + jump[1:]],
        "start": [1.0, 3.0, 5.0, 1.0],
        "end": [2.0, 4.0, 6.0, 2.0],
    }
    assert tables.problems == []
    # A video in two splits has a query in each.
    again = build([*annotations, label("jump", split="test")], {}, "keep").queries
    assert list(again["query_id"]) == [*found.index, jump[:-1] + "1"]


def test_a_video_without_labels_is_one_query() -> None:
    none = {"start": None, "end": None}
    tables = build([label("", video="u", **none), label("run", **none), label("", **none)], {}, "keep")
    assert tables.queries[["video_id", "label"]].fillna("none").to_numpy().tolist() == [["u", "none"], ["v", "run"]]
    assert tables.moments.empty
    # An empty label of a video that has one is no video without labels.
    assert [(p.video_id, p.problem, p.action) for p in tables.problems] == [("v", "the label is empty", "dropped")]


@pytest.mark.parametrize(
    ("flawed", "policy", "problem", "moment"),
    [
        (label("run", 9.0, 12.0), "keep", ("end 12 is beyond the duration 10", "kept"), (9.0, 12.0)),
        (label("run", 9.0, 12.0), "clamp", ("end 12 is beyond the duration 10", "clamped"), (9.0, 10.0)),
        (label("run", 9.0, 12.0), "drop", ("end 12 is beyond the duration 10", "dropped"), None),
        (label("run", 11.0, 12.0), "keep", ("start 11 is not before the end of the video, 10", "kept"), (11.0, 12.0)),
        (label("run", 11.0, 12.0), "clamp", ("start 11 is not before the end of the video, 10", "dropped"), None),
        (label("run", 3.0, 3.0), "keep", ("start 3 is not before end 3", "dropped"), None),
        (label("run", None, 3.0), "keep", ("only one of start and end is given", "dropped"), None),
    ],
)
def test_a_flawed_segment_leaves_the_label(
    flawed: Annotation, policy: str, problem: tuple[str, str], moment: tuple[float, float] | None
) -> None:
    tables = build([flawed], {}, policy)
    assert [(p.problem, p.action, p.sentence) for p in tables.problems] == [(*problem, "run")]
    assert list(tables.queries["label"]) == ["run"]
    assert [tuple(m) for m in tables.moments[["start", "end"]].to_numpy()] == ([moment] if moment else [])


def test_a_segment_within_a_millisecond_of_one_before_is_dropped() -> None:
    annotations = [label("run"), label("run", 1.0009, 1.9995), label("run", 1.002, 2.0), label("walk", 1.0, 2.0)]
    tables = build(annotations, {}, "keep")
    assert list(tables.moments["start"]) == [1.0, 1.002, 1.0]
    assert [(p.problem, p.action) for p in tables.problems] == [rows.REPEATED]


def test_a_label_that_the_list_of_a_training_video_lacks_is_dropped() -> None:
    none = {"start": None, "end": None}
    tables = build([label("jump", unlisted=True), label("", **none)], {}, "keep")
    assert tables.queries["label"].isna().tolist() == [True]
    assert tables.moments.empty
    assert [(p.problem, p.action) for p in tables.problems] == [("the video's list of labels lacks 'jump'", "dropped")]


def test_a_corrected_segment_is_none_of_what_training_sees() -> None:
    table = [label("jump"), label("run", 3.0, 4.0), label("jump", 5.0, 6.0)]
    same = [label("jump", 0.0, 9.0), label("run", None, None)]
    assert rows.digest(table, "keep") == rows.digest(same, "keep")
    assert rows.digest(table, "keep") != rows.digest([*same, label("fall")], "keep")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "activitynet13"}, "the format activitynet13 holds labels.*set task: localization"),
        ({"format": "charades", "task": "localization"}, "the format charades holds sentences.*set task: grounding"),
        ({"subsets": {"train": "a", "test": "a"}}, "subsets"),
        ({"labels": "list"}, "labels: 'list' is not supported"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        settings(annotations={"train": ["a.csv"]}, **changes)


def test_moments_of_labels_are_kept_and_those_of_sentences_clamped_by_default() -> None:
    for task, policy in (("localization", "keep"), ("grounding", "clamp")):
        values = {"dataset": "mine", "task": task, "annotations": {"train": ["a.csv"]}}
        assert settings_module.parse(QueriesSettings, json.dumps(values)).beyond_duration == policy


def test_a_table_of_labels_goes_through_the_stage(tmp_path: Path) -> None:
    table = "video,label,start,end,split\nb.mp4,run,0,1,test\nb.mp4,run,2,99,test\na,jump,,,\nc,,,,\n"
    (tmp_path / "a.csv").write_text(table)
    wanted = settings(annotations={"train": [f"{tmp_path}/a.csv"]}, task="localization", beyond_duration="keep")
    result = run_stage(tmp_path, wanted)
    assert result.returncode == 0, result.stderr
    found = store.read_table(tmp_path / "q.parquet")
    assert found[["video_id", "split", "label"]].fillna("none").to_numpy().tolist() == [
        ["a", "train", "jump"],
        ["b", "test", "run"],
        ["c", "train", "none"],
    ]
    assert store.read_table(tmp_path / "m.parquet")["end"].tolist() == [1.0, 99.0]


# --- The stage as a command


def test_the_stage_writes_equal_files_for_equal_input(tmp_path: Path) -> None:
    table = 'video,sentence,start,end,split\nb.mp4,x,0,1,test\nb.mp4,"y, z",2,99,test\na,w,,,\na,v,3,2,\n'
    (tmp_path / "a.csv").write_text(table)
    write_video(tmp_path / "b.mp4", 50)
    wanted = settings(annotations={"train": [f"{tmp_path}/a.csv"]})
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        result = run_stage(tmp_path / name, wanted, tmp_path / "b.mp4")
        assert result.returncode == 0, result.stderr
        files.append([(tmp_path / name / file).read_bytes() for file in ("q.parquet", "m.parquet", "p.csv")])
    assert files[0] == files[1]

    table = store.read_table(tmp_path / "one" / "q.parquet")
    assert list(table.columns) == ["query_id", "video_id", "split", "duration", "sentence", "label"]
    assert list(table["query_id"]) == sorted(table["query_id"])
    assert dict(zip(table["sentence"], table["split"], strict=True)) == {"w": "train", "x": "test", "y, z": "test"}
    assert dict(zip(table["sentence"], table["duration"].fillna(-1), strict=True)) == {"w": -1, "x": 5.0, "y, z": 5.0}
    assert table["label"].isna().all()
    moments = store.read_table(tmp_path / "one" / "m.parquet")
    by_sentence = moments.merge(table, on="query_id").set_index("sentence")
    assert by_sentence[["start", "end"]].to_dict("index") == {
        "x": {"start": 0, "end": 1},
        "y, z": {"start": 2, "end": 5},
    }
    metadata = store.read_metadata(tmp_path / "one" / "m.parquet")
    assert metadata["dataset"] == "mine"
    assert json.loads(metadata["files"]) == {f"{tmp_path}/a.csv": store.file_digest(tmp_path / "a.csv")}
    with open(tmp_path / "one" / "p.csv", newline="", encoding="utf-8") as file:
        problems = [(p["line"], p["video_id"], p["sentence"], p["action"]) for p in csv.DictReader(file)]
    assert problems == [("3", "b", "y, z", "clamped"), ("4", "a", "w", "kept"), ("5", "a", "v", "dropped")]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("video,sentence\nv,x\nv\n", "a.csv, line 3: the row has 1 cell"),
        ("video,sentence\nv,\n", "no usable query in 1 row;"),
    ],
)
def test_the_stage_ends_with_one_sentence_and_no_file(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(table)
    result = run_stage(tmp_path, settings(annotations={"train": [f"{tmp_path}/a.csv"]}))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


# --- The real data sets


@pytest.mark.parametrize(("policy", "train", "test"), [("clamp", 12_408, 3_720), ("drop", 10_606, 3_158)])
def test_the_two_splits_of_charades_sta(policy: str, train: int, test: int) -> None:
    wanted = settings(
        format="charades",
        annotations={s: [str(data("charades-sta", f"charades_sta_{s}.txt"))] for s in ("train", "test")},
        durations=[str(data("charades-sta", f"Charades_v1_{s}.csv")) for s in ("train", "test")],
        beyond_duration=policy,
    )
    tables = build(sources.read(wanted), {}, policy)
    assert tables.queries["split"].value_counts().to_dict() == {"train": train, "test": test}
    assert tables.queries["query_id"].is_unique
    assert len(tables.moments) == train + test
    assert len(tables.problems) == 1802 + 562
    ends = tables.moments.merge(tables.queries, on="query_id")
    assert (ends["end"] <= ends["duration"]).all()


def test_activitynet_captions() -> None:
    names = {"train": "train", "test": "val_2", "val": "val_1"}
    wanted = settings(
        format="activitynet",
        annotations={split: [str(data("activitynet-captions", f"{name}.json"))] for split, name in names.items()},
    )
    tables = build(sources.read(wanted), {}, "clamp")
    assert tables.queries["split"].value_counts().to_dict() == {"train": 37_417, "test": 17_031, "val": 17_505}
    dropped = [p for p in tables.problems if p.action == "dropped"]
    assert {p.video_id for p in dropped} == {"v_N7ppHQNikv8", "v_4rKTw99bM8g", "v_0bosp4-pyTM", "v_rhOtqArO-3Y"}
    assert [p.action for p in tables.problems].count("clamped") == 261 + 134 + 111
    without_val = settings(
        format="activitynet", annotations={s: list(wanted.annotations[s]) for s in ("train", "test")}
    )
    fewer = build(sources.read(without_val), {}, "clamp").queries
    assert set(fewer["query_id"]) == set(tables.queries["query_id"][tables.queries["split"] != "val"])


def thumos14(**changes: Any) -> QueriesSettings:
    file = str(data("thumos14", "thumos14.json"))
    about = {"format": "activitynet13", "task": "localization", "subsets": {"train": "validation", "test": "test"}}
    return settings(**about, annotations={"train": [file]}, beyond_duration="keep", **changes)


@pytest.mark.parametrize(("labels", "train"), [("file", 3_007 - 30), ("segments", 3_007)])
def test_thumos14(labels: str, train: int) -> None:
    tables = build(sources.read(thumos14(labels=labels)), {}, "keep")
    split = tables.queries.set_index("query_id")["split"]
    assert tables.moments["query_id"].map(split).value_counts().to_dict() == {"train": train, "test": 3_358}
    assert tables.queries.groupby("split")["video_id"].nunique().to_dict() == {"train": 200, "test": 212}
    assert tables.queries["label"].nunique() == 20
    assert tables.queries["query_id"].is_unique
    late = [p for p in tables.problems if "is not before the end of the video" in p.problem]
    assert {p.action for p in late} == {"kept"}
    assert collections.Counter(p.video_id for p in late)["video_test_0000270"] == 22
    assert len(late) == 30
    assert len(tables.problems) == 30 + 3_007 - train


def test_activitynet_1_3() -> None:
    wanted = settings(
        format="activitynet13",
        task="localization",
        annotations={"train": [str(data("activitynet-1.3", "activitynet_bmn.json"))]},
        beyond_duration="keep",
    )
    tables = build(sources.read(wanted), {}, "keep")
    assert tables.queries.groupby("split")["video_id"].nunique().to_dict() == {"train": 9_649, "test": 4_728}
    assert tables.queries["label"].nunique() == 200
    dropped = collections.Counter(p.problem for p in tables.problems if p.action == "dropped")
    repeated = dropped.pop(rows.REPEATED[0])
    assert (repeated, dropped.total()) == (50, 12)  # 45 of them are repeated to the last digit
    assert len(tables.moments) == 14_859 + 7_293 - 62
