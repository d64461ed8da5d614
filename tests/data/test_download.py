"""Downloads, from a web server on this machine: resumed, tried again, checked, unpacked; and what is said otherwise."""

import errno
import hashlib
import io
import json
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from served import Served, kinds, serve

from mmdist import downloads, pace
from mmdist.data import download as stage
from mmdist.data import transfer
from mmdist.data.transfer import Patience
from mmdist.data.unpack import unpack
from mmdist.stage import UserError
from workflow_runs import ROOT, run

BODY = bytes(range(256)) * 4000  # about a megabyte
DIGEST = hashlib.sha256(BODY).hexdigest()
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


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


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


class Usage(NamedTuple):
    total: int = 0
    used: int = 0
    free: int = 1000


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
    monkeypatch.setattr(pace, "EVERY", 0.0)
    caplog.set_level("INFO")
    with serve(file=Served(BODY)) as base:
        fetch(base, tmp_path / "file")
    lines = [record.message for record in caplog.records]
    assert any("thing: " in line and " of 1.0 MB, " in line and "/s, " in line and " s left" in line for line in lines)


# Archives.


def archive(path: Path, members: Mapping[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name) if "\\" not in name else name, content)
    return path.read_bytes()


VIDEOS = {
    "Charades/one.mp4": b"1",
    "Charades/two.mp4": b"22",
    "Charades/notes.txt": b"no",
    "__MACOSX/._one.mp4": b"no",
    "Charades/._two.mp4": b"no",
}


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
    with pytest.raises(UserError, match=r"no archive that can be unpacked \(Bad CRC-32"):
        unpack("a", path, {"*.mp4": f"{tmp_path}/out/"})
    path.write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"no archive that can be unpacked \(File is not a zip file\); remove it"):
        unpack("a", path, {"*.mp4": f"{tmp_path}/out/"})
    assert left(tmp_path) == ["a.zip"]


def test_too_little_space_for_the_members_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(tmp_path / "a.zip", {"one.mp4": b"x" * 5000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    with pytest.raises(UserError, match=r"the disk is full while unpacking"):
        unpack("a", tmp_path / "a.zip", {"*.mp4": f"{tmp_path}/out/"})


# The stage.


def settings(folder: Path, base: str, **files: dict[str, Any]) -> stage.DownloadSettings:
    absent = {"sha256": None, "size": None, "file": None, "members": None, "licence": "free", "page": "a page"}
    made = []
    for name, about in files.items():
        about = {**absent, "urls": (f"{base}/{name}",), **about}
        made.append(stage.Download(name=name, **about))
    return stage.DownloadSettings(str(folder / "kept"), False, 2, 5.0, tuple(made))


def bring(asked: stage.DownloadSettings) -> None:
    for download in asked.files:
        stage.bring(download, asked)


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "weights.pt"
    served = Served(BODY)
    with serve(w=served) as base:
        asked = settings(tmp_path, base, w={"file": str(place), "sha256": DIGEST})
        bring(asked)
        bring(asked)
        assert len(served.asked) == 1
        place.write_bytes(b"mine")
        with pytest.raises(UserError, match=r"weights\.pt is there with the SHA-256 \w+, .* expects \w+; move it away"):
            bring(asked)
        assert place.read_bytes() == b"mine"
        bring(settings(tmp_path, base, w={"file": str(place)}))  # nobody knows better
    assert place.read_bytes() == b"mine"
    assert len(served.asked) == 1


def test_a_checksum_that_nobody_publishes_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serve(w=Served(BODY)) as base:
        bring(settings(tmp_path, base, w={"file": str(tmp_path / "w")}))
    assert f"its SHA-256 is {DIGEST}, pin it as downloads.files.w.sha256" in caplog.text


def test_an_archive_is_fetched_unpacked_and_removed_and_known_by_its_record(tmp_path: Path) -> None:
    data = archive(tmp_path / "a.zip", VIDEOS)
    served = Served(data)
    with serve(a=served) as base:
        asked = settings(tmp_path, base, a={"members": {"*.mp4": f"{tmp_path}/videos/"}})
        bring(asked)
        assert left(tmp_path / "videos") == ["one.mp4", "two.mp4"]
        assert left(tmp_path / "kept") == ["a.json"]
        bring(asked)
        assert len(served.asked) == 1
        (tmp_path / "videos" / "two.mp4").unlink()
        bring(asked)  # it was ours, so it is made whole again
    assert len(served.asked) == 2
    assert left(tmp_path / "videos") == ["one.mp4", "two.mp4"]


def test_a_folder_that_a_user_filled_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "mine.mp4").touch()
    with serve() as base:
        bring(settings(tmp_path, base, a={"members": {"*.mp4": f"{tmp_path}/videos/"}}))
    assert "stays as it is; remove it to have it fetched" in caplog.text
    assert left(tmp_path) == ["mine.mp4"]


def test_an_archive_that_was_fetched_but_not_unpacked_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "one.mp4").write_bytes(b"1")
    archive(tmp_path / "kept" / "a", VIDEOS)
    with serve() as base:
        bring(settings(tmp_path, base, a={"members": {"*.mp4": f"{tmp_path}/videos/"}}))
    assert left(tmp_path) == ["a.json", "one.mp4", "two.mp4"]


# The workflow.


def test_the_target_brings_what_the_result_lacks(tmp_path: Path) -> None:
    words = io.BytesIO()
    with zipfile.ZipFile(words, "w") as file:
        file.writestr("vectors.txt", "a 1 2\n")
    with serve(**{"words.zip": Served(words.getvalue()), "train.txt": Served(b"V0001 1.0 4.0##a door.\n")}) as base:
        common = {"licence": "free", "page": "a page"}
        files = {
            "words": {
                "urls": [f"{base}/words.zip"],
                "sha256": hashlib.sha256(words.getvalue()).hexdigest(),
                "members": {"vectors.txt": "data/vectors.txt"},
                **common,
            },
            "lines": {"urls": [f"{base}/train.txt"], "file": "data/charades/charades_sta_train.txt", **common},
            "gone": {"urls": [f"{base}/gone"], "file": "data/gone", **common},
        }
        changes: dict[str, Any] = {
            "downloads": {"files": files, "sets": {"charades": ["lines", "words"], "all_of_it": ["gone", "lines"]}},
            "datasets": {"charades": {"vocabulary": {"word_vectors": "data/vectors.txt"}}},
        }
        said = run(tmp_path, "results/baseline_charades.json", changes=changes, dry=True).errors
        assert "run `snakemake --cores 1 download_charades`, get it from https://github.com/jiyanggao" in said[0]
        assert any(
            line.startswith("data/vectors.txt does not exist") and "`snakemake --cores 1 download_charades`" in line
            for line in said
        )
        outcome = run(tmp_path, "download_charades", changes=changes)
        assert outcome.status == 0, outcome.text
        assert "2/2 words" in outcome.text
        outcome = run(tmp_path, "download_all_of_it", changes=changes)
        assert outcome.status == 1
        assert "/gone answers 404 Not Found; correct downloads.files.gone, or get it by hand." in outcome.text
        assert "1 of 2 downloads failed" in outcome.text
    assert (tmp_path / "data/vectors.txt").read_text() == "a 1 2\n"
    assert (tmp_path / "data/charades/charades_sta_train.txt").exists()
    assert (tmp_path / "results/logs/download/charades.log").read_text().count("the checksum is right") == 1
    assert len(run(tmp_path, "results/baseline_charades.json", changes=changes, dry=True).errors) == len(said) - 2


def test_a_download_that_is_stopped_goes_on(tmp_path: Path) -> None:
    """Killed in the middle, as a process of its own."""
    served = Served(BODY * 8, break_after=[len(BODY)])
    with serve(w=served) as base:
        asked = {
            "folder": "kept",
            "keep_archives": False,
            "attempts": 100,
            "timeout": 5,
            "files": [
                {
                    "name": "w",
                    "urls": [f"{base}/w"],
                    "sha256": None,
                    "size": None,
                    "file": "w",
                    "members": None,
                    "licence": "free",
                    "page": "p",
                }
            ],
        }
        command = [sys.executable, "-m", "mmdist.data.download", "--settings", json.dumps(asked)]
        environment = {"PYTHONPATH": str(ROOT / "workflow"), "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if "again in" in line:
                process.kill()
                break
        process.wait()
        process.stderr.close()
        assert left(tmp_path) == ["w.part", "w.part.json"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "w").read_bytes() == BODY * 8
    assert served.asked[-1]["Range"] == f"bytes={len(BODY)}-"


# The configuration.


def test_the_configured_downloads_bring_what_the_configuration_names(config: dict[str, Any]) -> None:
    about = config["downloads"]
    assert set(about["sets"]) == {"charades", "activitynet"}
    for path in ("charades/videos", "charades/charades_sta_test.txt", "charades/Charades_v1_train.csv"):
        assert downloads.command(about, f"data/{path}", ("charades",)) == "snakemake --cores 1 download_charades"
    assert downloads.command(about, "data/weights/rgb_charades.pt", ("charades",)) == (
        "snakemake --cores 1 download_i3d_rgb_charades"
    )
    assert downloads.command(about, "data/activitynet/videos", ("activitynet",)) is None
    text = yaml.safe_dump({key: value for key, value in config.items() if key != "downloads"})
    for name in about["files"]:
        for place in downloads._places(about["files"][name]):
            assert place in text, f"{name} lands where nothing looks"


WRONG = [
    ({"sets": {"charades": ["glvoe"]}}, "downloads.sets.charades: there is no 'glvoe' in files; known are glove,"),
    ({"sets": {"glove": ["glove"]}}, "downloads.sets.glove: a file has this name"),
    ({"files": {"glove": {"file": "x"}}}, "downloads.files.glove: it needs one of 'file'"),
    ({"files": {"glove": {"urls": ["ftp://x"]}}}, "downloads.files.glove.urls.0: "),
    (
        {"files": {"glove": {"sha265": "x"}}},
        "downloads.files.glove: the key 'sha265' is unknown; did you mean 'sha256'",
    ),
]


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[row[1] for row in WRONG])
def test_what_is_wrong_with_downloads_is_said(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    outcome = run(tmp_path, changes={"downloads": changes}, dry=True)
    assert len(outcome.errors) == 1, outcome.text
    assert outcome.errors[0].startswith(f"configuration, {said}")
