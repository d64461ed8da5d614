"""The stage `download` and its targets: what is there is left alone, the rest is brought and known again."""

import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from served import BODY, DIGEST, VIDEOS, Served, archive, left, serve

from vidistill.base.stage import UserError
from vidistill.data.downloads import download as stage
from vidistill.planning import downloads
from vidistill.planning.config import complete, merge
from vidistill.planning.plan import Plan
from workflow_runs import ROOT, run


def settings(folder: Path, base: str, **files: dict[str, Any]) -> stage.DownloadSettings:
    absent = {"sha256": None, "size": None, "file": None, "members": None, "licence": "free", "page": "a page"}
    made = []
    for name, about in files.items():
        about = {**absent, "urls": (f"{base}/{name}",), **about}
        made.append(stage.Download(name=name, **about))
    return stage.DownloadSettings(folder=str(folder / "kept"), attempts=2, timeout=5.0, files=tuple(made))


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
        assert (
            "fetch it with `snakemake --cores 1 download_charades`, get it from https://github.com/jiyanggao" in said[0]
        )
        assert any(
            line.startswith("data/vectors.txt ") and "`snakemake --cores 1 download_charades`" in line for line in said
        )
        outcome = run(tmp_path, "download_charades", changes=changes)
        assert outcome.status == 0, outcome.text
        assert "2/2 words" in outcome.text
        outcome = run(tmp_path, "download_all_of_it", changes=changes)
        assert outcome.status == 1
        assert re.search(r"/gone: .*404.*; correct downloads\.files\.gone, or get it by hand\.", outcome.text)
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
                    "sha256": hashlib.sha256(served.body).hexdigest(),
                    "size": None,
                    "file": "w",
                    "members": None,
                    "licence": "free",
                    "page": "p",
                }
            ],
        }
        command = [sys.executable, "-m", "vidistill.data.downloads.download", "--settings", json.dumps(asked)]
        environment = {"PYTHONPATH": str(ROOT / "workflow"), "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if "again in" in line:
                process.kill()
                break
        process.wait()
        process.stderr.close()
        assert left(tmp_path) == ["w.part"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "w").read_bytes() == BODY * 8
    assert served.asked[-1]["Range"] == f"bytes={len(BODY)}-"


# The configuration.


def test_the_configured_downloads_bring_what_the_configuration_names(config: dict[str, Any]) -> None:
    about = config["downloads"]
    assert set(about["sets"]) == {"charades", "activitynet", "tacos"}
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
    ({"sets": {"charades": ["glvoe"]}}, "downloads.sets.charades: there is no 'glvoe' in files, which are glove,"),
    ({"sets": {"glove": ["glove"]}}, "downloads.sets.glove: a file has the same name"),
    ({"files": {"glove": {"file": "x"}}}, "downloads.files.glove: it needs either 'file'"),
    ({"files": {"glove": {"urls": ["ftp://x"]}}}, "downloads.files.glove.urls.0: "),
    (
        {"files": {"glove": {"sha265": "x"}}},
        "downloads.files.glove: the key 'sha265' is unknown; did you mean 'sha256'",
    ),
]


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[row[1] for row in WRONG])
def test_what_is_wrong_with_downloads_is_said(config: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"configuration, {said}")) as caught:
        Plan(complete(merge(config, {"downloads": changes})))
    assert len(str(caught.value).splitlines()) == 1
