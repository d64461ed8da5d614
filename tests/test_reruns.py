"""What a change reruns: exactly what depends on it, and why, in words; by dry runs over one finished small run."""

import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import own_videos
from own_videos import RESULT
from workflow_runs import Run, clone, run

EVALUATED = {"evaluate": 1}
MEASURED = {"efficiency": 1, **EVALUATED}
TRAINED = {"train": 3, "export": 1, "retrieve": 3, **MEASURED}
OF_FEATURES = {"availability": 3, **TRAINED}
OF_TEACHER = {"train": 2, "export": 1, "retrieve": 2, **MEASURED}  # the baseline stays
VIDEOS_TO_RESULT = {"decode": 3, "flow": 3, "extract": 6, **OF_FEATURES}
SETTINGS = [
    ({"evaluate": {"confidence": 0.9}}, EVALUATED, "confidence: 0.95 -> 0.9"),
    ({"max_bad_share": 0.5}, EVALUATED, "max_bad_share: 0.2 -> 0.5"),
    ({"mmdist": {"score_weight": 2.0}}, TRAINED, "score_weight: 3.0 -> 2.0"),
    (
        {"models": {"student": {"mmdist": {"distillation": {"weight": 0.5}}}}},  # the paper's beta
        {"train": 1, "retrieve": 1, **MEASURED},
        "distillation.weight: 0.9 -> 0.5",
    ),
    (
        {"models": {"teacher": {"mmdist": {"loss": {"mutual_weight": 0.5}}}}},
        OF_TEACHER,
        "loss.mutual_weight: 1.0 -> 0.5",
    ),
    (
        {"models": {"student": {"compare_with": ["teacher"]}}},
        MEASURED,
        "now without ",
    ),
    ({"export": {"threads": 2}}, {"export": 1, "train": 1, "retrieve": 1, **MEASURED}, "threads: 1 -> 2"),
    ({"efficiency": {"queries": 6}}, MEASURED, "queries: 5 -> 6"),
    ({"vocabulary": {"max_words": 3}}, {"vocabulary": 1, **TRAINED}, "max_words: 20 -> 3"),
    (
        {"datasets": {"mine": {"beyond_duration": "drop"}}},
        {"queries": 1, "moments": 1, "vocabulary": 1, **OF_FEATURES},
        'beyond_duration: "clamp" -> "drop"',
    ),
    ({"collections": {"mine": {"decode": {"jpeg_quality": 90}}}}, VIDEOS_TO_RESULT, "jpeg_quality: 100 -> 90"),
    # Frames were deleted once they were used; made anew, they take along all that is made of them.
    ({"flow": {"warps": 2}}, VIDEOS_TO_RESULT, "warps: 1 -> 2"),
    # Those of seed 0 are not trained again.
    ({"seeds": ["0..1"]}, {"train": 3, "export": 1, "retrieve": 3, **EVALUATED}, None),
]
OF_OTHERS = {
    "emtm": {"student": {"dropout": 0.5}},
    "retrieve": {"pairs": 9},
    "c3d": {"pca": None},
    "keep_frames": True,
    "datasets": {
        "other": {"collection": "charades", "annotations": {"train": ["nowhere.csv"]}},
        "more": {"collection": "mine", "annotations": {"train": ["train.csv"]}},
    },
}
CODE_EDITS = [
    ("evaluation/metrics.py", EVALUATED),
    ("features/availability.py", EVALUATED),  # a gate: what is trained stays
    ("mmdist/losses.py", TRAINED),
    ("mmdist/attention.py", TRAINED),  # imported by what they import
    ("training/checkpoint.py", TRAINED),
    ("mmdist/export.py", {"export": 1, "train": 1, "retrieve": 1, **MEASURED}),
    ("mmdist/retrieve.py", {"retrieve": 3, **EVALUATED}),
    ("mmdist/efficiency.py", MEASURED),
    ("video/decode.py", VIDEOS_TO_RESULT),
    # The same time line says how long a video is that no annotation dates.
    ("video/timing.py", {"queries": 1, "moments": 1, "vocabulary": 1, **VIDEOS_TO_RESULT}),
    ("data/vocabulary.py", {"vocabulary": 1, **TRAINED}),
]
CODE_OF_OTHERS = ("emtm/losses.py", "emtm/efficiency.py", "data/demo/demo.py", "planning/plan.py")


EMTM = "results/emtm_mine.json"  # of `teacher`, which is MMDist's, and `seqpan` and `map2d`; compared with `fast`
SUPERVISED = {"train_supervised": 4, "export": 2, "retrieve": 4, **MEASURED}
OF_EMTM = [
    ({"emtm": {"student": {"dropout": 0.5}}}, {"train_supervised": 2, "retrieve": 2, **MEASURED}),
    ({"emtm": {"seqpan": {"dropout": 0.5}}}, {"train_supervised": 2, "export": 1, "retrieve": 2, **MEASURED}),
    # Which proposals alone have.
    ({"export": {"sigma": 0.1}}, {"export": 1, "train_supervised": 1, "retrieve": 1, **MEASURED}),
    ({"models": {"emtm": {"teachers": ["map2d", "seqpan"]}}}, {"train_supervised": 1, "retrieve": 1, **MEASURED}),
    ({"retrieve": {"pairs": 9}}, {"retrieve": 4, **EVALUATED}),
]
CODE_OF_EMTM = [
    ("emtm/losses.py", SUPERVISED),
    ("mmdist/losses.py", {"train": 1, "export": 1, "train_supervised": 1, "retrieve": 2, **MEASURED}),
    ("data/training_moments.py", {"training_moments": 1, **SUPERVISED}),
]


MMSD = "results/mmsd_deeds.json"  # compared with `mmsd-base`
LOCALISED = {"localise": 2, "localisation": 1}
TRAINED_ON_LABELS = {"train_actions": 2, "efficiency": 1, **LOCALISED}
OF_MMSD = [
    ({"localise": {"overlap": 0.5}}, LOCALISED),  # nothing is trained again
    ({"models": {"mmsd-base": {"localise": {"class_threshold": 0.1}}}}, {"localise": 1, "localisation": 1}),
    ({"localisation": {"confidence": 0.9}}, {"localisation": 1}),
    ({"mmsd": {"loss": {"attention_weight": 0.2}}}, TRAINED_ON_LABELS),
    (
        {"models": {"mmsd-base": {"mmsd": {"loss": {"mil_weight": 0.4}}}}},
        {"train_actions": 1, "localise": 1, "efficiency": 1, "localisation": 1},
    ),
    ({"export": {"threads": 2}, "vocabulary": {"max_words": 3}, "evaluate": {"confidence": 0.9}}, {}),
]
CODE_OF_MMSD = [
    ("mmsd/losses.py", TRAINED_ON_LABELS),
    ("mmsd/localise.py", LOCALISED),
    ("mmsd/efficiency.py", {"efficiency": 1, "localisation": 1}),
    ("evaluation/wtalc.py", {"localisation": 1}),
    ("data/training_labels.py", {"training_labels": 1, "availability": 2, **TRAINED_ON_LABELS}),
    ("mmdist/losses.py", {}),
]


def write_labels(folder: Path) -> dict[str, Any]:
    """A data set of labels of the same videos, whose features it shares."""
    lines = ["video,label,start,end,split,duration"]
    for number, video in enumerate(own_videos.IDS):
        split = "test" if number < 2 else "train"
        for label, start, end in (("moves", 0.2, 1.1), ("stops", 1.0, 1.9))[: 1 + number % 2]:
            lines.append(f"{video},{label},{start},{end},{split},{own_videos.SECONDS}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return {
        "collection": "mine",
        "task": "localization",
        "annotations": {"train": ["labels.csv"]},
        "train": {"threads": 1, "optimisation": {"epochs": 4, "batch_size": 4, "step_epoch": 3}},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished results of all methods on videos of its own, and the workflow's code in a copy that may
    be edited."""
    folder = tmp_path_factory.mktemp("it's a run")
    clone(folder / "clone")
    configured = own_videos.write(folder)
    with open(folder / "train.csv", "a") as file:
        file.write("later,a ball moves,0,1,2\n")  # a video that is not there yet
    configured["datasets"]["deeds"] = write_labels(folder)
    (folder / "mine.yaml").write_text(yaml.safe_dump(configured))
    outcome = run(folder, RESULT, EMTM, MMSD, config=files(folder), root=folder / "clone", cores=2)
    assert outcome.status == 0, outcome.text
    return folder


def files(folder: Path) -> list[Path]:
    return [own_videos.TINY, folder / "mine.yaml"]


def dry(folder: Path, target: str = RESULT, **options: Any) -> Run:
    outcome = run(folder, target, config=files(folder), root=folder / "clone", dry=True, **options)
    assert outcome.status == 0, outcome.text
    return outcome


def reruns(folder: Path, **options: Any) -> dict[str, int]:
    return dict(dry(folder, **options).jobs)


def set_back(path: Path, data: bytes, times: os.stat_result) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextmanager
def edited(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """A file edited, and as it was, its time included, afterwards."""
    data, times = path.read_bytes(), path.stat()
    path.write_bytes(change(data))
    try:
        yield
    finally:
        set_back(path, data, times)


@contextmanager
def removed(path: Path) -> Iterator[None]:
    data, times = path.read_bytes(), path.stat()
    path.unlink()
    try:
        yield
    finally:
        set_back(path, data, times)


@contextmanager
def added(path: Path, like: Path) -> Iterator[None]:
    shutil.copyfile(like, path)
    try:
        yield
    finally:
        path.unlink()


def test_the_chain_runs_and_leaves_what_it_should(finished: Path) -> None:
    result = json.loads((finished / RESULT).read_text())
    assert (result["model"], result["dataset"], result["seeds"]) == ("student", "mine", [0])
    assert set(result["comparisons"]) >= {"baseline", "teacher"}
    assert 0 <= result["metrics"]["mIoU"]["mean"] <= 100
    assert result["coverage"]["splits"]["train"]["queries"]["not_used"] == {"video missing": 1}
    left = {
        path.relative_to(finished / "results").parts[0] for path in (finished / "results").rglob("*") if path.is_file()
    }
    made = {Path(target).name for target in (RESULT, EMTM, MMSD)}
    kept = {"benchmarks", "mine", "deeds", "features", "logs", *made}
    assert left == kept  # no frames, no flow, no .work


def test_a_student_of_three_teachers_learns_from_their_tables(finished: Path) -> None:
    result = json.loads((finished / EMTM).read_text())
    assert set(result["comparisons"]) == {"video_free", "fast", "map2d", "teacher", "seqpan"}
    read = {name: (about["supervision"], about["training_moments"]["0"]) for name, about in result["models"].items()}
    assert read == {"teacher": ("weak", 0), **dict.fromkeys(("emtm", "fast", "map2d", "seqpan"), ("full", 12))}
    costs = result["efficiency"]["models"]
    assert costs["emtm"]["parameters"] == costs["fast"]["parameters"] < costs["seqpan"]["parameters"]
    history = pd.read_parquet(finished / "results/mine/emtm/seed-0/history.parquet")
    assert {"distillation", "aggregation", "isomorphic_location"} <= set(history)
    maps = pd.read_parquet(finished / "results/mine/seqpan/seed-0/activation_maps.parquet")
    assert set(maps["kind"]) == {"start", "end"}


def test_a_model_of_actions_shares_features_and_finds_segments(finished: Path) -> None:
    result = json.loads((finished / MMSD).read_text())
    assert (result["model"], result["task"], result["videos"], result["segments"]) == ("mmsd", "localization", 2, 3)
    assert set(result["comparisons"]) == {"video_free", "mmsd-base"}
    assert set(result["streams"]) == {"rgb", "flow", "fused"}
    costs = result["efficiency"]["models"]["mmsd"]
    assert (costs["words"], costs["snippets"] > 1) == (0, True)
    folder = finished / "results/deeds/mmsd/seed-0"
    maps = pd.read_parquet(folder / "activation_maps.parquet")
    assert set(maps["round"]) == {1, 2}
    assert set(maps["stream"]) == {"rgb", "flow", "fused"}
    assert len(pd.read_parquet(folder / "pseudo_labels.parquet")) > 0
    found = json.loads((folder / "detections.json").read_text())["results"]
    assert found.keys() == {"kitchen", "garden"}


@pytest.mark.parametrize(("changes", "expected"), OF_MMSD, ids=[str(row[0]) for row in OF_MMSD])
def test_a_setting_of_mmsd_reruns_what_reads_it(
    finished: Path, changes: dict[str, Any], expected: dict[str, int]
) -> None:
    assert dict(dry(finished, MMSD, changes=changes).jobs) == expected


@pytest.mark.parametrize(("file", "expected"), CODE_OF_MMSD, ids=[row[0] for row in CODE_OF_MMSD])
def test_code_of_mmsd_reruns_what_reaches_it(finished: Path, file: str, expected: dict[str, int]) -> None:
    with edited(finished / "clone" / "workflow" / "vidistill" / file, lambda text: text + b"\nADDED = 1\n"):
        assert dict(dry(finished, MMSD).jobs) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("kitchen,moves", "kitchen,stops", {"queries": 1, "moments": 1, "localisation": 1}),  # a label of a test video
        ("kitchen,moves,0.2", "kitchen,moves,0.3", {"moments": 1, "localisation": 1}),
        (
            "hall,moves,0.2",
            "hall,moves,0.3",
            {"moments": 1, "localisation": 1},
        ),  # of training, where they fit baselines
        (
            "hall,moves",
            "hall,jumps",
            {"training_labels": 1, "queries": 1, "moments": 1, "availability": 2, **TRAINED_ON_LABELS},
        ),
    ],
)
def test_a_corrected_label_or_segment_reaches_what_sees_it(
    finished: Path, old: str, new: str, expected: dict[str, int]
) -> None:
    with edited(finished / "labels.csv", lambda text: text.replace(old.encode(), new.encode())):
        assert reruns(finished, target=MMSD) == expected


@pytest.mark.long
def test_neither_cores_nor_kept_frames_change_a_byte(finished: Path, tmp_path: Path) -> None:
    own_videos.write(tmp_path)
    for name in ("train.csv", "mine.yaml"):
        shutil.copy(finished / name, tmp_path)
    kept = {"keep_frames": True, "keep_flow": True}
    clone(tmp_path / "clone")
    outcome = run(tmp_path, RESULT, config=files(tmp_path), changes=kept, root=tmp_path / "clone", cores=1)
    assert outcome.status == 0, outcome.text
    whole, made = (own_videos.contents(path / "results") for path in (finished, tmp_path))
    assert len(made) > 15
    assert [name for name in made if made[name] != whole.get(name)] == []
    # With frames and flow at hand, an extractor reruns alone.
    assert reruns(tmp_path, changes=kept) == {}
    with edited(tmp_path / "weights.safetensors", lambda data: data + b"\n"):
        assert reruns(tmp_path, changes=kept) == {"extract": 3, **OF_FEATURES}
    assert reruns(tmp_path, changes={**kept, "flow": {"warps": 2}}) == {
        "flow": 3,
        "extract": 3,
        "availability": 1,
        **OF_TEACHER,
    }


def test_nothing_changed_reruns_nothing(finished: Path) -> None:
    outcome = run(finished, RESULT, config=files(finished), root=finished / "clone")
    assert outcome.status == 0
    assert "Nothing to be done" in outcome.text


def test_cores_and_profile_rerun_nothing(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("jobs: 7\nretries: 5\nlatency-wait: 60\ndefault-resources: [mem_mb=123]\n")
    assert reruns(finished, cores=7, profile=str(tmp_path)) == {}


def test_settings_and_code_that_a_result_does_not_read_rerun_nothing(finished: Path) -> None:
    with ExitStack() as edits:
        for file in CODE_OF_OTHERS:
            path = finished / "clone" / "workflow" / "vidistill" / file
            edits.enter_context(edited(path, lambda text: text + b"\nADDED = 1\n"))
        assert reruns(finished, changes=OF_OTHERS) == {}


@pytest.mark.parametrize(("changes", "expected", "why"), SETTINGS, ids=[str(row[0]) for row in SETTINGS])
def test_a_setting_reruns_what_reads_it(
    finished: Path, changes: dict[str, Any], expected: dict[str, int], why: str | None
) -> None:
    outcome = dry(finished, changes=changes)
    assert outcome.jobs == expected
    told = {reason for reason in outcome.reasons if reason.startswith("Params")}
    assert all(why is not None and why in reason for reason in told), told
    assert bool(told) is (why is not None)


@pytest.mark.parametrize(("file", "expected"), CODE_EDITS, ids=[row[0] for row in CODE_EDITS])
def test_code_reruns_what_reaches_it(finished: Path, file: str, expected: dict[str, int]) -> None:
    with edited(finished / "clone" / "workflow" / "vidistill" / file, lambda text: text + b"\nADDED = 1\n"):
        outcome = dry(finished)
    assert outcome.jobs == expected
    module = "vidistill." + file.removesuffix(".py").replace("/", ".")
    told = {reason for reason in outcome.reasons if reason.startswith("Params")}
    assert told == {f"Params have changed since last execution: code of {module} changed"}


@pytest.mark.parametrize(("changes", "expected"), OF_EMTM, ids=[str(row[0]) for row in OF_EMTM])
def test_a_setting_of_emtm_reruns_the_networks_that_read_it(
    finished: Path, changes: dict[str, Any], expected: dict[str, int]
) -> None:
    assert dict(dry(finished, EMTM, changes=changes).jobs) == expected


@pytest.mark.parametrize(("file", "expected"), CODE_OF_EMTM, ids=[row[0] for row in CODE_OF_EMTM])
def test_code_of_a_method_reruns_its_models_and_their_students(
    finished: Path, file: str, expected: dict[str, int]
) -> None:
    with edited(finished / "clone" / "workflow" / "vidistill" / file, lambda text: text + b"\nADDED = 1\n"):
        assert dict(dry(finished, EMTM).jobs) == expected


def test_comments_docstrings_resources_and_the_order_of_keys_rerun_nothing(finished: Path) -> None:
    def reworded(text: bytes) -> bytes:
        return text.replace(b'"""', b'"""Reworded: ', 1) + b"\n# A comment.\n"

    def turned(part: Any) -> Any:
        return {key: turned(value) for key, value in reversed(part.items())} if isinstance(part, dict) else part

    def rewritten(text: bytes) -> bytes:
        return yaml.safe_dump(turned(yaml.safe_load(text)), sort_keys=False).encode()

    clone = finished / "clone"
    with ExitStack() as edits:
        for path in sorted((clone / "workflow" / "vidistill").rglob("*.py")):
            edits.enter_context(edited(path, reworded))
        edits.enter_context(edited(clone / "config" / "config.yaml", rewritten))
        edits.enter_context(
            edited(clone / "rules" / "common.smk", lambda text: text.replace(b"* attempt", b"* 3 * attempt"))
        )
        assert reruns(finished) == {}


def test_what_decides_about_no_number_reruns_nothing(finished: Path) -> None:
    """Another version, reworded errors and log lines, and code that only carries files."""

    def reworded(text: bytes) -> bytes:
        return text.replace(b"raise UserError(", b"raise UserError('Reworded: ' ").replace(b"log.info(", b"log.debug(")

    package = finished / "clone" / "workflow" / "vidistill"
    carriers = [path for path in (package / "base").glob("*.py") if path.name != "spelling.py"]
    with ExitStack() as edits:
        edits.enter_context(edited(package / "__init__.py", lambda text: text.replace(b"0.1.0", b"9.9.9")))
        for path in carriers:
            edits.enter_context(edited(path, lambda text: text + b"\nADDED = 1\n"))
        for folder in ("data", "video", "features", "training", "mmdist", "emtm", "mmsd", "evaluation"):
            for path in (package / folder).glob("*.py"):
                edits.enter_context(edited(path, reworded))
        assert reruns(finished) == reruns(finished, target=EMTM) == reruns(finished, target=MMSD) == {}
        words = ["ground", "videos/kitchen.mp4", "a ball moves", "--model", RESULT, "--device", "cpu"]
        done = subprocess.run(
            [sys.executable, "-m", "vidistill", *words],
            cwd=finished,
            env={**os.environ, "PYTHONPATH": str(package.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr  # a model of another version


def test_an_edited_sentence_reruns_its_tables_and_what_follows(finished: Path) -> None:
    with edited(finished / "train.csv", lambda text: text.replace(b"a ", b"one ", 1)):
        outcome = dry(finished)
    assert outcome.jobs == {"queries": 1, "moments": 1, "vocabulary": 1, **OF_FEATURES}  # no feature is touched
    assert any("sentences: " in reason for reason in outcome.reasons)


@pytest.mark.parametrize("date", [None, 10**18])
def test_a_corrected_moment_reaches_evaluation_alone(finished: Path, date: int | None) -> None:
    table = finished / "test.csv"
    with edited(table, lambda text: text.replace(b"0.2,1.1", b"0.3,1.1")):
        if date:
            os.utime(table, ns=(date, date))
        assert reruns(finished) == {"moments": 1, "evaluate": 1}
        assert reruns(finished, target=EMTM) == {"moments": 1, "evaluate": 1}


def test_a_corrected_training_moment_reaches_supervised_training_alone(finished: Path) -> None:
    with edited(finished / "train.csv", lambda text: text.replace(b"0.2,1.1", b"0.3,1.1", 1)):
        assert reruns(finished) == {"moments": 1, "evaluate": 1}
        assert reruns(finished, target=EMTM) == {"moments": 1, "training_moments": 1, **SUPERVISED}


OLDER = 10**18  # nanoseconds: 2001


@pytest.mark.parametrize(
    ("file", "jobs"),
    [
        ("videos/kitchen.mp4", {"decode": 1, "flow": 1, "extract": 2, **OF_FEATURES}),
        ("vectors.txt", {"vocabulary": 1, **TRAINED}),
        ("train.csv", {"moments": 1, "evaluate": 1}),  # a line is added that is no query
        ("weights.safetensors", VIDEOS_TO_RESULT),
    ],
)
def test_another_file_with_an_older_date_counts(finished: Path, file: str, jobs: dict[str, int]) -> None:
    """As `mv`, `cp -p` and `rsync -a` put it there."""
    with edited(finished / file, lambda data: data + b"later,,0,1,2\n"):
        os.utime(finished / file, ns=(OLDER, OLDER))
        assert reruns(finished) == jobs


@pytest.mark.long
def test_a_large_file_that_is_touched_reruns_nothing(finished: Path) -> None:
    """Larger than what Snakemake looks into, so that it would go by the date; the file has holes and takes no space."""
    video = finished / "videos" / "later.mp4"
    target = f"results/features/mine/rgb/{zlib.crc32(b'later') % 3}.h5"

    def frames_decoded(dry: bool = True) -> int:
        outcome = run(finished, target, config=files(finished), root=finished / "clone", dry=dry)
        assert outcome.status == 0, outcome.text
        return outcome.jobs["decode"]

    with open(video, "wb") as file:
        file.truncate(150_000_000)
    try:
        assert frames_decoded(dry=False) == 1
        os.utime(video)
        assert frames_decoded() == 0
        with open(video, "r+b") as file:
            file.write(b"x")
        os.utime(video, ns=(OLDER, OLDER))
        assert frames_decoded() == 1
    finally:
        video.unlink()
        again = run(finished, RESULT, config=files(finished), root=finished / "clone")
        assert again.status == 0, again.text


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        # The table has all durations, so that no table asks the videos.
        ("videos/garden.mp4", {"decode": 1, "flow": 1, "extract": 2, **OF_FEATURES}),
        ("weights.safetensors", VIDEOS_TO_RESULT),
        ("vectors.txt", {"vocabulary": 1, **TRAINED}),
    ],
)
def test_a_file_reruns_what_is_made_of_it_if_it_differs(finished: Path, file: str, expected: dict[str, int]) -> None:
    with edited(finished / file, lambda data: data + b"\n"):
        outcome = dry(finished)
    assert outcome.jobs == expected
    assert any(re.fullmatch(rf"Updated input files: {file}|Missing output.*", text) for text in outcome.reasons)


def test_files_that_are_touched_and_the_same_rerun_nothing(finished: Path) -> None:
    with ExitStack() as edits:
        for file in ("videos/garden.mp4", "weights.safetensors", "vectors.txt", "train.csv"):
            edits.enter_context(edited(finished / file, lambda data: data))
        assert reruns(finished) == {}


def test_a_video_that_is_added_reruns_its_shard_and_training(finished: Path) -> None:
    videos = finished / "videos"
    with added(videos / "later.mp4", like=videos / "hall.mp4"):
        assert reruns(finished) == {"decode": 1, "flow": 1, "extract": 2, **OF_FEATURES}
    with added(videos / "of nobody.mp4", like=videos / "hall.mp4"):
        assert reruns(finished) == {}


def test_a_video_that_is_removed_reruns_its_shard_and_training(finished: Path) -> None:
    with removed(finished / "videos" / "hall.mp4"):
        assert reruns(finished) == {"decode": 1, "flow": 1, "extract": 2, **OF_FEATURES}
    with removed(finished / "videos" / "kitchen.mp4"):  # the only one of its shard
        assert reruns(finished) == OF_FEATURES
