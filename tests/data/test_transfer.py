"""One file from a web server on this machine: resumed, tried again, checked; and the errors."""

import errno
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from served import BODY, DIGEST, Served, Usage, kinds, left, serve

from vidistill.base import progress
from vidistill.base.stage import UserError
from vidistill.data.downloads import transfer
from vidistill.data.downloads.transfer import Patience

PATIENCE = Patience(attempts=3, timeout=5.0)
ONCE = Patience(attempts=1, timeout=5.0)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made."""
    made: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", made.append)
    return made


def fetch(
    base: str, target: Path, *paths: str, sha256: str | None = DIGEST, size: int | None = None, patience: Any = PATIENCE
) -> str:
    urls = tuple(f"{base}/{path}" for path in paths or ("file",))
    return transfer.fetch("thing", urls, target, sha256=sha256, size=size, patience=patience)


def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    caplog.set_level("INFO")
    served = Served(BODY, break_after=[300_000, 300_000, 10, 10, 10])
    with serve(file=served) as base:
        assert fetch(base, tmp_path / "deep" / "file.bin", size=len(BODY)) == DIGEST
    assert (tmp_path / "deep" / "file.bin").read_bytes() == BODY
    assert left(tmp_path) == ["file.bin"]
    assert kinds(served.asked) == {"whole": 1, "part": 5}
    assert served.asked[1]["Range"] == "bytes=300000-"
    assert pauses == [1.0] * 5  # bytes arrived each time
    lines = [record.message for record in caplog.records]
    assert any("thing: " in line and " of 1.0 MB, " in line and "/s, " in line and " s left" in line for line in lines)


def test_what_an_interrupted_run_left_is_used_where_a_checksum_tells_whether_it_fits(tmp_path: Path) -> None:
    served = Served(BODY, break_after=[500_000])
    with serve(file=served) as base:
        with pytest.raises(UserError, match=r"thing was not fetched: .*, 1 times in a row"):
            fetch(base, tmp_path / "file", patience=ONCE)
        assert left(tmp_path) == ["file.part"]
        fetch(base, tmp_path / "file")
        assert kinds(served.asked) == {"whole": 1, "part": 1}
        shutil.move(tmp_path / "file", tmp_path / "file.part")
        fetch(base, tmp_path / "file")  # complete, and only the server knows
        shutil.move(tmp_path / "file", tmp_path / "file.part")
        fetch(base, tmp_path / "file", size=len(BODY))  # complete, and nothing is asked
        assert kinds(served.asked) == {"whole": 1, "part": 2}
        (tmp_path / "other.part").write_bytes(b"x" * 500_000)
        fetch(base, tmp_path / "other")  # halves of two files: once more
        (tmp_path / "third.part").write_bytes(b"x" * 500_000)
        fetch(base, tmp_path / "third", sha256=None)
    assert kinds(served.asked) == {"whole": 3, "part": 3}
    assert all((tmp_path / name).read_bytes() == BODY for name in left(tmp_path))
    assert left(tmp_path) == ["file", "other", "third"]


def test_a_server_without_ranges_gives_all_of_it_again(tmp_path: Path) -> None:
    served = Served(BODY, ranges=False, break_after=[500_000])
    with serve(file=served) as base:
        fetch(base, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    served = Served(BODY, ranges=False, break_after=[500_000] * 20)
    with serve(file=served) as base, pytest.raises(UserError, match=r"3 times in a row"):
        fetch(base, tmp_path / "again")


def test_another_file_than_expected_is_not_kept(tmp_path: Path) -> None:
    with serve(file=Served(b"<html>please log in</html>"), longer=Served(BODY)) as base:
        wrong = rf"thing was not fetched: .*/file gives a file with the SHA-256 \w+, {DIGEST} is expected; correct"
        with pytest.raises(UserError, match=wrong):
            fetch(base, tmp_path / "file")
        with pytest.raises(UserError, match=r"/file gives 26 bytes, 16,339 are expected"):
            fetch(base, tmp_path / "file", size=16339)
        with pytest.raises(UserError, match=r"/longer: Maximum file size exceeded"):
            fetch(base, tmp_path / "file", "longer", size=16339)
    assert left(tmp_path) == []


def test_the_second_address_counts_when_the_first_fails(tmp_path: Path) -> None:
    moved = Served(b"")
    with serve(wrong=Served(b"something else"), right=Served(BODY), moved=moved) as base:
        moved.moved_to = f"{base}/right"
        fetch(base, tmp_path / "file", "gone", "wrong", "moved")
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_server_is_asked_again_while_that_may_help(tmp_path: Path, pauses: list[float]) -> None:
    served = Served(BODY, first=[500, 503], length=False)
    with serve(file=served) as base:
        fetch(base, tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == BODY
        assert pauses == [1.0, 2.0]
        with pytest.raises(UserError, match=r"/gone: .*404.*; correct downloads\.files"):
            fetch(base, tmp_path / "other", "gone")
        assert pauses == [1.0, 2.0]
        served.first[:] = [500] * 9
        with pytest.raises(UserError, match=r"error: 500.*, 3 times in a row"):
            fetch(base, tmp_path / "other")
    with pytest.raises(UserError, match=r"connect.*, 3 times in a row"):  # and one that is gone
        fetch(base, tmp_path / "other")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UserError, match=r"1 times in a row"):
        fetch(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path / "other", patience=Patience(1, 0.2))
    assert left(tmp_path) == ["file"]


def test_too_little_space_is_said_before_and_a_full_disk_when_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(file=Served(BODY)) as base:
        monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: Usage())
        with pytest.raises(UserError, match=r"1\.0 MB are to come and 0\.0 MB are free; free some space"):
            fetch(base, tmp_path / "file", size=len(BODY))
        monkeypatch.undo()

        def full(*args: Any, **kwargs: Any) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "open", full)
        with pytest.raises(UserError, match=r"file\.part: the disk is full; free some space and run this again"):
            fetch(base, tmp_path / "file")


def test_without_curl_the_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"curl, which fetches thing, is not installed; install it"):
        fetch("http://127.0.0.1:1", tmp_path / "file")
