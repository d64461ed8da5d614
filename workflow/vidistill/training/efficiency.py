"""What stage `efficiency` measures: a trained model with one question at hand. Each method prepares its own models."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

SECONDS = 30.0  # duration of the video, which decides about no time


class Prepared(NamedTuple):
    """A model with the features of a video in memory, and the words of a sentence where it reads one.

    Attributes:
        parameters: trainable ones that inference needs, without the table of words.
        words: of the sentence, as the model reads it; 0 without.
        snippets: of the video, as the model reads it.
        answer: to moments of the sentence, or to segments of all labels, in seconds, best first.
    """

    parameters: int
    words: int
    snippets: int
    answer: Callable[[], object]


def parameters(network: nn.Module, words: Tensor | None = None) -> int:
    """Trainable parameters of a network but for its table of words, if it has one."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad and p is not words)


def median_sentence(sentences: Sequence[str], words: Callable[[str], int]) -> str:
    """A sentence of median length, of those with a word; of two, the shorter.

    Args:
        words: how many words of a sentence a model reads.
    """
    lengths = {sentence: words(sentence) for sentence in sentences}
    read = sorted((sentence for sentence in sentences if lengths[sentence]), key=lambda s: (lengths[s], s))
    return read[(len(read) - 1) // 2]
