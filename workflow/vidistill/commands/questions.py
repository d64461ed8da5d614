"""Which videos are asked about what: from the words of a command line, or from a table."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vidistill.base.files import check_input
from vidistill.base.stage import UserError
from vidistill.commands import kept
from vidistill.data.annotations.annotation import VIDEO_SUFFIXES

COLUMNS = ("video", "sentence")


class Asked(NamedTuple):
    """A video, and what to find in it."""

    video: Path
    sentences: tuple[str, ...]


def of_words(words: Sequence[str]) -> list[Asked]:
    """The first word is a video or a folder of videos, as are those after it that are folders or end like a video's
    name; the others are sentences about all of them.

    Raises:
        UserError: a folder has no videos.
    """
    names = list(words[:1])
    for word in words[1:]:
        if not is_video(word):
            break
        names.append(word)
    videos = [video for name in names for video in (kept.videos(Path(name)) if Path(name).is_dir() else [Path(name)])]
    return [Asked(video, tuple(words[len(names) :])) for video in dict.fromkeys(videos)]


def is_video(word: str) -> bool:
    """Whether a word of the command line names a video or a folder, not a sentence."""
    return Path(word).suffix.lower() in VIDEO_SUFFIXES or Path(word).is_dir()


def of_table(path: Path) -> list[Asked]:
    """The rows of a CSV file with columns `video` and `sentence`, by video; names are relative to the file's folder.

    Raises:
        UserError: it is no such table.
    """
    check_input(path, "correct --table")
    asked: dict[Path, list[str]] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise UserError(f"{path} has no column {missing[0]!r}; its first line has to be `video,sentence`.")
            for row in reader:
                video, sentence = ((row[name] or "").strip() for name in COLUMNS)
                if not video or not sentence:
                    raise UserError(f"{path}, line {reader.line_num}: a video or a sentence is missing; add it.")
                asked.setdefault(path.parent / video, []).append(sentence)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV file in UTF-8 ({error}); save it as one.") from error
    if not asked:
        raise UserError(f"{path} has no rows; add a video and a sentence.")
    return [Asked(video, tuple(dict.fromkeys(sentences))) for video, sentences in asked.items()]
