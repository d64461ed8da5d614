"""What a file holds, and not its name or date, makes its fingerprint; nothing that is no file is read."""

import os

import pytest

from vidistill.base import fingerprints


@pytest.mark.parametrize("size", [0, 100, 1 << 16, 1 << 20])
@pytest.mark.parametrize("place", [0, -1])
def test_size_head_and_tail_count_and_dates_do_not(tmp_path, size, place):
    data = bytes(size)
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(data)
    os.utime(tmp_path / "b", (1, 1))
    changed = bytearray(data or b"x")
    changed[place] = 1
    (tmp_path / "c").write_bytes(changed)
    (tmp_path / "d").write_bytes(data + b"x")
    found = [fingerprints.of_file(str(tmp_path / name)) for name in "abcd"]
    assert found[0] == found[1]
    assert found[0] not in found[2:]


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    listed = fingerprints.of_files(str(tmp_path / name) for name in ("pipe.mp4", "folder.mp4", "absent.mp4"))
    assert len(set(listed)) == 3
    assert all(line.endswith("= not a file") for line in listed)
