"""Check the words of a question against a model's vocabulary, and suggest others."""

import difflib
from collections.abc import Sequence

from vidistill.base.stage import UserError
from vidistill.data.text import masking_weight, tokenise
from vidistill.data.vocabulary import Vocabulary

# Tagged as verbs and adverbs, so training masks them like others, but not content words of a question.
_AUXILIARIES = """
    be am is are was were been being 'm 're have has had having 've do does did done doing not n't
"""
AUXILIARIES = frozenset(_AUXILIARIES.split())
SUGGESTED = 5  # words


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
