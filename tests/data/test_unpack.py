"""Archives: the named members and nothing else, nowhere else."""

import shutil
import stat
import zipfile
from pathlib import Path

import pytest
from served import VIDEOS, Usage, archive, left

from vidistill.base.stage import UserError
from vidistill.data.downloads.unpack import unpack


def test_only_the_named_members_are_unpacked(tmp_path: Path) -> None:
    archive(tmp_path / "a.zip", VIDEOS)
    out = tmp_path / "out"
    assert unpack("a", tmp_path / "a.zip", {"*.mp4": f"{out}/videos/", "notes.txt": f"{out}/read me"}) == {
        f"{out}/videos/one.mp4": 1,
        f"{out}/videos/two.mp4": 2,
        f"{out}/read me": 2,
    }
    assert left(out) == ["one.mp4", "read me", "two.mp4"]


@pytest.mark.parametrize("name", ["../evil.mp4", "/evil.mp4", "a/../../evil.mp4", "..\\evil.mp4"])
def test_a_member_that_leads_elsewhere_spoils_the_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    archive(tmp_path / "in" / "a.zip", {"fine.mp4": b"1", name: b"evil"})
    with pytest.raises(UserError, match=r"which leads elsewhere; nothing of it was unpacked"):
        unpack("a", tmp_path / "in" / "a.zip", {"*.mp4": f"{tmp_path}/in/out/"})
    assert left(tmp_path) == ["a.zip"]


def test_a_link_in_an_archive_spoils_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        link = zipfile.ZipInfo("link.mp4")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match=r"leads elsewhere"):
        unpack("a", tmp_path / "a.zip", {"*.mp4": f"{tmp_path}/out/"})


WRONG_ARCHIVES = {
    "has no 'train.json', but": ({"other.json": b""}, {"train.json": "out/train.json"}),
    r"has two members for .*one\.mp4": ({"a/one.mp4": b"", "b/one.mp4": b""}, {"*.mp4": "out/"}),
}


@pytest.mark.parametrize("said", WRONG_ARCHIVES)
def test_an_archive_with_other_members_is_said(tmp_path: Path, said: str) -> None:
    content, members = WRONG_ARCHIVES[said]
    archive(tmp_path / "a.zip", content)
    with pytest.raises(UserError, match=said):
        unpack("a", tmp_path / "a.zip", {pattern: f"{tmp_path}/{place}" for pattern, place in members.items()})


def test_a_damaged_archive_is_said_and_leaves_no_half_member(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("one.mp4", b"x" * 1000)
    data = bytearray(path.read_bytes())
    data[500] ^= 255
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"cannot be unpacked \(Bad CRC-32"):
        unpack("a", path, {"*.mp4": f"{tmp_path}/out/"})
    path.write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"cannot be unpacked \(File is not a zip file\); remove it"):
        unpack("a", path, {"*.mp4": f"{tmp_path}/out/"})
    assert left(tmp_path) == ["a.zip"]


def test_too_little_space_for_the_members_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(tmp_path / "a.zip", {"one.mp4": b"x" * 5000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    with pytest.raises(UserError, match=r"the disk is full while unpacking"):
        unpack("a", tmp_path / "a.zip", {"*.mp4": f"{tmp_path}/out/"})
