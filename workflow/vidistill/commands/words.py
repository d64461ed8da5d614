"""Words of a question: those that a model does not know, and what it could be asked in their place."""

import difflib

from vidistill.base.stage import UserError
from vidistill.data.text import masking_weight, tokenise
from vidistill.data.vocabulary import Vocabulary, encode

# Verbs and adverbs to a tagger, so that training masks them like others, and no content of a question.
_AUXILIARIES = """
    be am is are was were been being 'm 're have has had having 've do does did done doing not n't
"""
AUXILIARIES = frozenset(_AUXILIARIES.split())
SUGGESTED = 5  # words


def unknown(sentence: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Words of a sentence that are not in the vocabulary, each once; punctuation is not a word."""
    words = [word for word in tokenise(sentence) if any(map(str.isalnum, word))]
    return tuple(dict.fromkeys(word for word in words if word not in vocabulary.ids))


def check(sentence: str, vocabulary: Vocabulary) -> None:
    """Look whether a model can tell a sentence from others by what it knows of it.

    Raises:
        UserError: it is empty, or the vocabulary lacks all its content words (nouns, verbs, adjectives, adverbs).
    """
    if not sentence.strip():
        raise UserError("a sentence is empty; say what to look for.")
    read = [vocabulary.words[index - 1] for index in encode(sentence, vocabulary)]
    if any(map(is_content, read)):
        return
    content = list(dict.fromkeys(filter(is_content, tokenise(sentence))))
    known = list(filter(is_content, vocabulary.words))  # the most frequent first
    if not content:
        problem = f"{sentence!r} has no word that says what to look for, such as a noun or a verb"
    elif any(word in vocabulary.ids for word in content):
        problem = f"of {sentence!r} the model reads {len(read)} words, which do not say what to look for; shorten it"
    else:
        problem = f"the model does not know the words {', '.join(content)} of {sentence!r}"
    near = dict.fromkeys(word for name in content for word in difflib.get_close_matches(name, known, 2))
    similar = f"similar words that it knows: {', '.join(near)}; " if near else ""
    raise UserError(
        f"{problem}; {similar}words that it knows best: {', '.join(known[:SUGGESTED])}; ask with words like these."
    )


def is_content(word: str) -> bool:
    """Whether a word says something of what is seen: a noun, verb, adjective or adverb."""
    return masking_weight(word) > 1 and word not in AUXILIARIES
