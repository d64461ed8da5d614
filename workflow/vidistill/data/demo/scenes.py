"""Plan the demo's videos: files, formats, events, sentences. No drawing.

A video is a pure function of (seed, index), so Snakemake can list the files while it parses, and more videos leave the
first ones unchanged. Half of the queries need appearance only (the object is on screen only in its moment); half need
motion (one object does several things, and only its action distinguishes the moments).
"""

import random
from dataclasses import dataclass
from fractions import Fraction

from vidistill.settings.demo import DemoSettings

COLOURS = ("red", "green", "blue", "yellow", "cyan", "pink", "white", "black")
SHAPES = ("ball", "box", "triangle", "star", "cross")
STANDING = "stands"
APPEARANCE = (
    "a {} appears",
    "a {} shows up",
    "there is a {}",
    "we see a {}",
    "a {} comes into view",
    "a {} can be seen",
)
MOTION = {
    "left": ("the {} slides left", "the {} moves to the left", "the {} goes left"),
    "right": ("the {} slides right", "the {} moves to the right", "the {} goes right"),
    "up": ("the {} rises", "the {} moves up", "the {} goes up"),
    "down": ("the {} falls", "the {} moves down", "the {} goes down"),
    "shakes": ("the {} shakes", "the {} shakes back and forth", "the {} moves back and forth"),
    "spins": ("the {} spins", "the {} spins around", "the {} turns around"),
    "grows": ("the {} grows", "the {} gets bigger"),
}
ACTIONS = tuple(MOTION)

# Numbers of (appearance queries, motion queries) per video, in turn; 19 and 21 in one round.
CASTS = ((0, 3), (2, 2), (3, 0), (1, 2), (3, 0), (0, 3), (2, 2), (1, 2), (3, 0), (0, 3), (2, 2), (2, 2))

SHORTEST, LONGEST = 0.15, 0.42  # a moment's share of its video
FULLEST = 0.94  # the largest share of a video that its events fill


@dataclass(frozen=True)
class Format:
    """How a video is stored; `container` and `codec` are FFmpeg's names."""

    suffix: str
    container: str
    codec: str
    rate: Fraction  # frames per second; the mean one when `variable`
    width: int
    height: int
    pixels: str = "yuv420p"
    variable: bool = False


FORMATS = (
    Format("mp4", "mp4", "libx264", Fraction(25), 128, 96),
    Format("avi", "avi", "mpeg4", Fraction(25, 2), 112, 112),
    Format("webm", "webm", "libvpx-vp9", Fraction(24), 128, 104),
    Format("mkv", "matroska", "libx264", Fraction(30), 96, 128),  # portrait
    Format("webm", "webm", "libvpx", Fraction(10), 136, 112),
    Format("mp4", "mp4", "libx264", Fraction(20), 128, 112, variable=True),
    Format("avi", "avi", "mjpeg", Fraction(15), 127, 99, "yuvj420p"),  # odd sides
    Format("mov", "mov", "libx264", Fraction(30000, 1001), 160, 120),
    Format("mpg", "mpeg", "mpeg2video", Fraction(25), 128, 96),  # starts half a second after zero
    Format("mkv", "matroska", "libvpx-vp9", Fraction(12), 113, 97),  # odd sides
    Format("mp4", "mp4", "mpeg4", Fraction(24000, 1001), 112, 112),
)


@dataclass(frozen=True)
class Event:
    """One event, from `start` to `end` seconds; events without a query have no sentence and no kind."""

    colour: str
    shape: str
    action: str
    start: float
    end: float
    sentence: str = ""
    kind: str = ""  # "appearance" or "motion"


@dataclass(frozen=True)
class Video:
    """One video: `times` are the frames' presentation times, `scene` seeds the drawing."""

    video_id: str
    file: str
    split: str
    format: Format
    times: tuple[Fraction, ...]
    events: tuple[Event, ...]
    scene: int


def video_files(settings: DemoSettings) -> list[str]:
    """File names of all videos, training videos first; a function of the settings alone."""
    return [f"{_video_id(i)}.{_format(i).suffix}" for i in range(settings.train_videos + settings.test_videos)]


def plan(settings: DemoSettings) -> list[Video]:
    """What happens in each video, in the order of `video_files`."""
    files = video_files(settings)
    return [_video(settings, index, file) for index, file in enumerate(files)]


def _video_id(index: int) -> str:
    return f"demo-{index:04d}"


def _format(index: int) -> Format:
    return FORMATS[index % len(FORMATS)]


def _video(settings: DemoSettings, index: int, file: str) -> Video:
    draw = random.Random(f"{settings.seed}/{index}")
    form = _format(index)
    frames = round(settings.seconds * draw.uniform(0.9, 1.1) * form.rate)
    times = _variable(draw, frames, form.rate) if form.variable else [n / form.rate for n in range(frames)]
    duration = float(frames / form.rate)
    return Video(
        video_id=_video_id(index),
        file=file,
        split="train" if index < settings.train_videos else "test",
        format=form,
        times=tuple(times),
        events=tuple(_events(draw, duration, *CASTS[index % len(CASTS)])),
        scene=draw.randrange(2**31),
    )


def _variable(draw: random.Random, frames: int, rate: Fraction) -> list[Fraction]:
    """Whole milliseconds, steps of a half to one and a half frames; the first at 0."""
    shifts = [draw.uniform(-0.25, 0.25) if n else 0 for n in range(frames)]
    return [Fraction(round((n + shift) * 1000 / rate), 1000) for n, shift in enumerate(shifts)]


def _events(draw: random.Random, duration: float, appearances: int, motions: int) -> list[Event]:
    colours = draw.sample(COLOURS, len(COLOURS))
    roles = [(colours.pop(), draw.choice(SHAPES), STANDING, "appearance") for _ in range(appearances)]
    actor = colours.pop(), draw.choice(SHAPES)
    roles += [(*actor, action, "motion") for action in draw.sample(ACTIONS, motions)]
    if len(roles) == 3 and draw.random() < 0.5:  # an event without a query
        other = (*actor, STANDING) if motions else (colours.pop(), draw.choice(SHAPES), draw.choice(ACTIONS))
        roles.append((*other, ""))
    draw.shuffle(roles)
    events = []
    for (colour, shape, action, kind), (start, end) in zip(roles, _intervals(draw, len(roles)), strict=True):
        wordings = {"appearance": APPEARANCE, "motion": MOTION.get(action, ()), "": ("",)}[kind]
        sentence = draw.choice(wordings).format(f"{colour} {shape}")
        moment = int(100 * start * duration) / 100, int(100 * end * duration) / 100  # rounded down: never past the end
        events.append(Event(colour, shape, action, *moment, sentence, kind))
    return events


def _intervals(draw: random.Random, count: int) -> list[tuple[float, float]]:
    """`count` intervals of [0, 1] one after another, lengths and gaps drawn at random.

    Most are short (the cube) and the outer gaps are long. Otherwise so many moments would begin or end with the video
    that one constant interval would be a good answer.
    """
    while True:
        lengths = [SHORTEST + (LONGEST - SHORTEST) * draw.random() ** 3 for _ in range(count)]
        if sum(lengths) <= FULLEST:
            break
    gaps = [draw.expovariate(1 if 0 < n < count else 1 / 4) for n in range(count + 1)]
    scale = (1 - sum(lengths)) / sum(gaps)
    found, at = [], 0.0
    for gap, length in zip(gaps, lengths, strict=False):
        at += gap * scale
        found.append((at, at + length))
        at += length
    return found
