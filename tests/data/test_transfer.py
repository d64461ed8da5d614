"""One file from a web server on this machine: resumed, tried again, checked; and what is said otherwise."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from served import BODY, DIGEST, Served, Usage, kinds, left, serve

from vidistill.base import progress
from vidistill.base.stage import UserError
from vidistill.data.downloads import transfer
from vidistill.data.downloads.transfer import Patience

PATIENCE = Patience(attempts=3, timeout=5.0)


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


def test_a_file_arrives_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    with serve(file=Served(BODY)) as base:
        assert fetch(base, tmp_path / "deep" / "file.bin", size=len(BODY)) == DIGEST
    assert (tmp_path / "deep" / "file.bin").read_bytes() == BODY
    assert left(tmp_path) == ["file.bin"]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(tmp_path: Path, pauses: list[float]) -> None:
    served = Served(BODY, break_after=[300_000, 300_000, 10, 10, 10])
    with serve(file=served) as base:
        fetch(base, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert kinds(served.asked) == {"whole": 1, "part": 5}
    assert served.asked[1]["Range"] == "bytes=300000-"
    assert served.asked[1]["If-Range"] == '"one"'
    assert pauses == [1.0] * 5  # bytes arrived each time


def test_what_an_interrupted_run_left_is_used(tmp_path: Path) -> None:
    served = Served(BODY, break_after=[500_000])
    with serve(file=served) as base:
        with pytest.raises(UserError, match=r"ended after 500,000 of 1,024,000 bytes, 1 times in a row"):
            fetch(base, tmp_path / "file", patience=Patience(1, 5.0))
        assert left(tmp_path) == ["file.part", "file.part.json"]
        fetch(base, tmp_path / "file")
    assert served.asked[1]["Range"] == "bytes=500000-"
    assert left(tmp_path) == ["file"]


def test_a_server_without_ranges_gives_all_of_it_again(tmp_path: Path) -> None:
    served = Served(BODY, ranges=False, break_after=[500_000])
    with serve(file=served) as base:
        fetch(base, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert kinds(served.asked) == {"whole": 1, "part": 1}


def test_a_file_that_changed_in_between_is_fetched_anew(tmp_path: Path) -> None:
    old, new = Served(b"x" * 900_000, break_after=[500_000]), Served(BODY, etag='"two"')
    with serve(file=old) as base, pytest.raises(UserError):
        fetch(base, tmp_path / "file", patience=Patience(1, 5.0), sha256=None)
    with serve(file=new) as base:
        state = tmp_path / "file.part.json"
        state.write_text(state.read_text().replace(json.loads(state.read_text())["url"], f"{base}/file"))
        fetch(base, tmp_path / "file", sha256=None)
    assert (tmp_path / "file").read_bytes() == BODY


def test_without_anything_that_says_it_is_the_same_file_nothing_is_resumed(tmp_path: Path) -> None:
    served = Served(BODY, etag=None, break_after=[500_000])
    with serve(file=served) as base:
        fetch(base, tmp_path / "file", sha256=None)
    assert kinds(served.asked) == {"whole": 2}
    served = Served(BODY, etag=None, break_after=[500_000])
    with serve(file=served) as base:  # a checksum would tell
        fetch(base, tmp_path / "other", sha256=DIGEST)
    assert kinds(served.asked) == {"whole": 1, "part": 1}


def test_halves_that_do_not_fit_are_fetched_once_more(tmp_path: Path) -> None:
    served = Served(BODY)
    with serve(file=served) as base:
        (tmp_path / "file.part").write_bytes(b"x" * 500_000)
        (tmp_path / "file.part.json").write_text(json.dumps({"url": f"{base}/file", "validator": '"one"'}))
        fetch(base, tmp_path / "file")
    assert kinds(served.asked) == {"part": 1, "whole": 1}
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_part_that_was_complete_is_not_fetched_again(tmp_path: Path) -> None:
    served = Served(BODY)
    with serve(file=served) as base:
        (tmp_path / "file.part").write_bytes(BODY)
        (tmp_path / "file.part.json").write_text(json.dumps({"url": f"{base}/file", "validator": '"one"'}))
        fetch(base, tmp_path / "file")  # its length is asked
        assert kinds(served.asked) == {"part": 1}
        shutil.move(tmp_path / "file", tmp_path / "file.part")
        (tmp_path / "file.part.json").write_text(json.dumps({"url": f"{base}/file", "validator": '"one"'}))
        fetch(base, tmp_path / "file", size=len(BODY))  # its length is known
    assert kinds(served.asked) == {"part": 1}


def test_another_file_than_expected_is_not_kept(tmp_path: Path) -> None:
    with (
        serve(file=Served(b"<html>please log in</html>")) as base,
        pytest.raises(
            UserError,
            match=rf"thing was not fetched: .*/file gives a file with the SHA-256 \w+, {DIGEST} is expected; correct",
        ),
    ):
        fetch(base, tmp_path / "file")
    assert left(tmp_path) == []


def test_another_length_than_expected_is_said_before_it_is_fetched(tmp_path: Path) -> None:
    with (
        serve(file=Served(BODY)) as base,
        pytest.raises(UserError, match=r"gives 1,024,000 bytes, 16,339,546,533 are expected"),
    ):
        fetch(base, tmp_path / "file", size=16339546533)
    assert left(tmp_path) == []


def test_a_file_that_is_gone_is_said_at_once(tmp_path: Path, pauses: list[float]) -> None:
    with (
        serve() as base,
        pytest.raises(UserError, match=r"/file answers 404 Not Found; correct downloads\.files\.thing"),
    ):
        fetch(base, tmp_path / "file")
    assert pauses == []
    assert left(tmp_path) == []


def test_the_second_address_counts_when_the_first_fails(tmp_path: Path) -> None:
    with serve(wrong=Served(b"something else"), right=Served(BODY)) as base:
        fetch(base, tmp_path / "file", "gone", "wrong", "right")
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_server_that_is_busy_is_asked_again(tmp_path: Path, pauses: list[float]) -> None:
    served = Served(BODY, first=[500, 503], retry_after="7")
    with serve(file=served) as base:
        fetch(base, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert pauses == [7.0, 7.0]


def test_a_server_that_stays_broken_is_given_up(tmp_path: Path, pauses: list[float]) -> None:
    served = Served(BODY, first=[500] * 9)
    with serve(file=served) as base, pytest.raises(UserError, match=r"500 Internal Server Error, 3 times in a row"):
        fetch(base, tmp_path / "file")
    assert pauses == [1.0, 2.0]
    with pytest.raises(UserError, match=r"Connection refused, 3 times in a row"):  # and one that is gone
        fetch(base, tmp_path / "file")


def test_a_redirection_is_followed_and_its_part_resumed(tmp_path: Path) -> None:
    real = Served(BODY, break_after=[400_000])
    with serve(real=real) as there, serve(file=Served(b"", moved_to=f"{there}/real")) as base:
        fetch(base, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY
    assert kinds(real.asked) == {"whole": 1, "part": 1}


def test_a_length_that_nobody_tells_is_no_hindrance(tmp_path: Path) -> None:
    with serve(file=Served(BODY, length=False)) as base:
        fetch(base, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_server_that_falls_silent_is_left(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=r"timed out, 2 times in a row"):
            fetch(base, tmp_path / "file", patience=Patience(2, 0.2))


def test_too_little_space_is_said_before_and_a_full_disk_when_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(file=Served(BODY)) as base:
        monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: Usage())
        with pytest.raises(UserError, match=r"1\.0 MB are to come and 0\.0 MB are free; free some space"):
            fetch(base, tmp_path / "file")
        monkeypatch.undo()
        real = Path.open

        def full(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if path.name == "file.part" and mode in ("wb", "ab"):
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(path, mode, *args, **kwargs)

        monkeypatch.setattr(Path, "open", full)
        with pytest.raises(UserError, match=r"file\.part: the disk is full; free some space and run this again"):
            fetch(base, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_progress_tells_rate_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    caplog.set_level("INFO")
    with serve(file=Served(BODY)) as base:
        fetch(base, tmp_path / "file")
    lines = [record.message for record in caplog.records]
    assert any("thing: " in line and " of 1.0 MB, " in line and "/s, " in line and " s left" in line for line in lines)
