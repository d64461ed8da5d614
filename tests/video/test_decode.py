"""Which source frame is at each output time; what becomes of bad files."""

import json
import math
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
import pytest
from clips import number_of, numbered, numbers, write, write_sound

from conftest import ROOT, data, parse
from vidistill.base import code
from vidistill.base.stage import UserError
from vidistill.video import frames
from vidistill.video.decode import DecodeSettings, by_id, decode, identity, target_size
from vidistill.video.source import upright

THIRTY = Fraction(30000, 1001)


@pytest.fixture
def decoded(tmp_path, config):
    """Decode one file with changes to the default settings: its open group."""
    opened = []

    def run(path: Path, **changes) -> h5py.Group:
        file = h5py.File(tmp_path / f"decoded-{len(opened)}.h5", "w")
        opened.append(file)
        group = file.create_group("v")
        group.attrs["video_id"] = "v"
        settings = parse(DecodeSettings, config["decode"], **{"short_side": None, **changes})
        decode("v", group, sources={"v": path}, settings=settings)
        return group

    yield run
    for file in opened:
        file.close()


def sequence(count: int, **size: int) -> list[np.ndarray]:
    return [numbered(i, **size) for i in range(count)]


def shown(group: h5py.Group) -> list[int]:
    assert group.attrs["status"] in ("ok", "partial"), group.attrs["reason"]
    return numbers(frames.read(group))


def at(times: list[Fraction], fps: Fraction, duration: Fraction) -> list[int]:
    """By definition: the last frame whose time is not after k/fps, give or take a millisecond."""
    count = math.ceil((duration - Fraction(1, 1000)) * fps)
    return [max(j for j, t in enumerate(times) if t <= k / fps + Fraction(1, 1000)) for k in range(count)]


# --- Time


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov", ".ts"])
@pytest.mark.parametrize("rate", [Fraction(25), THIRTY, Fraction(24), Fraction(15)])
def test_constant_rate(tmp_path, decoded, suffix, rate):
    clip = write(tmp_path / f"v{suffix}", sequence(60), rate=rate)
    group = decoded(clip, fps=25)
    clock = 1000 if suffix == ".mkv" else 90000  # ticks a second
    times = [Fraction(round(i / rate * clock), clock) for i in range(60)]
    assert shown(group) == at(times, Fraction(25), 60 / rate)
    assert group.attrs["status"] == "ok", group.attrs["reason"]
    assert group["times"][:] == pytest.approx(np.arange(len(group["frames"])) / 25)
    assert group.attrs["duration"] == pytest.approx(60 / rate, abs=2e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_native_rate_is_each_frame_once(tmp_path, decoded, suffix):
    group = decoded(write(tmp_path / f"v{suffix}", sequence(50), rate=THIRTY), fps=None)
    assert shown(group) == list(range(50))
    assert group.attrs["fps"] == pytest.approx(float(THIRTY))
    assert group.attrs["source_frames"] == 50


def test_variable_rate(tmp_path, decoded):
    gaps = np.random.default_rng(0).integers(5, 200, 40)
    ticks = [int(t) for t in np.cumsum(gaps) + 500]
    clip = write(tmp_path / "v.mkv", sequence(40), ticks, time_base=Fraction(1, 1000))
    times = [Fraction(t - ticks[0], 1000) for t in ticks]
    got = shown(decoded(clip, fps=12.5))
    expected = at(times, Fraction(25, 2), times[-1] + Fraction(1, 1000))
    assert got[: len(expected)] == expected
    assert set(got[len(expected) :]) <= {39}


def test_rates_meant_as_fractions(tmp_path, decoded):
    clip = write(tmp_path / "v.mp4", sequence(120), rate=THIRTY)
    assert shown(decoded(clip, fps=29.97)) == list(range(120))


def test_one_frame(tmp_path, decoded):
    group = decoded(write(tmp_path / "v.mp4", sequence(1)))
    assert (shown(group), group.attrs["status"]) == ([0], "ok")


def test_a_real_video_with_shuffled_timestamps_plays_in_order(decoded):
    """Its frames, sorted by their timestamps, would jump back and forth: the mean step would be half as large again."""
    path = data("videos", "v_ApplyEyeMakeup_g01_c01.avi")
    group = decoded(path)
    with av.open(str(path)) as container:
        stamped = [(f.pts, f.to_ndarray(format="rgb24")[::4, ::4]) for f in container.decode(video=0)]
    assert sum(b[0] < a[0] for a, b in pairwise(stamped)) > 50
    got = frames.read(group)[:, ::4, ::4].astype(float)
    assert len(got) == len(stamped) == 164
    assert np.abs(got - [image for _, image in stamped]).mean() < 1
    by_stamp = np.stack([image for _, image in sorted(stamped, key=lambda s: s[0])]).astype(float)
    assert np.abs(np.diff(by_stamp, axis=0)).mean() > 1.4 * np.abs(np.diff(got, axis=0)).mean()


def test_a_long_video_is_cut(tmp_path, decoded):
    group = decoded(write(tmp_path / "v.mp4", sequence(100)), max_seconds=2)
    assert shown(group) == list(range(50))
    assert (group.attrs["status"], group.attrs["duration"]) == ("partial", 2)
    assert "max_seconds" in group.attrs["reason"]
    assert shown(decoded(tmp_path / "v.mp4", max_seconds=0.01)) == [0]


# --- Picture


def corners(image: np.ndarray) -> list[int]:
    """Mean grey level of the four quarters' centres: upper left, upper right, lower left, lower right."""
    h, w = image.shape[0] // 4, image.shape[1] // 4
    return [int(image[y - 4 : y + 4, x - 4 : x + 4].mean()) for y in (h, 3 * h) for x in (w, 3 * w)]


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("angle", [0, 90, 180, -90])
def test_rotation_metadata_are_applied(tmp_path, decoded, angle, mirror):
    image = np.zeros((96, 160, 3), np.uint8)
    image[:48, :80], image[:48, 80:], image[48:, :80], image[48:, 80:] = 40, 100, 160, 220
    expected = np.rot90(image, angle // 90)
    expected = expected[:, ::-1] if mirror else expected
    group = decoded(write(tmp_path / "v.mp4", [image] * 3, rotation=angle, hflip=mirror))
    got = frames.read(group)
    assert got.shape[1:] == expected.shape
    assert (group.attrs["height"], group.attrs["width"]) == expected.shape[:2]
    assert corners(got[1]) == pytest.approx(corners(expected), abs=4)


def test_rotation_goes_to_the_nearest_right_angle():
    image = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    angle = np.deg2rad(80)
    matrix = 65536 * np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    assert np.array_equal(upright(image, matrix.astype(np.int64)), np.rot90(image))


@pytest.mark.parametrize(("width", "height"), [(161, 65), (160, 65), (17, 16), (320, 33), (2, 2)])
def test_odd_sizes(tmp_path, decoded, width, height):
    images = [np.full((height, width, 3), 50 * i, np.uint8) for i in range(4)]
    clip = write(tmp_path / "v.mkv", images, codec="ffv1", pixels="yuv444p")
    group = decoded(clip)
    assert frames.read(group).shape == (4, height, width, 3)
    assert [int(image.mean()) for image in frames.read(group)] == pytest.approx([0, 50, 100, 150], abs=2)
    assert min(frames.read(decoded(clip, short_side=24)).shape[1:3]) == 24


@pytest.mark.parametrize(
    ("size", "changes", "expected"),
    [
        ((320, 240), {"short_side": 256}, (341, 256)),
        ((240, 320), {"short_side": 256}, (256, 341)),
        ((406, 720), {"short_side": 256}, (256, 453)),
        ((320, 240), {"short_side": None}, (320, 240)),
        ((320, 180), {"short_side": 226, "resize": "at_least"}, (401, 226)),
        ((640, 360), {"short_side": 226, "resize": "at_least"}, (640, 360)),
    ],
)
def test_target_size(config, size, changes, expected):
    assert target_size(*size, parse(DecodeSettings, config["decode"], **changes)) == expected


def test_resizing_averages_instead_of_aliasing(tmp_path, decoded):
    """Stripes one pixel wide, at a quarter of the size: grey, where plain bilinear sampling keeps black and white."""
    image = np.zeros((128, 256, 3), np.uint8)
    image[:, ::2] = 255
    clip = write(tmp_path / "v.mkv", [image] * 2, codec="ffv1", pixels="yuv444p")
    got = frames.read(decoded(clip, short_side=32, encoding="png"))
    assert got.shape[1:] == (32, 64, 3)
    assert np.abs(got[:, 4:-4, 4:-4].astype(int) - 127).max() <= 4


def test_colours_and_encodings(tmp_path, decoded):
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :32], image[:, 32:64], image[:, 64:] = (200, 30, 40), (20, 180, 60), (70, 40, 210)
    clip = write(tmp_path / "v.avi", [image] * 2, codec="rawvideo", pixels="bgr24")
    assert np.array_equal(frames.read(decoded(clip, encoding="png"))[0], image)
    near = frames.read(decoded(clip, encoding="jpeg", jpeg_quality=100))[0]
    assert np.abs(near.astype(int) - image).mean() < 3
    sizes = [sum(map(len, decoded(clip, encoding="jpeg", jpeg_quality=q)["frames"][:])) for q in (20, 100)]
    assert sizes[0] < sizes[1]


def test_gif(tmp_path, decoded):
    clip = write(tmp_path / "v.gif", sequence(20), rate=10, codec="gif", pixels="rgb8")
    group = decoded(clip, fps=10)
    assert (shown(group), group.attrs["status"]) == (list(range(20)), "ok")
    clip.write_bytes(clip.read_bytes() + b"\0" * 100)
    assert decoded(clip).attrs["status"] == "ok"


def test_cover_art_is_no_video(tmp_path, decoded):
    clip = write_sound(tmp_path / "sound.m4a")
    picture = cv2.imencode(".png", numbered(3))[1].tobytes()
    with av.open(str(clip)) as source, av.open(str(tmp_path / "v.mp4"), "w") as target:
        sound, cover = target.add_stream_from_template(source.streams.audio[0]), target.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 160, 64, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(picture)
        packet.stream, packet.pts, packet.dts, packet.time_base = cover, 0, 0, Fraction(1, 1)
        target.mux(packet)
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = sound
                target.mux(packet)
    with av.open(str(tmp_path / "v.mp4")) as made:
        assert len(made.streams.video) == 1
    assert decoded(tmp_path / "v.mp4").attrs["reason"] == "no video stream"


# --- Bad files


def status(group: h5py.Group) -> tuple[str, str]:
    if group.attrs["status"] == "bad":
        assert not list(group)
        assert set(group.attrs) == {"video_id", "status", "reason"}
    assert bool(group.attrs["reason"]) == (group.attrs["status"] != "ok")
    return group.attrs["status"], group.attrs["reason"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".gif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_keeps_what_decodes(tmp_path, decoded, suffix, share):
    codec = {"codec": "gif", "pixels": "rgb8"} if suffix == ".gif" else {"codec_options": {"g": "10"}}
    rng = np.random.default_rng(0)
    images = [np.where(rng.random((64, 160, 1)) < 0.1, 128, image).astype(np.uint8) for image in sequence(100)]
    clip = write(
        tmp_path / f"v{suffix}", images, options={"movflags": "faststart"} if suffix == ".mp4" else {}, **codec
    )
    whole = decoded(clip)
    assert status(whole) == ("ok", "")
    clip.write_bytes(clip.read_bytes()[: int(clip.stat().st_size * share)])
    cut = decoded(clip)
    if suffix != ".ts":  # a transport stream states no length: it may be cut where nobody can see it
        assert status(cut)[0] == "partial"
    count = len(cut["frames"])
    assert 0.5 * share * 100 < count < 100
    assert shown(cut)[: count - 3] == list(range(count - 3))


def test_truncated_before_its_index(tmp_path, decoded):
    clip = write(tmp_path / "v.mp4", sequence(30))
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert status(decoded(clip))[0] == "bad"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".flv"])
@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes_never_crash_and_never_pass_silently(tmp_path, decoded, suffix, seed):
    rng = np.random.default_rng(seed)
    images = list(rng.integers(0, 255, (30, 64, 96, 3), dtype=np.uint8))
    content = np.frombuffer(write(tmp_path / f"v{suffix}", images).read_bytes(), np.uint8).copy()
    places = rng.integers(len(content) // 8, len(content), 400)
    content[places] ^= rng.integers(1, 255, 400, dtype=np.uint8)
    (tmp_path / f"v{suffix}").write_bytes(content.tobytes())
    group = decoded(tmp_path / f"v{suffix}", max_seconds=100)
    assert status(group)[0] in ("partial", "bad")
    if group.attrs["status"] == "partial":
        assert len(group["frames"]) == len(group["times"]) == len(frames.read(group))
        assert len(group["frames"]) <= 2500


def test_what_is_no_video(tmp_path, decoded):
    (tmp_path / "text.mp4").write_text("no video, only words\n" * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(10000))
    (tmp_path / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:10,\nhttp://localhost:9/a.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nothing.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    write_sound(tmp_path / "sound.mp4")
    for name in ("text", "empty", "noise", "playlist", "folder", "dangling", "pipe", "sound", "absent"):
        kind, reason = status(decoded(tmp_path / f"{name}.mp4"))
        assert kind == "bad", name
        assert {"sound": "no video stream", "dangling": "dangling link"}.get(name, "") in reason


def test_no_frames_and_no_duration(tmp_path, decoded):
    clip = write(tmp_path / "v.mkv", sequence(20))
    with av.open(str(clip)) as source, av.open(str(tmp_path / "0.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.size:
                packet.stream, packet.pts, packet.dts, packet.duration = stream, 0, 0, 0
                target.mux(packet)
    assert "same time" in status(decoded(tmp_path / "0.mkv"))[1]
    with av.open(str(tmp_path / "none.avi"), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "bgr24"
        container.start_encoding()
    assert status(decoded(tmp_path / "none.avi"))[0] == "bad"


def test_a_jump_of_the_timestamps_is_closed_and_said(tmp_path, decoded):
    ticks = [*range(20), *range(10**6, 10**6 + 20)]
    clip = write(tmp_path / "v.mkv", sequence(40), ticks, time_base=Fraction(1, 25), codec="ffv1", pixels="yuv444p")
    group = decoded(clip)
    assert shown(group) == list(range(40))
    assert status(group) == ("partial", "the timestamps jump once")


def test_too_many_pixels(tmp_path, decoded):
    clip = write(tmp_path / "v.mp4", sequence(3))
    assert "max_pixels" in status(decoded(clip, max_pixels=5000))[1]
    assert "max_pixels" in status(decoded(clip, max_pixels=20000, short_side=2000))[1]
    assert status(decoded(clip, max_pixels=160 * 64))[0] == "ok"


@pytest.mark.parametrize("name", ["Y1HGC.mp4", "v_GGSY1Qvo990.mp4", "v_BaseballPitch_g01_c01.avi"])
def test_real_videos(decoded, name):
    path = data("videos", name)
    group = decoded(path, fps=None)
    assert status(group) == ("ok", "")
    with av.open(str(path)) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(group["frames"]) == len(images)
    for i in (0, len(images) // 2, len(images) - 1):
        assert np.abs(frames.read(group, i, i + 1)[0].astype(int) - images[i]).mean() < 1.5


# --- The stage


def stage(settings: dict, videos: list[Path], tmp_path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "vidistill.video.decode", "--settings", json.dumps(settings), "--workers", "2"]
    command += ["--output", str(tmp_path / "out.h5"), "--work", str(tmp_path / "work"), "--videos", *map(str, videos)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_the_stage_writes_all_videos_and_says_which_are_bad(tmp_path, config):
    good = write(tmp_path / "a.b.mp4", sequence(10), sound=0.5)
    done = stage({**config["decode"], "short_side": 32}, [good, tmp_path / "gone.mp4"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "gone is bad: no such file" in done.stderr
    found = {video_id: dict(group.attrs) for video_id, group in frames.videos(tmp_path / "out.h5")}
    assert {v: a["status"] for v, a in found.items()} == {"a.b": "ok", "gone": "bad"}
    assert (found["a.b"]["source_width"], found["a.b"]["source_codec"], found["a.b"]["width"]) == (160, "h264", 80)
    assert not (tmp_path / "work").exists()


def test_an_empty_shard_is_a_file_without_videos(tmp_path, config):
    assert stage(config["decode"], [], tmp_path).returncode == 0
    assert list(frames.videos(tmp_path / "out.h5")) == []


def test_two_files_with_one_stem(tmp_path, config):
    with pytest.raises(UserError, match=r"a\.mp4.*a\.avi.*'a'"):
        by_id([Path("x/a.mp4"), Path("y/a.avi")])
    done = stage(config["decode"], [tmp_path / "a.mp4", tmp_path / "a.avi"], tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_identity_is_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"12")
    (tmp_path / "b").write_bytes(b"13")
    shutil.copyfile(tmp_path / "a", tmp_path / "c")
    os.utime(tmp_path / "c", (1, 1))
    assert identity(tmp_path / "a") == identity(tmp_path / "c")
    assert len({identity(tmp_path / name) for name in ("a", "b", "none")}) == 3


def test_frames_digest_tells_results_apart(tmp_path, decoded):
    clip = write(tmp_path / "v.mp4", sequence(10))
    same, again, other = decoded(clip), decoded(clip), decoded(clip, fps=12.5)
    assert same.attrs["frames_digest"] == again.attrs["frames_digest"] != other.attrs["frames_digest"]


def test_reading_in_blocks(tmp_path, decoded):
    group = decoded(write(tmp_path / "v.mp4", sequence(150)))
    assert numbers(frames.read(group, 70, 75)) == [70, 71, 72, 73, 74]
    assert numbers(frames.read(group, 148, 200)) == [148, 149]
    assert frames.read(group, 200, 210).shape == (0, 64, 160, 3)
    assert number_of(frames.read(group)[149]) == 149


def test_closure():
    assert [m for m in code.closure("vidistill.video.decode") if m.startswith("vidistill.video.")] == [
        "vidistill.video.decode",
        "vidistill.video.frames",
        "vidistill.video.source",
        "vidistill.video.timeline",
        "vidistill.video.timing",
    ]
