"""Asking several videos in one call, and answers for other programs, with the tiny demo's student."""

import csv
import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import av
import pytest

from vidistill.commands import ground_cli, one_video

SENTENCES = ["the green box goes up", "the red ball slides right"]


@pytest.fixture(scope="module")
def model(tiny_results: Path) -> Path:
    return tiny_results / "student_demo.json"


@pytest.fixture
def folder(tiny_results: Path, tmp_path: Path) -> Path:
    """Two videos, and one that cannot be read."""
    found = tmp_path / "clips"
    found.mkdir()
    for video, name in zip(sorted((tiny_results / "demo" / "videos").iterdir()), ("a <b>", "c"), strict=False):
        shutil.copy(video, found / f"{name}{video.suffix}")
    (found / "broken.mp4").write_bytes(b"no video" * 100)
    return found


def command(model: Path, *arguments: str | Path) -> None:
    ground_cli.main(["--model", str(model), "--device", "cpu", "--threads", "1", *map(str, arguments)])


def test_a_folder_is_answered_and_what_fails_is_listed(model, folder, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit, match="1 of 3 videos could not be asked"):
        command(model, folder, *SENTENCES, "--json", tmp_path / "all.json", "--output", tmp_path / "all.csv")
    said = capsys.readouterr()
    assert "broken.mp4 cannot be read as a video" in said.err
    written = json.loads((tmp_path / "all.json").read_text())
    assert [Path(video["video"]).stem for video in written["videos"]] == ["a <b>", "c"]
    assert list(written["failed"]) == [str(folder / "broken.mp4")]
    rows = list(csv.DictReader((tmp_path / "all.csv").open()))
    shown = re.findall(r"^ +\d .*?([\d.]+) s - ([\d.]+) s", said.out, re.MULTILINE)
    assert [(f"{float(row['start']):.1f}", f"{float(row['end']):.1f}") for row in rows] == shown
    for video in written["videos"]:
        command(model, video["video"], *SENTENCES, "--json", tmp_path / "one.json")
        assert json.loads((tmp_path / "one.json").read_text())["answers"] == video["answers"]


def test_several_videos_and_a_table_ask_the_same(model, folder, tmp_path, capsys) -> None:
    videos = [path for path in sorted(folder.iterdir()) if path.name != "broken.mp4"]
    command(model, *videos, SENTENCES[0], "--json", "-")
    words = json.loads(capsys.readouterr().out)
    table = folder / "asked.csv"
    table.write_text("sentence,video\n" + "".join(f"{SENTENCES[0]},{video.name}\n" for video in videos))
    command(model, "--table", table, "--json", tmp_path / "table.json")
    assert json.loads((tmp_path / "table.json").read_text())["videos"] == words["videos"]
    assert len(words["videos"]) == 2


def test_kept_features_answer_without_the_video_being_decoded(model, folder, tmp_path, capsys, monkeypatch) -> None:
    video = next(folder.glob("c.*"))
    (tmp_path / "kept").mkdir()
    arguments = (video, *SENTENCES, "--keep", tmp_path / "kept", "--json", "-")
    command(model, *arguments)
    first = capsys.readouterr().out
    monkeypatch.setattr(one_video, "decode", lambda *args, **kwargs: pytest.fail("the video was decoded"))
    command(model, *arguments)
    assert capsys.readouterr().out == first


def test_each_video_has_files_of_its_own(model, folder, tmp_path) -> None:
    (folder / "broken.mp4").unlink()
    (tmp_path / "clips out").mkdir()
    outputs = [
        argument
        for suffix in ("html", "srt", "vtt", "edl")
        for argument in ("--output", tmp_path / f"{{video}}.{suffix}")
    ]
    cut = ("--cut", tmp_path / "clips out", "--picture", tmp_path / "{video}.png", "--json", tmp_path / "all.json")
    command(model, folder, *SENTENCES, "--top", "1", *outputs, *cut)
    for video in json.loads((tmp_path / "all.json").read_text())["videos"]:
        path = Path(video["video"])
        best = [answer["moments"][0] for answer in video["answers"]]
        assert (tmp_path / f"{path.stem}.png").exists()
        assert (tmp_path / f"{path.stem}.srt").read_text().count(" --> ") == len(SENTENCES)
        assert (tmp_path / f"{path.stem}.vtt").read_text().startswith("WEBVTT")
        assert f"* FROM CLIP NAME: {path.name}" in (tmp_path / f"{path.stem}.edl").read_text()
        page = (tmp_path / f"{path.stem}.html").read_text()
        (source,) = re.findall('src="([^"]+)"', page)
        assert (tmp_path / unquote(source)).samefile(path)
        data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
        assert [answer["moments"] for answer in data["answers"]] == [[moment] for moment in best]
        for number, moment in enumerate(best, 1):
            with av.open(str(tmp_path / "clips out" / f"{path.stem}-{number}-1.mp4")) as clip:
                shown = sum(1 for _ in clip.decode(video=0)) / float(clip.streams.video[0].average_rate)
            assert shown == pytest.approx(moment["end"] - moment["start"], abs=0.4)  # the demo has few frames a second


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--output", "a.srt"), r"several videos would be written to a\.srt; put \{video\}"),
        (("--picture", "a.png"), r"several videos would be written to a\.png"),
        (("--output", "a.txt"), "there is no such form"),
        (("--cut", "nowhere"), "nowhere does not exist"),
        (("--keep", "nowhere"), "nowhere does not exist"),
        (("--table", "t.csv"), "give nothing but options beside it"),
    ],
)
def test_mistakes_are_said_before_a_video_is_opened(model, folder, arguments, said, monkeypatch) -> None:
    monkeypatch.setattr(one_video, "decode", lambda *args, **kwargs: pytest.fail("a video was opened"))
    with pytest.raises(SystemExit, match=f"^error: .*{said}"):
        command(model, folder, SENTENCES[0], *arguments)


def test_clips_do_not_replace_each_other_nor_a_video(model, folder, monkeypatch) -> None:
    monkeypatch.setattr(one_video, "decode", lambda *args, **kwargs: pytest.fail("a video was opened"))
    video = next(folder.glob("c.*"))
    (folder / "inner").mkdir()
    again = shutil.copy(video, folder / "inner" / video.name)
    with pytest.raises(SystemExit, match=r"--cut .*several videos would be written to .*give each video a name"):
        command(model, video, again, SENTENCES[0], "--cut", folder)
    clip = shutil.copy(video, folder / "c-2-1.mp4")
    with pytest.raises(SystemExit, match=r"--cut .*c-2-1\.mp4 is a video that is asked"):
        command(model, video, clip, *SENTENCES, "--cut", folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("video,words\na.mp4,b\n", "has no column 'sentence'"),
        ("video,sentence\na.mp4,\n", "line 2: a video or a sentence is missing"),
        ("video,sentence\n", "has no rows"),
        ("video,sentence\n\udcff", "not a CSV file in UTF-8"),
    ],
)
def test_a_table_that_is_none_is_said(model, tmp_path, text, said) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SystemExit, match=f"^error: .*{said}"):
        command(model, "--table", tmp_path / "t.csv")
