"""A shard's work: whole at the end, in any number of processes or threads, and not done twice."""

import functools
import os
import threading
from pathlib import Path

import h5py
import pytest

from vidistill.base import shards

IDS = ["c", "a/b", "a b"]


def write(video_id: str, group: h5py.Group, *, calls: Path | None = None) -> None:
    if calls:
        (calls / f"{IDS.index(video_id)}-{os.getpid()}-{threading.get_ident()}").touch()
    group.attrs.update({"status": "ok", "reason": ""})
    group["number"] = len(video_id)


def fill(folder: Path, **changes) -> dict[str, int]:
    """A shard of the three videos; video id -> what `write` wrote."""
    options = {"fingerprint": dict.fromkeys(IDS, "same"), "attributes": {"settings": "{}"}, **changes}
    make = options.pop("make", write)
    shards.fill(folder / "shard.h5", folder / "work", IDS, make, **options)
    with h5py.File(folder / "shard.h5") as file:
        return {str(group.attrs["video_id"]): int(group["number"][()]) for group in file.values()}


@pytest.mark.parametrize("options", [{}, {"workers": 2}, {"threads": 2}], ids=["alone", "processes", "threads"])
def test_all_videos_are_in_the_file_however_they_are_made(tmp_path, options):
    assert fill(tmp_path, **options) == {video_id: len(video_id) for video_id in IDS}
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("options", [{"workers": 3}, {"threads": 3}], ids=["processes", "threads"])
def test_workers_are_processes_or_threads_of_this_one(tmp_path, options):
    (tmp_path / "calls").mkdir()
    fill(tmp_path, make=functools.partial(write, calls=tmp_path / "calls"), **options)
    found = [path.name.split("-") for path in (tmp_path / "calls").iterdir()]
    assert sorted(number for number, _, _ in found) == ["0", "1", "2"]
    assert (str(os.getpid()) in {process for _, process, _ in found}) == ("threads" in options)
    assert str(threading.get_ident()) not in {thread for _, process, thread in found if process == str(os.getpid())}


def broken(video_id: str, group: h5py.Group) -> None:
    if video_id == "c":
        raise KeyboardInterrupt
    write(video_id, group)


def test_what_an_interrupted_run_finished_is_not_made_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, make=broken)
    assert not (tmp_path / "shard.h5").exists()
    (tmp_path / "calls").mkdir()
    assert set(fill(tmp_path, make=functools.partial(write, calls=tmp_path / "calls"))) == set(IDS)
    assert [path.name.split("-")[0] for path in (tmp_path / "calls").iterdir()] == ["0"]


def test_a_part_of_other_settings_or_half_a_part_is_made_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, make=broken)
    for part in (tmp_path / "work").glob("*.h5"):
        with h5py.File(part) as file:
            is_cut = "a/b" in [group.attrs["video_id"] for group in file.values()]
        if is_cut:
            part.write_bytes(part.read_bytes()[:100])
    (tmp_path / "calls").mkdir()
    changed = {"a b": "other", "a/b": "same", "c": "same"}
    fill(tmp_path, make=functools.partial(write, calls=tmp_path / "calls"), fingerprint=changed)
    assert {path.name.split("-")[0] for path in (tmp_path / "calls").iterdir()} == {"0", "1", "2"}
