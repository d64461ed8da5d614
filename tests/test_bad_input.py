"""A folder of broken videos beside good ones, and names made to break out: the run ends well and says what is wrong."""

import json
import os
import re
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import yaml

import own_videos
from own_videos import RESULT, TINY
from video.clips import numbered, write, write_sound
from workflow_runs import Run, run

GOOD = own_videos.IDS[:4]
BAD = {  # file -> what its reason says
    "empty.mp4": "unreadable",
    "text.mp4": "unreadable",
    "sound only.mp4": "no video stream",
    "zero duration.mkv": "same time",
    "no index.mp4": "unreadable",
    "huge.mp4": "max_pixels",
    "dangling.mp4": "dangling link",
}
PARTIAL = {"truncated.mkv": "decoded", "cut at the end.mkv": "decoded", "jumps.mkv": "the timestamps jump once"}
FINE = ("one frame.mp4", "wrong extension.avi", "shuffled timestamps.mp4", "no timestamps.avi", "turned.mp4")


def spoil(folder: Path) -> None:
    """A file of each kind that is met in the wild."""
    images = [numbered(n, width=96) for n in range(50)]
    whole = write(folder.parent / "whole.mkv", images, codec_options={"g": "5"}).read_bytes()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("these are words\n" * 50)
    write_sound(folder / "sound only.mp4")
    without_times(folder.parent / "whole.mkv", folder / "zero duration.mkv")
    mp4 = write(folder.parent / "whole.mp4", images).read_bytes()
    (folder / "no index.mp4").write_bytes(mp4[: len(mp4) // 2])
    write(folder / "huge.mp4", [numbered(n, width=640, height=480) for n in range(3)])
    (folder / "dangling.mp4").symlink_to("nowhere.mp4")
    (folder / "truncated.mkv").write_bytes(whole[: len(whole) // 2])
    (folder / "cut at the end.mkv").write_bytes(whole[: len(whole) * 9 // 10])
    jump = [*range(25), *range(10**6, 10**6 + 25)]
    write(folder / "jumps.mkv", images, jump, time_base=Fraction(1, 25))
    write(folder / "one frame.mp4", images[:1])
    (folder / "wrong extension.avi").write_bytes(mp4)
    write(folder / "shuffled timestamps.mp4", images, codec_options={"bf": "3"})  # decoded in another order than shown
    write(folder / "no timestamps.avi", images, codec="mpeg4")
    write(folder / "turned.mp4", images, rotation=90)


def without_times(source: Path, target: Path) -> None:
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux():
            if packet.size:
                packet.stream, packet.pts, packet.dts, packet.duration = stream, 0, 0, 0
                written.mux(packet)


def mine(folder: Path, names: list[str]) -> Path:
    """The configuration of good videos and these files."""
    changes = own_videos.write(folder, GOOD, shards=2)
    ids = [name.rsplit(".", 1)[0] for name in names]
    with open(folder / "train.csv", "a") as table:
        table.writelines(f"{video},a ball moves,0.1,0.9,2\n" for video in ids)
    changes["decode"] = {"max_pixels": 200000}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(changes))
    return path


def test_bad_videos_beside_good_ones(tmp_path: Path) -> None:
    config = [TINY, mine(tmp_path, [*BAD, *PARTIAL, *FINE])]
    spoil(tmp_path / "videos")

    stopped = run(tmp_path, "results/baseline_mine.json", config=config)
    assert stopped.status != 0
    assert "Traceback" not in stopped.text
    assert len(stopped.errors) == 1, stopped.text
    assert re.search(rf"{len(BAD)} of 19 videos are bad, more than max_bad_share 0\.2", stopped.errors[0])
    assert all(f"{Path(name).stem}: " in stopped.errors[0] for name in BAD)
    assert "vidistill.mmdist.train" not in stopped.text  # before any training

    outcome = run(tmp_path, "results/baseline_mine.json", config=config, changes={"max_bad_share": 0.5})
    assert outcome.status == 0, outcome.text
    coverage = json.loads((tmp_path / "results/baseline_mine.json").read_text())["coverage"]
    for kind, expected in (("bad", BAD), ("partial", PARTIAL)):
        listed = coverage[f"{kind}_videos"]
        assert set(listed) == {Path(name).stem for name in expected}
        assert all(words in listed[Path(name).stem] for name, words in expected.items()), listed
    assert coverage["videos"]["used"] == len(GOOD) + len(PARTIAL) + len(FINE)


NAMES = [
    "it's \"quoted\" 'twice'",
    "$(touch ran) `touch ran` $HOME",
    "; touch ran; #",
    "&& touch ran || touch ran",
    "-rf --settings",
    "two\nlines",
    "tab\tand \\ back",
    "...hidden",
    "%2E%2E%2F",
    "日本語 é ñ",
    "*?[a-z]!",
    "a" * 200,
]


def test_no_name_breaks_out_of_shell_path_or_group(tmp_path: Path) -> None:
    changes = own_videos.write(tmp_path, GOOD, shards=2)
    for name in NAMES:
        (tmp_path / "videos" / f"{name}.mp4").symlink_to(tmp_path / "videos" / "kitchen.mp4")
    rows = [{"video": name, "sentence": f"{name} a ball moves", "split": "train", "duration": 2} for name in NAMES]
    paths = ["..", ".", "/", "../videos/kitchen", "/etc/passwd"]
    rows += [{"video": path, "sentence": "a ball moves", "split": "train", "duration": 2} for path in paths]
    (tmp_path / "names.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes["datasets"]["mine"]["annotations"]["train"] += ["names.jsonl"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(changes))
    before = set(tmp_path.parent.iterdir())

    outcome = run(tmp_path, "results/baseline_mine.json", config=[TINY, tmp_path / "mine.yaml"])
    assert outcome.status == 0, outcome.text
    assert not list(tmp_path.rglob("ran"))
    assert set(tmp_path.parent.iterdir()) == before
    found = {}
    for shard in (tmp_path / "results/features/mine/rgb").glob("*.h5"):
        with h5py.File(shard) as file:
            assert all(isinstance(group, h5py.Group) and "features" in group for group in file.values())
            found |= {group.attrs["video_id"]: group.attrs["status"] for group in file.values()}
    assert found == dict.fromkeys([*NAMES, *GOOD], "ok")
    listed = json.loads((tmp_path / "results/baseline_mine.json").read_text())["coverage"]
    assert set(listed["missing_videos"]) == set(paths)  # an id is no path
    assert listed["splits"]["train"]["queries"]["used"] == 2 * 3 + len(NAMES)


def tried(folder: Path, **changes: object) -> Run:
    return run(folder, RESULT, config=[TINY, folder / "mine.yaml"], changes=changes)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"video,sentence,start,end\nkitchen,\xff\xfe a ball,0,1\n", r"train\.csv.*(UTF-8|encod)"),
        (b"video,start,end\nkitchen,0,1\n", r"train\.csv.*sentence"),
        (b"video,sentence,start,end\nkitchen,a ball,soon,1\n", r"train\.csv.*(line 2|2).*soon"),
        (b"", r"train\.csv"),
    ],
)
def test_a_table_of_the_wrong_form_is_said_before_any_job(tmp_path: Path, table: bytes, said: str) -> None:
    own_videos.configuration(tmp_path, ids=GOOD)
    (tmp_path / "train.csv").write_bytes(table)
    outcome = tried(tmp_path)
    assert outcome.status != 0
    assert len(outcome.errors) == 1, outcome.text
    assert re.search(said, outcome.errors[0]), outcome.errors
    assert not (tmp_path / "results" / "logs").exists()


def test_flawed_rows_are_mended_or_left_out_and_listed(tmp_path: Path) -> None:
    own_videos.configuration(tmp_path, ids=GOOD)
    with open(tmp_path / "train.csv", "a") as table:
        table.write("hall,a ball moves,1.9,0.3,2\nhall,the ball stops,0.5,90,2\nhall,,0,1,2\nnobody,a ball,0,1,2\n")
    assert run(tmp_path, "results/mine/problems.csv", config=[TINY, tmp_path / "mine.yaml"]).status == 0
    problems = (tmp_path / "results/mine/problems.csv").read_text()
    assert problems.count("dropped") + problems.count("clamped") == 3
    assert "train.csv,8" in problems  # the first flawed row's line


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("weights.safetensors", r"weights\.safetensors"),
        ("vectors.txt", r"vectors\.txt"),
    ],
)
def test_weights_and_vectors_of_the_wrong_kind_are_said(tmp_path: Path, file: str, said: str) -> None:
    own_videos.configuration(tmp_path, ids=GOOD)
    (tmp_path / file).write_bytes(b"neither the one nor the other")
    targets = {"weights.safetensors": "results/features/mine/rgb/0.h5", "vectors.txt": "results/mine/vocabulary.json"}
    outcome = run(tmp_path, targets[file], config=[TINY, tmp_path / "mine.yaml"])
    assert outcome.status != 0
    assert outcome.errors, outcome.text
    assert all(re.search(said, error) for error in outcome.errors), outcome.errors
    assert "Traceback" not in outcome.text


def test_weights_cannot_run_code(tmp_path: Path) -> None:
    """A pickle that creates a file when it is loaded."""

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    import pickle

    own_videos.configuration(tmp_path, ids=GOOD)
    (tmp_path / "weights.safetensors").write_bytes(pickle.dumps(Bomb()))
    outcome = run(tmp_path, "results/features/mine/rgb/0.h5", config=[TINY, tmp_path / "mine.yaml"])
    assert outcome.status != 0
    assert outcome.errors
    np.save(tmp_path / "bomb.npy", np.array([Bomb()], object), allow_pickle=True)
    stream = {"extractor": "external", "source": "bomb.npy", "weights": None}
    external = {"collections": {"mine": {"streams": {"rgb": stream}}}}
    outcome = run(tmp_path, "results/features/mine/rgb/0.h5", config=[TINY, tmp_path / "mine.yaml"], changes=external)
    assert outcome.status != 0
    assert not (tmp_path / "ran").exists()
