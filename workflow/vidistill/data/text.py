"""Split sentences into words: Penn Treebank tokens, as in GloVe's vocabulary, without a tokeniser's data files."""

import math
import re
import unicodedata

from vidistill.base.spelling import nfc

# Vowel signs of Hindi and accents without a composed form are marks. \w matches neither marks nor joiners.
# A letter replaces each of them while words are matched. From U+1F000 on, the only marks are variant selectors.
_MARKS = "".join(c for c in map(chr, range(0x300, 0x1F000)) if unicodedata.category(c).startswith("M"))
_MARKS += "\U000e0100-\U000e01ef"
_MARK = re.compile(rf"[{_MARKS}]|(?<=[\w{_MARKS}])[\u200c\u200d](?=[\w{_MARKS}])")
_FOR_A_MARK = "\U00016f00"
_LETTERS = r"[^\W_]"
_CLITIC = rf"(?:s|m|d|re|ve|ll)(?!{_LETTERS})"
_TOKEN = re.compile(
    rf"""
      (?:[^\W\d_]{_FOR_A_MARK}*\.){{2,}}                        # u.s. p.m.
    | \d+(?:[.,:/]\d+)+(?!{_LETTERS})                           # 1,000 10:30 0.5 1/2
    | {_LETTERS}+?(?=n't(?!{_LETTERS}))                         # do|n't
    | n't(?!{_LETTERS})
    | can(?=not(?!{_LETTERS}))                                  # can|not
    | {_LETTERS}+(?:(?:[-/]|'(?!{_CLITIC})){_LETTERS}+?(?=n't(?!{_LETTERS})|(?!{_LETTERS})))*   # walk-in he/she o'clock
    | '{_CLITIC}                                                # person|'s
    | \.{{2,}} | -{{2,}}
    | [^\s\u200c\u200d]{_FOR_A_MARK}*
    """,
    re.VERBOSE,
)

# Word classes that the Penn Treebank does not tag as noun, verb, adjective or adverb: determiners, pronouns,
# prepositions and particles, conjunctions, modals, wh-words, existential there, number words, interjections. Forms
# of be, have and do are tagged as verbs, not and n't as adverbs, so they are not listed.
_CLOSED_CLASSES = """
    a an the this that these those all any another both each either every neither no some such half
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves themself oneself thier
    anybody anyone anything everybody everyone everything nobody none nothing somebody someone something
    aboard about above across after against along alongside amid among amongst around as at atop before behind below
    beneath beside besides between beyond by concerning despite down during except for from in inside into like near of
    off on onto opposite out outside over past per regarding round since than through throughout till to toward towards
    under underneath unlike until unto up upon via while with within without
    and but if or nor so because although though unless whereas whether lest
    can could may might must shall should will would ca wo sha 'll 'd 's
    who whom whose which what whatever whichever whoever when whenever where wherever why how however there
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million
    oh ah hey hi hello yes yeah ok okay please uh um wow
"""
FUNCTION_WORDS = frozenset(_CLOSED_CLASSES.split())


def tokenise(sentence: str) -> list[str]:
    """Lower-cased words; punctuation is a word, "person's" is two (person, 's), and so is "don't" (do, n't)."""
    text = nfc(sentence.lower()).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    shape = text if text.isascii() else _MARK.sub(_FOR_A_MARK, text)
    return [text[slice(*token.span())] for token in _TOKEN.finditer(shape)]


def masking_weight(word: str) -> float:
    """The weight of a word in drawing masked words (CPL).

    e for nouns, verbs, adjectives and adverbs; 1 for function words, punctuation and numerals.
    """
    return math.e if any(map(str.isalpha, word)) and word not in FUNCTION_WORDS else 1.0
