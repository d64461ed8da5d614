"""Files of answers that `vidistill ground` writes besides JSON and pictures: by suffix, for one video or for all."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from vidistill.base import files, store
from vidistill.base.stage import UserError
from vidistill.commands import cut, formats, page
from vidistill.commands.formats import Row
from vidistill.commands.ground import Answer
from vidistill.commands.one_video import Video
from vidistill.commands.questions import Asked
from vidistill.video import source

VIDEO = "{video}"  # in a file's name: the name of the video, without its suffix


class Answered(NamedTuple):
    """A video's answers, with the moments that are shown of each."""

    video: Path
    watched: Video
    answers: tuple[Answer, ...]
    notes: tuple[str, ...]  # about each answer
    top: int

    @property
    def rows(self) -> list[Row]:
        return [
            Row(self.video, answer.sentence, rank, moment.start, moment.end, moment.score)
            for answer in self.answers
            for rank, moment in enumerate(answer.moments[: self.top], 1)
        ]


def _page(path: Path, found: Answered, footer: str) -> None:
    shown = [
        {
            "sentence": answer.sentence,
            "note": note,
            "moments": [vars(moment) for moment in answer.moments[: found.top]],
            "activation_map": None if answer.activation_map is None else answer.activation_map.tolist(),
        }
        for answer, note in zip(found.answers, found.notes, strict=True)
    ]
    page.write(path, found.video, found.watched.duration, shown, title=found.video.name, footer=footer)


def _edit_list(found: Answered) -> str:
    with source.opened(found.video, max_pixels=cut.MAX_PIXELS) as video:
        return formats.as_edl(found.rows, video.rate or cut.RATE)


OF_ONE: dict[str, Callable[[Answered], str]] = {
    ".srt": lambda found: formats.as_srt(found.rows),
    ".vtt": lambda found: formats.as_vtt(found.rows),
    ".edl": _edit_list,
}
SUFFIXES = (".csv", ".html", *OF_ONE)
FROM_VIDEO = (".html", ".edl")  # which read or show the video itself


def check(paths: Sequence[Path], videos: Sequence[Path], inputs: Sequence[str | Path]) -> None:
    """Check the names of files before any video is opened; `inputs` must not be overwritten.

    Raises:
        UserError: a suffix is unknown, a file cannot be written, or several videos would write the same file.
    """
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"--output {path}: there is no such form; use one of {', '.join(SUFFIXES)}.")
        written = path
        if path.suffix.lower() != ".csv":
            check_names("--output", path, videos)
            written = of_video(path, videos[0])
        files.check_output(written, "correct --output", inputs)


def check_names(option: str, path: Path, videos: Sequence[Path]) -> None:
    """Raise UserError if several videos would write the same file."""
    names = [of_video(path, video) for video in videos]
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        remedy = "give each video a name of its own" if VIDEO in path.name else f"put {VIDEO} into the file's name"
        raise UserError(f"{option} {path}: several videos would be written to {again}; {remedy}.")


def of_video(path: Path, video: Path) -> Path:
    """The file of a video."""
    return path.with_name(path.name.replace(VIDEO, video.stem))


def write_one(paths: Sequence[Path], found: Answered, footer: str) -> None:
    """Write the files that are for one video."""
    for path in paths:
        suffix, target = path.suffix.lower(), of_video(path, found.video)
        if suffix == ".html":
            _page(target, found, footer)
        elif suffix in OF_ONE:
            _write(target, OF_ONE[suffix](found))


def write_all(paths: Sequence[Path], found: Sequence[Answered]) -> None:
    """Write the files that are for all videos."""
    for path in paths:
        if path.suffix.lower() == ".csv":
            _write(path, formats.as_csv(row for one in found for row in one.rows))


def check_clips(folder: Path, asked: Sequence[Asked], top: int) -> None:
    """Raise UserError if a clip would be written over another video's, or over a video that is asked."""
    videos = [one.video for one in asked]
    check_names("--cut", folder / f"{VIDEO}.mp4", videos)
    read = {video.resolve() for video in videos}
    for one in asked:
        for number, rank in itertools.product(range(1, len(one.sentences) + 1), range(1, top + 1)):
            if (clip := clip_of(folder, one.video, number, rank)).resolve() in read:
                raise UserError(f"--cut {folder}: {clip} is a video that is asked; name another folder.")


def clip_of(folder: Path, video: Path, number: int, rank: int) -> Path:
    """The file of a moment; `number` counts sentences from 1."""
    return folder / f"{video.stem}-{number}-{rank}.mp4"


def write_clips(folder: Path, found: Answered) -> None:
    """Write the shown moments as clips."""
    numbers = {answer.sentence: number for number, answer in enumerate(found.answers, 1)}
    rows = found.rows
    outputs = [clip_of(folder, found.video, numbers[row.sentence], row.rank) for row in rows]
    cut.clips(found.video, [(row.start, row.end) for row in rows], outputs)


def _write(path: Path, text: str) -> None:
    with store.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
