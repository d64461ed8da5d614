"""One clock: which frame is at which second of a player's clock, and how long a video is, whoever asks."""

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import h5py
import pytest
from clips import copy, numbered, numbers, write

from conftest import data, parse
from vidistill.video import frames, source
from vidistill.video.decode import DecodeSettings, decode

FPS = 25
Seen = tuple[list[int], str, str]  # the number of the frame at each k/FPS, status, reason


@pytest.fixture
def seen(tmp_path, config) -> Callable[[Path], Seen]:
    """Decode a file; its duration must be the same for who only asks."""

    def run(path: Path) -> Seen:
        settings = parse(DecodeSettings, config["decode"], short_side=None, fps=FPS)
        with h5py.File(tmp_path / "decoded.h5", "w") as file:
            group = file.create_group("v")
            group.attrs["video_id"] = "v"
            decode("v", group, sources={"v": path}, settings=settings)
            assert group.attrs["status"] != "bad", group.attrs["reason"]
            assert float(source.duration(path)) == group.attrs["duration"]
            assert group.attrs["duration"] == pytest.approx(len(group["frames"]) / FPS, abs=1 / FPS)
            return numbers(frames.read(group)), str(group.attrs["status"]), str(group.attrs["reason"])

    return run


def sequence(count: int, first: int = 0) -> list:
    return [numbered(first + i) for i in range(count)]


JOINABLE = [
    ("ts", "libx264"),
    ("ts", "mpeg2video"),
    ("mpg", "mpeg2video"),
    ("mpg", "mpeg1video"),
    ("vob", "mpeg2video"),
]


@pytest.mark.parametrize(("suffix", "codec"), JOINABLE)
@pytest.mark.parametrize("counts", [(50, 50), (30, 45, 60), (60, 20)])
def test_recordings_joined_byte_by_byte_follow_each_other(tmp_path, seen, suffix, codec, counts):
    joined, first = b"", 0
    for count in counts:
        part = write(tmp_path / f"part.{suffix}", sequence(count, first), codec=codec, codec_options={"qscale": "2"})
        joined, first = joined + part.read_bytes(), first + count
    (tmp_path / f"v.{suffix}").write_bytes(joined)
    shown, status, reason = seen(tmp_path / f"v.{suffix}")
    assert shown == list(range(first))
    assert (status, "jump" in reason) == ("partial", True)


@pytest.mark.parametrize(
    ("suffix", "codec", "sound"),
    [
        ("mkv", "libx264", "libopus"),
        ("mkv", "libx264", "aac"),
        ("mp4", "libx264", "aac"),
        ("ts", "libx264", "aac"),
        ("flv", "flv", "aac"),
        ("webm", "libvpx", "libopus"),
        ("avi", "mpeg4", "mp2"),
    ],
)
@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_sound_that_is_longer_or_shorter_than_the_picture(tmp_path, seen, suffix, codec, sound, seconds):
    clip = write(tmp_path / f"v.{suffix}", sequence(50), codec=codec, sound=seconds, sound_codec=sound)
    shown, status, reason = seen(clip)
    assert (status, reason) == ("ok", "")
    assert shown == list(range(50))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_the_film_behind_a_thumbnail(tmp_path, seen, suffix):
    video = write(tmp_path / "video.mp4", sequence(50))
    thumbnail = write(tmp_path / "thumbnail.mkv", [numbered(99, 640, 256)], codec="mjpeg", pixels="yuvj420p")
    shown, status, _ = seen(copy(video, tmp_path / f"v.{suffix}", before=thumbnail))
    assert (shown, status) == (list(range(50)), "ok")


@pytest.mark.parametrize(("suffix", "sound"), [("mp4", "aac"), ("mkv", "aac"), ("ts", "aac"), ("mov", "aac")])
@pytest.mark.parametrize("late", [5, 50])
@pytest.mark.parametrize("sound_first", [False, True])
def test_a_picture_that_begins_after_the_sound(tmp_path, seen, suffix, sound, late, sound_first):
    ticks = range(late, late + 50)
    clip = write(
        tmp_path / f"v.{suffix}", sequence(50), ticks, sound=4.0, sound_codec=sound, sound_first=sound_first,
        codec_options={"bf": "0"},
    )  # fmt: skip
    shown, status, reason = seen(clip)
    assert (status, reason) == ("ok", "")
    begin = shown.index(1) - 1
    assert abs(begin - late) <= 1  # the codec of the sound may begin a little earlier
    assert shown == [0] * (begin + 1) + list(range(1, 50))


def test_a_sound_that_begins_after_the_picture(tmp_path, seen):
    shown, status, _ = seen(write(tmp_path / "v.mkv", sequence(50), sound=1.0, sound_at=1.0))
    assert (shown, status) == (list(range(50)), "ok")


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "nut"])
@pytest.mark.parametrize("pause", [1, 3, 100])
@pytest.mark.parametrize("reordered", ["0", "3"])
def test_a_recording_that_stands_still(tmp_path, seen, suffix, pause, reordered):
    ticks = [40 * i + 1000 * pause * (i >= 25) for i in range(50)]
    clip = write(
        tmp_path / f"v.{suffix}", sequence(50), ticks, time_base=Fraction(1, 1000), codec_options={"bf": reordered}
    )
    shown, status, reason = seen(clip)
    assert (status, reason) == ("ok", "")
    assert shown == [*range(24), *[24] * (25 * pause + 1), *range(25, 50)]


@pytest.mark.parametrize("reordered", ["0", "3"])
def test_a_leap_of_hours_is_closed_where_frames_are_reordered_too(tmp_path, seen, reordered):
    ticks = [i + 10**6 * (i >= 25) for i in range(50)]
    shown, status, reason = seen(
        write(tmp_path / "v.mkv", sequence(50), ticks, time_base=Fraction(1, 25), codec_options={"bf": reordered})
    )
    assert shown == list(range(50))
    assert (status, "jump" in reason) == ("partial", True)


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_frames_before_the_first_key_frame_are_missing_and_keep_their_time(tmp_path, seen, suffix):
    whole = write(tmp_path / "v.mp4", sequence(100), codec_options={"g": "50", "bf": "0", "sc_threshold": "0"})
    shown, status, reason = seen(copy(whole, tmp_path / f"v.{suffix}", keep=lambda number: number >= 10))
    assert shown == [50] * 40 + list(range(50, 100))
    assert status == "partial"
    assert "1.60 s" in reason


def test_an_empty_packet_shows_the_picture_before_it(tmp_path, seen):
    clip = write(tmp_path / "v.nut", sequence(50), codec="mjpeg", pixels="yuvj420p")
    with av.open(str(clip)) as old, av.open(str(tmp_path / "empty.nut"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(old.demux(video=0)):
            if packet.size:
                empty = av.Packet(b"")
                empty.pts, empty.dts, empty.duration = packet.pts, packet.dts, packet.duration
                empty.time_base = packet.time_base
                written = empty if 10 <= number < 40 or number == 49 else packet
                written.stream = stream
                new.mux(written)
    shown, status, reason = seen(tmp_path / "empty.nut")
    assert (status, reason) == ("ok", "")
    assert shown == [*range(10), *[9] * 30, *range(40, 49), 48]


@pytest.mark.parametrize("first", [0, 10, 40])
@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize(("seconds", "rate"), [(2**20, 25), (-(2**20), 25), (30, 25), (0.5, 25), (30, 1), (2**20, 1)])
def test_damaged_time_stamps_move_nothing_else(tmp_path, first, count, seconds, rate):
    clip = write(tmp_path / "v.nut", sequence(50), codec="ffv1", rate=rate)
    damaged = range(first, first + count)
    with av.open(str(clip)) as file:
        stream = file.streams.video[0]
        packets = [source.Packet(p.pts, p.dts, p.duration) for p in file.demux(video=0) if p.size]
        for i in damaged:
            wrong = round(seconds / stream.time_base)
            packets[i] = packets[i]._replace(shown=packets[i].shown + wrong, decoded=packets[i].decoded + wrong)
        line = source.timeline.build(packets, file, stream, 2.0)
    assert line.times == tuple(Fraction(i, rate) for i in range(50))
    assert line.end == Fraction(50, rate)


@pytest.mark.parametrize(
    ("name", "seconds"), [("Y1HGC.mp4", 30.7), ("v_ZNVhz7ctTq0.mp4", 14.05), ("v_ApplyEyeMakeup_g01_c01.avi", 6.6)]
)
def test_durations_of_real_videos(name, seconds):
    assert float(source.duration(data("videos", name))) == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("mov", "mjpeg"), ("flv", "flv"), ("mxf", "mpeg2video")]
)
def test_what_no_player_shows_of_joined_files_is_said(tmp_path, seen, suffix, codec):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    parts = [
        write(tmp_path / f"{i}.{suffix}", sequence(50, 50 * i), codec=codec, pixels=pixels).read_bytes() for i in (0, 1)
    ]
    (tmp_path / f"v.{suffix}").write_bytes(b"".join(parts))
    shown, status, _ = seen(tmp_path / f"v.{suffix}")
    assert shown[:49] == list(range(49))
    assert status == "partial"
    assert seen(tmp_path / f"0.{suffix}")[1] == "ok"


# --- Random files, whose every frame is known


def random_clip(rng: random.Random, folder: Path) -> tuple[Path, list[tuple[float, int]], str]:
    """A file, when which frame is shown on a player's clock, and what it is."""
    suffix, codec, sound = rng.choice(
        [
            *(("mp4", codec, "aac") for codec in ("libx264", "mpeg4", "libx265")),
            *(("mkv", codec, "libopus") for codec in ("libx264", "ffv1", "libvpx", "libvpx-vp9")),
            *(("ts", codec, "mp2") for codec in ("libx264", "mpeg2video")),
            *(("mov", "libx264", "aac"), ("flv", "flv", "aac"), ("flv", "libx264", "aac"), ("asf", "wmv2", "mp2")),
            *(("avi", "mjpeg", "mp2"), ("avi", "mpeg4", "mp2"), ("mpg", "mpeg2video", "mp2"), ("nut", "ffv1", "mp2")),
            *(("webm", "libvpx-vp9", "libopus"), ("m2v", "mpeg2video", ""), ("mxf", "mpeg2video", "")),
        ]
    )
    rate = rng.choice([25, 25, 30, 24, Fraction(30000, 1001), 50])
    count = rng.randint(20, 90)
    has_sound = bool(sound) and rng.random() < 0.6
    late = rng.choice([0, 0, rng.randint(2, 40)]) if has_sound and suffix in ("mp4", "mkv", "mov", "ts") else 0
    pause = rng.randint(2, 200) if rng.random() < 0.3 and suffix in ("mp4", "mkv", "mov", "nut", "ts") else 0
    after = rng.randint(3, count - 3) if pause else count
    ticks = [late + i + pause * (i >= after) for i in range(count)]
    bframes = rng.choice(["0", "2"]) if codec in ("libx264", "mpeg4", "mpeg2video") and not pause and not late else "0"
    parts = rng.choice([1, 2, 3]) if suffix in ("ts", "mpg", "m2v") and not has_sound and not pause else 1
    seconds = rng.uniform(0.5, 1.5) * (ticks[-1] + 1) / float(rate)
    data, times, end = b"", [], Fraction(0)
    for part in range(parts):
        clip = write(
            folder / f"part.{suffix}",
            sequence(count, part * count),
            ticks,
            rate=rate,
            codec=codec,
            pixels="yuvj420p" if codec == "mjpeg" else "yuv420p",
            sound=seconds if has_sound else 0.0,
            sound_codec=sound,
            sound_first=rng.random() < 0.5,
            codec_options={"g": rng.choice(["5", "12", "100"]), "bf": bframes, "qscale": "2"},
        )
        data += clip.read_bytes()
        times += [(float(end + tick / Fraction(rate)), part * count + i) for i, tick in enumerate(ticks)]
        end += (ticks[-1] + 1) / Fraction(rate)
    path = folder / f"v.{suffix}"
    path.write_bytes(data)
    return path, times, f"{suffix} {codec} {rate} x{count} late {late} pause {pause}@{after} bf {bframes} parts {parts}"


def check_random_clip(seed: int, folder: Path, seen: Callable[[Path], Seen]) -> None:
    path, times, about = random_clip(random.Random(seed), folder)
    shown, status, reason = seen(path)
    about = f"seed {seed}: {about}: {status} {reason}"
    when = {number: time for time, number in times}
    gap = max(0.05, 1.5 * min(b - a for (a, _), (b, _) in pairwise(times)))
    for k, number in enumerate(shown):  # neither early nor late by more than a frame
        until = times[min(number + 1, len(times) - 1)][0]
        assert when[number] - gap <= max(k / FPS, times[0][0]), f"{about}: frame {number} at {k / FPS}"
        assert k / FPS <= until + gap or number == times[-1][1], f"{about}: frame {number} at {k / FPS}"
    assert shown == sorted(shown), about
    assert len(shown) / FPS == pytest.approx(times[-1][0] + gap, abs=2 * gap), about


@pytest.mark.parametrize("seed", range(40))
def test_random_files(tmp_path, seen, seed):
    check_random_clip(seed, tmp_path, seen)


@pytest.mark.long
def test_many_random_files(tmp_path, seen):
    for seed in range(1000, 2000):
        check_random_clip(seed, tmp_path, seen)
