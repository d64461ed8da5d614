"""The workflow through Snakemake itself: which jobs a target needs, what a run lacks, whole runs of small videos."""

import json
import shutil
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from data_sets import IDS, actions_tree, activitynet_tree, charades_tree, put, tacos_tree
from own_videos import draw
from vidistill.planning.plan import merge
from workflow_runs import TINY, clone, run

RESULT = "results/student_demo.json"
CHARADES = [
    *("AO8RW", "GG4UR", "KJ8G2", "BY6ZZ", "UZMMO", "GJJA1", "YEHFQ", "QUGSS", "AK9IB", "0AGCS"),
    *("6FUDS", "ED6VQ", "54VBR", "UPJWV", "64F1C", "3MSZA", "BL7OF", "YZ8HK", "WKPQ3", "KERO6"),
]


def shards(ids: list[str], number: int) -> int:
    return len({zlib.crc32(video.encode()) % number for video in ids})


def whole_chain(videos: int, streams: int = 2, seeds: int = 3) -> Counter[str]:
    """The jobs of a student's result over so many shards of videos."""
    each = {"decode": videos, "flow": videos, "extract": streams * videos}
    return Counter(
        {
            **each,
            "queries": 1,
            "moments": 1,
            "vocabulary": 1,
            "availability": 3,
            "train": 3 * seeds,
            "export": seeds,
            "retrieve": 3 * seeds,
            "efficiency": 1,
            "evaluate": 1,
        }
    )


@pytest.mark.parametrize("dataset", ["charades", "charades-cpl"])
def test_a_result_on_charades_needs_exactly_its_jobs(tmp_path: Path, dataset: str) -> None:
    charades_tree(tmp_path)
    outcome = run(tmp_path, f"results/student_{dataset}.json", dry=True)
    assert outcome.status == 0, outcome.text
    assert outcome.jobs == whole_chain(shards(IDS, 200))


def test_a_result_on_activitynet_needs_exactly_its_jobs(tmp_path: Path) -> None:
    activitynet_tree(tmp_path)
    outcome = run(tmp_path, "results/student_activitynet.json", dry=True)
    assert outcome.status == 0, outcome.text
    number = shards([f"v_{video}" for video in IDS], 450)
    # C3D has frames at the videos' own rate, the flow of I3D at 25 a second.
    assert outcome.jobs == whole_chain(number) + Counter({"decode": number})


def test_a_result_on_tacos_needs_exactly_its_jobs(tmp_path: Path) -> None:
    tacos_tree(tmp_path)
    outcome = run(tmp_path, "results/student_tacos.json", dry=True)
    assert outcome.status == 0, outcome.text
    assert outcome.jobs == whole_chain(shards(IDS, 40))


def actions_of(videos: int, models: int = 2, seeds: int = 3) -> Counter[str]:
    """The jobs of a result of a model of actions, which is compared with another, over so many shards of videos."""
    each = {"decode": videos, "flow": videos, "extract": 2 * videos, "queries": 1, "training_labels": 1, "moments": 1}
    made = {"availability": models, "train_actions": models * seeds, "localise": models * seeds}
    return Counter({**each, **made, "efficiency": 1, "localisation": 1})


@pytest.mark.parametrize(("dataset", "number", "prefix"), [("thumos14", 50, ""), ("activitynet-1.3", 450, "v_")])
def test_a_result_on_labels_needs_exactly_its_jobs(tmp_path: Path, dataset: str, number: int, prefix: str) -> None:
    actions_tree(tmp_path, dataset)
    outcome = run(tmp_path, f"results/mmsd_{dataset}.json", dry=True)
    assert outcome.status == 0, outcome.text
    assert outcome.jobs == actions_of(shards([prefix + video for video in IDS], number))
    (evaluated,) = outcome.inputs("localisation")
    assert ("data/thumos14/Ambiguous_test.txt" in evaluated) == (dataset == "thumos14")
    if dataset == "thumos14":
        (tmp_path / "data/thumos14/Ambiguous_test.txt").unlink()
        (said,) = run(tmp_path, f"results/mmsd_{dataset}.json", dry=True).errors
        assert said.startswith(
            "data/thumos14/Ambiguous_test.txt is missing (set by datasets.thumos14.localisation.ambiguous); get it from"
        )


def test_what_is_not_for_a_data_set_is_said_in_one_sentence(tmp_path: Path) -> None:
    charades_tree(tmp_path)
    (said,) = run(tmp_path, "results/mmsd_charades.json", dry=True).errors
    assert said == (
        "configuration, mmsd, mmsd-base on charades: they learn from labels, and the data set has sentences (task: "
        "grounding); ask for another data set, or for a model of method mmdist or emtm."
    )
    (said,) = run(tmp_path, "results/emtm_demo-actions.json", dry=True).errors
    assert "emtm, fast, map2d, seqpan on demo-actions: they learn from sentences" in said


def test_the_tables_of_labels_are_those_of_models_of_actions(tmp_path: Path) -> None:
    outcome = run(tmp_path, "results/tables_demo-actions.md", dry=True)
    made = actions_of(4, models=10) + Counter({"demo": 1, "demo_actions": 1, "efficiency_of_tables": 1, "tables": 1})
    made.update({"efficiency": 9, "localisation": 9})
    assert outcome.jobs == made, outcome.text


def test_without_a_target_the_demo_is_built_and_nothing_else_need_be_there(tmp_path: Path) -> None:
    with_target, without = run(tmp_path, RESULT, dry=True), run(tmp_path, dry=True)
    assert with_target.status == without.status == 0, without.text
    assert with_target.jobs == without.jobs == whole_chain(4) + Counter({"demo": 1})


def test_a_baseline_needs_neither_flow_nor_teacher(tmp_path: Path) -> None:
    charades_tree(tmp_path)
    (tmp_path / "data/weights/flow_imagenet.pt").unlink()
    made = run(tmp_path, "results/baseline_charades.json", dry=True).jobs
    number = shards(IDS, 200)
    assert made == {
        "decode": number,
        "extract": number,
        "queries": 1,
        "moments": 1,
        "vocabulary": 1,
        "availability": 1,
        "train": 3,
        "retrieve": 3,
        "efficiency": 1,
        "evaluate": 1,
    }


def test_a_named_variant_is_built_like_any_model(tmp_path: Path) -> None:
    charades_tree(tmp_path)
    distillation = {"mmdist": {"distillation": {"local_level": False}}}
    changes = {"models": {"student-global": {"parent": "student", "compare_with": [], **distillation}}, "seeds": [4]}
    outcome = run(tmp_path, "results/student-global_charades.json", changes=changes, dry=True)
    assert outcome.jobs["train"] == 2, outcome.text  # itself and its teacher
    assert outcome.jobs["export"] == 1
    assert any("results/charades/teacher/seed-4/pseudo_labels.parquet" in files for files in outcome.inputs("train"))


def test_the_seeds_that_are_teachers_are_trained_whatever_the_seed_of_the_student(tmp_path: Path) -> None:
    charades_tree(tmp_path)
    changes = {"models": {"student-voting": {"compare_with": []}}, "seeds": [4]}
    outcome = run(tmp_path, "results/student-voting_charades.json", changes=changes, dry=True)
    assert (outcome.jobs["train"], outcome.jobs["export"]) == (4, 3), outcome.text
    taught = next(files for files in outcome.inputs("train") if "pseudo_labels" in str(files))
    assert [f"seed-{seed}" in str(taught) for seed in range(5)] == [True, True, True, False, False]


def test_the_report_of_a_model_of_actions_has_pages_of_its_own(tmp_path: Path) -> None:
    outcome = run(tmp_path, "results/report_mmsd_demo-actions.html", config=[TINY], dry=True)
    assert outcome.jobs["action_figures"] == outcome.jobs["overview"] == 1, outcome.text
    assert "figures" not in outcome.jobs
    (pages,) = outcome.inputs("overview")
    assert {"results", "precision", "rounds", "videos-worst"} <= {Path(page).stem for page in pages}


def test_students_of_mmsd_are_trained_after_it(tmp_path: Path) -> None:
    students = ["results/mmsd-student_demo-actions.json", "results/student-mmsd_demo-actions.json"]
    outcome = run(tmp_path, *students, config=[TINY], dry=True)
    # mmsd, mmsd-rgb and mmsd-student; the student and the baseline that its result compares with.
    assert (outcome.jobs["train_actions"], outcome.jobs["train"]) == (3, 2), outcome.text
    tables = [files for files in outcome.inputs("train") if "pseudo_labels.parquet" in str(files)]
    assert ["mmsd/seed-0/activation_maps.parquet" in str(files) for files in tables] == [True]
    assert not any("moments" in str(files) for rule in ("train", "train_actions") for files in outcome.inputs(rule))


def test_the_tables_need_every_ablation_and_share_what_they_can(tmp_path: Path) -> None:
    charades_tree(tmp_path)
    left_out = {
        name: []
        for name in (
            "Controls",
            "Several teachers",
            "Contrast",
            "EMTM",
            *(f"EMTM {of}" for of in ("teachers", "ablations", "widths", "without moments")),
        )
    }
    outcome = run(tmp_path, "results/tables_charades.md", changes={"tables": left_out}, dry=True)
    chain = whole_chain(shards(IDS, 200))
    # Six more models of three seeds, no more features; each result is measured, and all of them together.
    chain.update({"availability": 6, "train": 6 * 3, "retrieve": 6 * 3})
    chain.update({"efficiency": 8, "evaluate": 8, "efficiency_of_tables": 1})
    assert outcome.jobs == chain + Counter({"tables": 1}), outcome.text


def test_a_student_of_baselines_needs_no_optical_flow(tmp_path: Path) -> None:
    charades_tree(tmp_path)
    outcome = run(tmp_path, "results/student-contrast_charades.json", dry=True)
    assert outcome.status == 0, outcome.text
    assert (outcome.jobs["flow"], outcome.jobs["train"]) == (0, 4 * 3)  # with those that it is compared with


def test_a_student_of_emtm_needs_its_three_teachers_and_their_tables(tmp_path: Path) -> None:
    charades_tree(tmp_path)
    made = run(tmp_path, "results/emtm_charades.json", dry=True).jobs
    chain = whole_chain(shards(IDS, 200))
    # Of MMDist the teacher alone; of EMTM the student, two teachers and `fast`, which the result compares with.
    chain.update(
        {"availability": 2, "train": -2 * 3, "train_supervised": 4 * 3, "export": 2 * 3, "training_moments": 1}
    )
    chain["retrieve"] = 5 * 3
    assert made == chain


def test_a_video_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    charades_tree(tmp_path)
    left = IDS[:7]
    for video in IDS[7:]:
        (tmp_path / f"data/charades/videos/{video}.mp4").unlink()
    put(tmp_path, "data/charades/videos/V9999.mp4", "data/charades/videos/notes.txt")  # which nobody names
    assert run(tmp_path, "results/student_charades.json", dry=True).jobs["decode"] == shards(left, 200)


def test_only_evaluation_is_given_moments(tmp_path: Path) -> None:
    outcome = run(tmp_path, RESULT, dry=True)
    readers = {
        rule
        for rule in outcome.jobs
        for files in outcome.inputs(rule)
        if any("moments" in file or file.endswith("annotations.csv") for file in files)
    }
    assert readers == {"queries", "moments", "evaluate"}
    assert len(outcome.inputs("train")) == 9
    assert all(len(files) > 3 for files in outcome.inputs("train"))
    commands = [line for line in outcome.text.splitlines() if "--moments" in line]
    assert {command.split(" -m ")[1].split()[0] for command in commands} == {
        "vidistill.data.moments",
        "vidistill.evaluation.evaluate",
    }


ABSENT = [
    ("data/charades/videos", "collections.charades.videos", "https://prior.allenai.org"),
    ("data/charades/charades_sta_test.txt", "datasets.charades.annotations", "https://github.com/jiyanggao/TALL"),
    ("data/charades/Charades_v1_train.csv", "datasets.charades.durations", "https://prior.allenai.org"),
    ("data/glove/glove.840B.300d.txt", "datasets.charades.vocabulary.word_vectors", "null"),
    ("data/weights/flow_imagenet.pt", "collections.charades.streams.flow.weights", "https://github.com/piergiaj"),
]


@pytest.mark.parametrize(("path", "key", "where"), ABSENT, ids=[row[0] for row in ABSENT])
def test_what_is_missing_is_said_in_one_sentence(tmp_path: Path, path: str, key: str, where: str) -> None:
    charades_tree(tmp_path)
    absent = tmp_path / path
    shutil.rmtree(absent) if absent.is_dir() else absent.unlink()
    outcome = run(tmp_path, "results/student_charades.json", dry=True)
    assert outcome.status == 1
    assert len(outcome.errors) == 1, outcome.text
    assert outcome.errors[0].startswith(f"{path} is missing (set by {key}); ")
    assert where in outcome.errors[0]
    assert "Traceback" not in outcome.text
    assert "Exception" not in outcome.text


def test_everything_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    said = run(tmp_path, "results/student_charades.json", dry=True).errors
    assert len(said) == 8
    assert len(run(tmp_path, "results/baseline_charades.json", dry=True).errors) == 7  # no weights for flow
    others = ("results/tables_charades.csv", "results/charades/student/seed-0/model.safetensors")
    for target in (*others, "results/report_student_charades.html"):
        assert sorted(run(tmp_path, target, dry=True).errors) == sorted(said), target


def test_what_several_targets_lack_is_said_once_for_all(tmp_path: Path) -> None:
    alone = [f"results/{name}.json" for name in ("student_activitynet", "baseline_charades", "student_demo")]
    apart = {sentence for target in alone for sentence in run(tmp_path, target, dry=True).errors if target != alone[2]}
    outcome = run(tmp_path, *alone, dry=True)
    told = [line for line in outcome.text.splitlines() if line.startswith("error: ")]
    assert sorted(told) == sorted(f"error: {sentence}" for sentence in apart)


def test_tables_of_teachers_from_elsewhere_are_said_with_all_else(tmp_path: Path) -> None:
    files = {table: f"results/elsewhere/{{seed}}/{table}.parquet" for table in ("pseudo_labels", "activation_maps")}
    models = {"taught": {"parent": "student", "teachers": [{"name": "elder", **files}]}}
    said = run(tmp_path, "results/taught_charades.json", changes={"models": models, "seeds": [3, 4]}, dry=True).errors
    tables = [sentence for sentence in said if sentence.startswith("results/elsewhere/")]
    assert len(tables) == 4
    assert all("models.taught.teachers" in sentence for sentence in tables)
    assert len(said) > 10


def test_a_folder_without_any_named_video_is_said(tmp_path: Path) -> None:
    charades_tree(tmp_path)
    folder = tmp_path / "data/charades/videos"
    for video in IDS:
        (folder / f"{video}.mp4").rename(folder / f"renamed_{video}.mp4")
    said = run(tmp_path, "results/student_charades.json", dry=True).errors
    assert said == [
        "none of the 40 videos of data set 'charades' is in data/charades/videos; "
        "name the files by their ids, as in V0000.mp4, or correct collections.charades.videos."
    ]


def test_two_files_of_one_video_are_said(tmp_path: Path) -> None:
    charades_tree(tmp_path)
    put(tmp_path, "data/charades/videos/V0003.mkv")
    said = run(tmp_path, "results/baseline_charades.json", dry=True).errors
    assert said == ["data/charades/videos has two files of the video V0003, V0003.mkv and V0003.mp4; remove one."]


def test_too_few_shards_for_a_command_are_said(tmp_path: Path) -> None:
    ids = [f"{n:0120d}" for n in range(900)]
    charades_tree(tmp_path, ids)
    changes = {"collections": {"charades": {"shards": 1}}}
    outcome = run(tmp_path, "results/baseline_charades.json", changes=changes, dry=True)
    assert len(outcome.errors) == 1
    assert "900 videos, too many for one command; raise collections.charades.shards." in outcome.errors[0]
    assert run(tmp_path, "results/baseline_charades.json", dry=True).status == 0


@pytest.mark.long
def test_the_literal_command_runs_to_its_end_on_videos_of_charades(tmp_path: Path) -> None:
    clone(tmp_path)
    charades_tree(tmp_path, CHARADES)
    shutil.rmtree(tmp_path / "data/charades/videos")
    draw(tmp_path / "data/charades/videos", [f"{video}.mp4" for video in CHARADES[1:]])  # one is missing
    (tmp_path / "data/charades/videos" / f"{CHARADES[2]}.mp4").write_bytes(b"no video")  # and one is broken
    path = tmp_path / "config/config.yaml"
    small = merge(yaml.safe_load(path.read_text()), yaml.safe_load(TINY.read_text()))
    decode = small["collections"]["demo"]["decode"]
    streams = {name: {"weights": None} for name in ("rgb", "flow")}
    charades = {"shards": 2, "decode": decode, "streams": streams}
    small = merge(small, {"collections": {"charades": charades}})
    small["datasets"]["charades"]["vocabulary"] = {"word_vectors": None}
    path.write_text(yaml.safe_dump(small))

    command = [sys.executable, "-m", "snakemake", "--cores", "8", "results/student_charades.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "results/student_charades.json").read_text())
    train, test = (result["coverage"]["splits"][split] for split in ("train", "test"))
    assert train["queries"] == {"annotated": 10, "used": 8, "not_used": {"video bad": 1, "video missing": 1}}
    assert test["queries"] == {"annotated": 10, "used": 10, "not_used": {}}
    lines = (tmp_path / "results/charades/student/predictions.jsonl").read_text().splitlines()
    assert {json.loads(line)["vid"] for line in lines} == set(CHARADES[len(CHARADES) // 2 :])


@pytest.mark.long
def test_flow_that_never_becomes_a_file_gives_the_same_features(tmp_path: Path) -> None:
    target, made = "results/features/demo/flow/0.h5", {}
    for in_memory in (False, True):
        folder = tmp_path / str(in_memory)
        folder.mkdir()
        outcome = run(folder, target, config=[TINY], changes={"flow_in_memory": in_memory})
        assert outcome.status == 0, outcome.text
        assert ("flow" in outcome.jobs) is not in_memory
        assert ("flow_features" in outcome.jobs) is in_memory
        with h5py.File(folder / target) as file:
            made[in_memory] = {
                name: (dict(group.attrs), group["features"][:].tobytes(), group["times"][:].tobytes())
                for name, group in file.items()
            }
    assert made[True] == made[False]
    assert made[True]


def test_any_file_name_will_do(tmp_path: Path) -> None:
    names = ['it\'s a "clip" $HOME;.mp4', "日本 *?.mp4"]
    draw(tmp_path / "my videos", names)
    rows = [
        {"video": name, "sentence": "a ball", "split": split}
        for name, split in zip(names, ("train", "test"), strict=True)
    ]
    put(tmp_path, "it's mine.jsonl", text="".join(json.dumps(row) + "\n" for row in rows))
    streams = {"rgb": {"extractor": "i3d"}}
    collection = {"videos": "my videos", "shards": 1, "streams": streams, "decode": {"fps": 4, "short_side": 32}}
    changes = {
        "collections": {"mine": collection},
        "datasets": {"mine": {"collection": "mine", "annotations": {"train": ["it's mine.jsonl"]}}},
        "keep_frames": True,
    }
    (tmp_path / "the clone's").mkdir()
    clone(tmp_path / "the clone's" / "vidistill")
    targets = ("results/videos/mine/frames/0.h5", "results/mine/queries.parquet")
    outcome = run(tmp_path, *targets, changes=changes, root=tmp_path / "the clone's" / "vidistill")
    assert outcome.status == 0, outcome.text
    with h5py.File(tmp_path / targets[0]) as file:
        assert {video.attrs["video_id"]: video.attrs["status"] for video in file.values()} == {
            name.removesuffix(".mp4"): "ok" for name in names
        }
    table = pd.read_parquet(tmp_path / targets[1])
    assert set(table["video_id"]) == {name.removesuffix(".mp4") for name in names}
    assert (table["duration"] > 1.5).all()  # asked of the files


def test_features_that_exist_are_read_in_place_of_videos(tmp_path: Path) -> None:
    folder = tmp_path / "features"
    folder.mkdir()
    for video in ("one", "two", "three"):
        np.save(folder / f"{video}.npy", np.ones((5, 4), np.float32))
    rows = "".join(
        f"{video},a ball,{split}\n" for video, split in (("one", "train"), ("two", "test"), ("absent", "test"))
    )
    put(tmp_path, "own.csv", text="video,sentence,split\n" + rows)
    stream = {"extractor": "external", "source": "features"}
    changes = {
        "collections": {"own": {"shards": 1, "streams": {"rgb": stream}}},
        "datasets": {"own": {"collection": "own", "annotations": {"train": ["own.csv"]}}},
    }
    target = "results/features/own/rgb/0.h5"
    outcome = run(tmp_path, target, changes=changes)
    assert outcome.status == 0, outcome.text
    with h5py.File(tmp_path / target) as file:
        found = {video.attrs["video_id"]: video.attrs["status"] for video in file.values()}
    assert found == {"one": "ok", "two": "ok"}  # coverage tells that one is missing
    (folder / "three.npy").touch()  # of no data set
    assert run(tmp_path, target, changes=changes, dry=True).jobs == {}
    np.save(folder / "absent.npy", np.ones((5, 4), np.float32))
    assert run(tmp_path, target, changes=changes, dry=True).jobs == {"external": 1}
    student = run(tmp_path, "results/student_own.json", changes=changes, dry=True)
    assert student.errors == [
        "configuration: a model reads the stream 'flow', which the collection 'own' lacks; set one of its streams as "
        "datasets.own.streams.flow, or add collections.own.streams.flow."
    ]
