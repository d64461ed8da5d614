"""Characters of words: which are known, and words as their ids."""

import collections
from collections.abc import Iterable, Sequence

import numpy as np

from vidistill.data.text import tokenise

LENGTH = 16  # characters of a word; more are cut off
SEEN = 5  # times in the training sentences, at least


def known(sentences: Iterable[str]) -> tuple[str, ...]:
    """The characters that are seen often enough, sorted."""
    counts = collections.Counter(character for s in sentences for word in tokenise(s) for character in word)
    return tuple(sorted(character for character, count in counts.items() if count >= SEEN))


def spell(words: Sequence[str], characters: Sequence[str]) -> np.ndarray:
    """(N, 16) ids: 0 for padding, 1, 2, ... for the known characters, and then one for all others."""
    ids = {character: index for index, character in enumerate(characters, 1)}
    spelled = np.zeros((len(words), LENGTH), dtype=np.int64)
    for row, word in enumerate(words):
        found = [ids.get(character, len(characters) + 1) for character in word[:LENGTH]]
        spelled[row, : len(found)] = found
    return spelled
