"""Check the words of a question against a model's vocabulary, and suggest others."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from vidistill.base.stage import UserError
from vidistill.data import glove
from vidistill.data.text import masking_weight, tokenise
from vidistill.data.vocabulary import Vocabulary

# Tagged as verbs and adverbs, so training masks them like others, but not content words of a question.
_AUXILIARIES = """
    be am is are was were been being 'm 're have has had having 've do does did done doing not n't
"""
AUXILIARIES = frozenset(_AUXILIARIES.split())
SUGGESTED = 5  # words
NEAR = 0.5  # cosine: of GloVe's pairs of this much, "office" and "house"; of a little less, "stray" and "dog"


Vectors = Callable[[Sequence[str]], Mapping[str, np.ndarray]]  # words -> vectors, of those that have any


def of_file(path: Path) -> Vectors:
    """The vectors of GloVe's text file, which is read whole each time."""
    return lambda words: glove.read(str(path), words, glove.dimension_of(path))[0]


class Nearest:
    """The nearest content word that a model knows, for words that it does not know, by word vectors.

    Args:
        vectors: of known and of new words, in one space.
    """

    def __init__(self, vectors: Vectors, vocabulary: Vocabulary):
        self._vectors_of, self._vocabulary = vectors, vocabulary
        self._words: list[str] = []
        self._vectors: np.ndarray | None = None
        self._found: dict[str, str | None] = {}

    def known(self, words: Iterable[str]) -> dict[str, str]:
        """Word -> known word, without those that have no vector or are near to none.

        Raises:
            UserError: the vectors cannot be had.
        """
        asked = list(dict.fromkeys(words))
        if new := [word for word in asked if word not in self._found and is_content(word)]:
            known = [] if self._vectors is not None else list(filter(is_content, self._vocabulary.words))
            vectors = self._vectors_of([*known, *new])
            if self._vectors is None:
                self._words = [word for word in known if word in vectors]
                self._vectors = np.array([_unit(vectors[word]) for word in self._words])
            self._found |= {word: self._nearest(vectors.get(word)) for word in new}
        return {word: near for word in asked if (near := self._found.get(word))}

    def _nearest(self, vector: np.ndarray | None) -> str | None:
        if vector is None or self._vectors is None or not self._words:
            return None
        cosines = self._vectors @ _unit(vector)
        return self._words[cosines.argmax()] if cosines.max() >= NEAR else None


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def said(read_as: Mapping[str, str], unknown: Sequence[str] = ()) -> str:
    """A note on words that are read as others, and on unknown ones; empty without any."""
    parts = [f"{word} read as {known}" for word, known in read_as.items()]
    return "; ".join([*parts, f"not known to the model: {', '.join(unknown)}"] if unknown else parts)


def replaced(sentence: str, by: Mapping[str, str]) -> str:
    """The sentence with these words replaced."""
    return " ".join(by.get(word, word) for word in tokenise(sentence)) if by else sentence


def unknown(sentence: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Words of a sentence that are not in the vocabulary, each once, without punctuation."""
    words = [word for word in tokenise(sentence) if any(map(str.isalnum, word))]
    return tuple(dict.fromkeys(word for word in words if word not in vocabulary.ids))


def check(sentence: str, vocabulary: Vocabulary, read: Sequence[str]) -> None:
    """Check that a model knows a content word (noun, verb, adjective or adverb) of a sentence.

    Args:
        read: the words of its vocabulary that it reads of the sentence.

    Raises:
        UserError: it is empty, or the vocabulary lacks all its content words.
    """
    if not sentence.strip():
        raise UserError("a sentence is empty; describe what to find.")
    if any(map(is_content, read)):
        return
    content = list(dict.fromkeys(filter(is_content, tokenise(sentence))))
    known = list(filter(is_content, vocabulary.words))  # by frequency
    if not content:
        problem = f"{sentence!r} has no content word, such as a noun or a verb"
    elif any(word in vocabulary.ids for word in content):
        problem = f"the model reads only {len(read)} words of {sentence!r}, none of them a content word; shorten it"
    else:
        problem = f"the model does not know the words {', '.join(content)} of {sentence!r}"
    near = dict.fromkeys(word for name in content for word in difflib.get_close_matches(name, known, 2))
    similar = f"similar words that it knows: {', '.join(near)}; " if near else ""
    raise UserError(
        f"{problem}; {similar}its most frequent words: {', '.join(known[:SUGGESTED])}; use words like these."
    )


def is_content(word: str) -> bool:
    """Whether a word is a content word: a noun, verb, adjective or adverb."""
    return masking_weight(word) > 1 and word not in AUXILIARIES
