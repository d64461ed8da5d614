"""Tokens as the Penn Treebank has them, and which words weigh more when words are masked."""

import math
import unicodedata

import pytest

from conftest import data
from vidistill.data.text import FUNCTION_WORDS, masking_weight, tokenise


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("A person is putting a book on a shelf.", "a person is putting a book on a shelf ."),
        ("the person's bag", "the person 's bag"),
        ("They don't, can't and WON'T!", "they do n't , ca n't and wo n't !"),
        ("she cannot", "she can not"),
        (
            "we're sure they've seen what I'd say he'll do, I'm told",
            "we 're sure they 've seen what i 'd say he 'll do , i 'm told",
        ),
        ("the persons' toys 'sitting' there", "the persons ' toys ' sitting ' there"),
        ("a burnt-out walk-in closet and/or he/she", "a burnt-out walk-in closet and/or he/she"),
        ("five o'clock", "five o'clock"),
        ("at 10:30 p.m. in the u.s. with 1,000 of 0.5", "at 10:30 p.m. in the u.s. with 1,000 of 0.5"),
        ("closes the door.the end...", "closes the door . the end ..."),
        ("the 2nd (#1) -- x_y", "the 2nd ( # 1 ) -- x _ y"),
        ("it\u2019s “good”", "it 's “ good ”"),
        ("une idée, größer", "une idée , größer"),
        (" \t\n", ""),
        ("", ""),
    ],
)
def test_tokens(sentence: str, words: str) -> None:
    assert tokenise(sentence) == words.split()


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("हिन्दी में एक आदमी दरवाज़ा खोलता है।", "हिन्दी में एक आदमी दरवाज़ा खोलता है ।"),
        ("Tiếng Việt, größer", "tiếng việt , größer"),
        ("ẋ\u0323 e\u0301's don't", "ẋ\u0323 é 's do n't"),  # a letter without a composed form
        ("नह\u200cीं बि\u200cल", "नह\u200cीं बि\u200cल"),
        ("क्\u200dष \u200cword\u200d.", "क्\u200dष word ."),
        ("שָׁלוֹם ที่นี่ 한국어 ❤\ufe0f", "שָׁלוֹם ที่นี่ 한국어 ❤\ufe0f"),
    ],
)
def test_words_keep_their_marks_and_both_spellings_are_one(sentence: str, words: str) -> None:
    expected = unicodedata.normalize("NFC", words).split()
    for form in ("NFC", "NFD"):
        assert tokenise(unicodedata.normalize(form, sentence)) == expected


def test_a_very_long_sentence_is_read_in_time() -> None:
    assert len(tokenise("a-" * 50_000 + "n't" * 10_000 + "1,1" * 1_000)) > 0


@pytest.mark.parametrize("word", ["person", "opens", "is", "red", "slowly", "n't", "2nd", "burnt-out", "idée"])
def test_content_words_weigh_e(word: str) -> None:
    assert masking_weight(word) == math.e


@pytest.mark.parametrize("word", ["the", "of", "their", "and", "two", "2", "1,000", ".", "...", "#", "'s", "could"])
def test_other_words_weigh_1(word: str) -> None:
    assert masking_weight(word) == 1.0


def test_function_words_are_tokens() -> None:
    """A listed word that the tokeniser never makes would never be found."""
    made = {word: tokenise({"ca": "can't", "wo": "won't", "sha": "shan't"}.get(word, word)) for word in FUNCTION_WORDS}
    assert [word for word in FUNCTION_WORDS if word not in made[word]] == []


def test_glove_knows_the_words_of_charades_sta() -> None:
    """The excerpt of GloVe has the words of CPL's split, tokenised by NLTK: nearly all of our tokens are in it."""
    with open(data("glove", "glove.840B.300d.charades.txt"), encoding="utf-8") as file:
        known = {line.partition(" ")[0] for line in file}
    with open(data("charades-sta", "charades_sta_train.txt"), encoding="utf-8") as file:
        tokens = [word for line in file for word in tokenise(line.partition("##")[2])]
    assert len(tokens) == 89_554
    assert sum(word in known for word in tokens) / len(tokens) > 0.998
    assert len(known & set(tokens)) == 1007
