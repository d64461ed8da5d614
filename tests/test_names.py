"""Names as people have them: two spellings of a letter, modules like Python's own, formats, features by id."""

import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

import own_videos
from conftest import parse
from own_videos import TINY
from video.clips import number_of, numbered, write
from vidistill.data.annotations.annotation import video_id
from vidistill.video import frames
from vidistill.video.decode import DecodeSettings, decode
from workflow_runs import Run, command, run

BASELINE = "results/baseline_mine.json"
IDS = ("é", "größer", "हिन्दी", "plain")


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def test_both_spellings_are_one_video_and_no_module_of_the_user_is_run(tmp_path: Path) -> None:
    changes = own_videos.write(tmp_path, IDS, shards=1)
    (tmp_path / "videos" / "é.mp4").rename(tmp_path / "videos" / f"{nfd('é')}.mp4")
    train = (tmp_path / "train.csv").read_text()
    (tmp_path / "train.csv").write_text(train.replace("größer", nfd("größer")))
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(changes))
    for name in ("random", "queue", "json", "numpy", "sitecustomize", "vidistill"):
        marker = f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')"
        (tmp_path / f"{name}.py").write_text(f"{marker}\nraise SystemExit(3)\n")
    words = command(BASELINE, config=[TINY, tmp_path / "mine.yaml"])
    words[:3] = [str(Path(sys.executable).with_name("snakemake"))]  # `python -m snakemake` would run them itself
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    coverage = json.loads((tmp_path / BASELINE).read_text())["coverage"]
    assert coverage["missing_videos"] == {} or coverage["missing_videos"] == []
    assert coverage["videos"]["used"] == len(IDS)


def tried(folder: Path, **options: Any) -> Run:
    return run(folder, BASELINE, config=[TINY, folder / "mine.yaml"], **options)


def test_two_spellings_of_one_name_are_two_files_of_a_video(tmp_path: Path) -> None:
    own_videos.configuration(tmp_path, ids=IDS)
    (tmp_path / "videos" / f"{nfd('é')}.mp4").write_bytes(b"")
    outcome = tried(tmp_path, dry=True)
    assert len(outcome.errors) == 1
    assert "two files of the video é" in outcome.errors[0]


def test_a_file_of_a_suffix_that_is_not_read_is_named(tmp_path: Path) -> None:
    own_videos.configuration(tmp_path, ids=IDS)
    videos = tmp_path / "videos"
    (videos / "plain.mp4").rename(videos / "plain.mp4.part")
    (videos / "é.mp4").rename(videos / "é.xyz")
    outcome = tried(tmp_path, dry=True)
    assert outcome.status == 0, outcome.text
    said = [line for line in outcome.text.splitlines() if "plain.mp4.part" in line]
    assert len(said) == 1, outcome.text
    assert "é.xyz" in said[0]
    for video in ("größer", "हिन्दी"):
        (videos / f"{video}.mp4").unlink()
    outcome = tried(tmp_path, dry=True)
    assert outcome.status != 0
    assert "plain.mp4.part" in outcome.errors[0]
    assert "Traceback" not in outcome.text


FORMATS = {  # suffix -> how the file is written
    "vob": ("vob", "mpeg2video"),
    "asf": ("asf", "msmpeg4"),
    "y4m": ("y4m", "rawvideo"),
    "mxf": ("mxf", "mpeg2video"),
    "ogg": ("ogg", "libvpx"),
    "M2V": ("m2v", "mpeg2video"),
    "m1v": ("m1v", "mpeg1video"),
    "mpe": ("mpg", "mpeg1video"),
    "f4v": ("f4v", "libx264"),
    "divx": ("avi", "mpeg4"),
    "3g2": ("3g2", "libx264"),
    "qt": ("mov", "libx264"),
    "nut": ("nut", "mpeg4"),
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_format_is_read(tmp_path: Path, config: dict[str, Any], suffix: str) -> None:
    written, codec = FORMATS[suffix]
    path = write(tmp_path / f"a.{written}", [numbered(n) for n in range(25)], codec=codec).rename(
        tmp_path / f"b.{suffix}"
    )
    assert video_id(path.name) == "b"
    with h5py.File(tmp_path / "out.h5", "w") as file:
        settings = parse(DecodeSettings, config["decode"], short_side=None)
        decode("b", file.create_group("b"), sources={"b": path}, settings=settings)
        assert file["b"].attrs["status"] in ("ok", "partial"), file["b"].attrs["reason"]
        assert number_of(next(iter(frames.read(file["b"])))) == 0


def features(folder: Path, way: str) -> dict[str, Any]:
    """Features in place of videos, named in some way; and of another kind, in one file."""
    (folder / "features").mkdir()
    draw = np.random.default_rng(0)
    for video in IDS:
        np.save(folder / "features" / f"{nfd(way.format(video))}.npy", draw.normal(size=(8, 6)))
    with h5py.File(folder / "flow.h5", "w") as file:
        for video in IDS:
            file[way.format(video)] = draw.normal(size=(8, 6))
    source = {"rgb": "features", "flow": "flow.h5"}
    streams = {name: {"extractor": "external", "source": path} for name, path in source.items()}
    collections = {"mine": {"shards": 3, "streams": streams}}
    changes = {**own_videos.write(folder), "collections": collections}
    (folder / "test.csv").write_text(own_videos.rows(IDS[:1]))
    (folder / "train.csv").write_text(own_videos.rows(IDS[1:]))
    (folder / "mine.yaml").write_text(yaml.safe_dump(changes))
    return changes


def test_features_by_ids_with_something_around_them(tmp_path: Path) -> None:
    features(tmp_path, "v_{}_i3d")
    outcome = run(tmp_path, "results/teacher_mine.json", config=[TINY, tmp_path / "mine.yaml"])
    assert outcome.status == 0, outcome.text
    assert json.loads((tmp_path / "results/teacher_mine.json").read_text())["coverage"]["videos"]["used"] == len(IDS)


def test_features_of_other_videos_are_said_before_training(tmp_path: Path) -> None:
    features(tmp_path, "{}")
    (tmp_path / "features").rename(tmp_path / "before")
    (tmp_path / "features").mkdir()
    np.save(tmp_path / "features" / "0001.npy", np.zeros((8, 6)))
    outcome = tried(tmp_path, dry=True)
    assert outcome.status != 0
    assert len(outcome.errors) == 1
    assert re.search(r"features .*plain.*0001\.npy", outcome.errors[0])
