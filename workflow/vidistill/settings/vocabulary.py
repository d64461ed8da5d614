"""Section `vocabulary`."""

from typing import Literal

from pydantic import Field

from vidistill.base.settings import Distinct, Section, Text
from vidistill.settings.clip import TextEncoderSection


class WordsSettings(Section):
    """Stage words, all words of the sentences that are counted, for a text encoder."""

    splits: Distinct[Literal["train", "val", "test"]]


class VocabularySettings(Section):
    """Stage vocabulary, which words are known, and their vectors."""

    size: int = Field(
        1111,
        ge=1,
        description="At most this many words are known, the most frequent ones with a vector (ActivityNet Captions "
        "8000).",
    )
    word_vectors: Text | None = Field(
        None,
        description="GloVe's text file, unpacked (the paper's is glove.840B.300d.txt); null for vectors that are "
        "learned.",
    )
    text_encoder: TextEncoderSection | None = Field(
        None,
        description="The text encoder of a CLIP model, whose vectors of the words take the place of GloVe's; "
        "word_vectors must then be null. A model trained with it reads a word that it does not know as the nearest one "
        "by the same encoder.",
    )
    dimension: int = Field(
        300,
        ge=1,
        description="Numbers in a word vector; that of the file when word_vectors names one, and not read with "
        "text_encoder.",
    )
    splits: Distinct[Literal["train", "val", "test"]] = Field(
        ("train",), description="The splits whose sentences are counted; [train, test] is what CPL did."
    )
    max_words: int = Field(20, ge=1, description="A sentence's known words beyond this many are cut off.")
