"""Word vectors in GloVe's text format: one word and its numbers per line. The file is streamed (840B has 5 GB)."""

import hashlib
import logging
import os
import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from vidistill.base.progress import Pace
from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError

log = logging.getLogger(__name__)

INITIAL_STD = 0.36  # of GloVe 840B's values, so that learned vectors start at the same scale
_FIRST_LINE = 1 << 20  # bytes, at most, so that a file without line breaks is not read whole


def read(path: str, words: Collection[str], dimension: int) -> tuple[dict[str, np.ndarray], str]:
    """The vectors of all `words` in the file, and the file's SHA-256.

    Returns:
        word -> (dimension,) float32, and hexadecimal digits.

    Raises:
        UserError: the file is missing, or not of this format and width (the line is named).
    """
    wanted = {word.encode(): word for word in words}
    found: dict[str, np.ndarray] = {}
    total = hashlib.sha256()
    line, number = b"", 0
    try:
        with open(path, "rb", buffering=1 << 20) as file:
            _check_kind(path, file.readline(_FIRST_LINE), dimension)
            file.seek(0)
            pace = Pace(f"{Path(path).name}, MB", os.path.getsize(path) / 1e6)
            for number, line in enumerate(file, 1):
                total.update(line)
                if number % 10_000 == 0:
                    pace.at(file.tell() / 1e6)
                head = line.partition(b" ")[0]
                word = wanted.get(head if head.isascii() else nfc(head.decode(errors="replace")).encode())
                if word is None or word in found:
                    continue
                # Words with spaces (". . .") begin with another word; splitting from the right tells them apart.
                name, *numbers = line.rstrip().rsplit(b" ", dimension)
                if name == head or len(numbers) < dimension:
                    found[word] = _vector(numbers, path, number, dimension)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); correct vocabulary.word_vectors, or set null to learn vectors."
        ) from None
    if line.strip():  # an interrupted download ends within its last line
        _vector(line.rstrip().rsplit(b" ", dimension)[1:], path, number, dimension)
    log.info("%s: %d of %d words in %d lines", Path(path).name, len(found), len(wanted), number)
    return found, total.hexdigest()


def dimension_of(path: str | Path) -> int:
    """How many numbers the vectors of a file have, by its first line; `read` says what is wrong with it.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.readline(_FIRST_LINE).rstrip().count(b" ")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give a file of word vectors.") from None


def _check_kind(path: str, first: bytes, dimension: int) -> None:
    where = f"{path}, line 1"
    unpack = "vocabulary.word_vectors must be GloVe's text file, unpacked"
    try:
        text = first.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UserError(f"{where}: this is a binary file; {unpack}.")
    parts = text.rstrip().split(" ")
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        raise UserError(f"{where}: this is word2vec's header {text.strip()!r}; remove this line from the file.")
    if len(parts) == 1 or not _is_number(parts[-1]):
        raise UserError(f"{where}: this is not a word and its numbers; {unpack}.")
    if len(parts) - 1 != dimension:
        raise UserError(
            f"{where}: the vector has {len(parts) - 1} numbers, vocabulary.dimension is {dimension}; make them equal."
        )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) is not None


def _vector(parts: list[bytes], path: str, line: int, dimension: int) -> np.ndarray:
    if len(parts) != dimension:
        raise UserError(f"{path}, line {line}: {len(parts)} numbers instead of {dimension}; download the file again.")
    try:
        vector = np.array([float(part) for part in parts], dtype=np.float32)
    except ValueError:
        vector = np.array([np.nan])
    if not np.isfinite(vector).all():
        raise UserError(
            f"{path}, line {line}: the vector contains a value that is not a number; download the file again."
        )
    return vector


def initial(word: str, dimension: int) -> np.ndarray:
    """The initial vector (dimension,) float32 of a learned embedding: normal random numbers, a function of the word."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return (np.random.default_rng(seed).standard_normal(dimension) * INITIAL_STD).astype(np.float32)
