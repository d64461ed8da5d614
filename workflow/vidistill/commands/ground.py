"""Find the moments of a video that sentences describe, with a trained model.

from vidistill.commands.ground import ground

(answer,) = ground("video.mp4", ["a person opens the door"], model="results/student_demo.json")
print(answer.moments[0].start, answer.moments[0].end)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from vidistill.base.gpus import Device
from vidistill.base.stage import UserError
from vidistill.commands import text_encoder, trained, watcher, words
from vidistill.commands.one_video import Video
from vidistill.commands.watcher import Watcher
from vidistill.evaluation import ranking
from vidistill.training.predictions import Found


@dataclass(frozen=True)
class Moment:
    """One proposal, in seconds; a higher score is better. Models of EMTM reconstruct nothing."""

    start: float
    end: float
    score: float
    reconstruction_error: float | None
    proposal_index: int


@dataclass(frozen=True)
class Answer:
    """A model's answer to a sentence.

    Attributes:
        read_as: words that the model does not know -> those that it knows and read in their place.
        unknown_words: other words of the sentence that are not in the model's vocabulary. MMDist ignores them; EMTM
            reads their characters, but for the network map2d, which has none.
        moments: best first.
        duration: of the video, seconds.
        activation_map: (L,) similarity of sentence and video over time, -1 to 1; None without a local branch.
    """

    sentence: str
    read_as: dict[str, str]
    unknown_words: tuple[str, ...]
    moments: tuple[Moment, ...]
    duration: float
    activation_map: np.ndarray | None


def ground(
    video: str | Path,
    sentences: str | Sequence[str],
    *,
    model: str | Path,
    weights: Sequence[str | Path] = (),
    device: Device = "auto",
    threads: int | None = None,
    word_vectors: str | Path | None = None,
) -> tuple[Answer, ...]:
    """The moments of a video that sentences describe.

    Args:
        model: a model.safetensors, or a result (JSON), whose first seed's model is taken.
        weights: files of the feature extractor, if they are not where they were in training.
        device: auto, cpu or cuda.
        threads: CPU threads; None for PyTorch's choice.
        word_vectors: GloVe's text file, by which a word that the model does not know is read as the nearest that it
            knows; None for the text encoder that the model was trained with, and to leave such words out without one.

    Returns:
        One answer per sentence, in order.

    Raises:
        UserError: the model, the video or a sentence cannot be used; the text says why and what to do.
    """
    asked = [sentences] if isinstance(sentences, str) else list(sentences)
    grounder = Grounder(model, weights=weights, device=device, threads=threads, word_vectors=word_vectors)
    grounder.check(asked)  # before the video, which takes minutes
    return grounder.ask(grounder.watch(video), asked)


class Grounder(Watcher):
    """A trained model for several videos or questions.

    Args:
        model: as for `ground`, like `weights`, `device`, `threads` and `word_vectors`.
        any_code: accept features made by different code.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        weights: Sequence[str | Path] = (),
        device: Device = "auto",
        threads: int | None = None,
        any_code: bool = False,
        word_vectors: str | Path | None = None,
    ):
        watcher.check(device, weights)
        self.trained = trained.load(model)
        super().__init__(self.trained, weights=weights, device=device, threads=threads, any_code=any_code)
        vectors = words.of_file(Path(word_vectors)) if word_vectors else None
        vectors = vectors or text_encoder.of_model(self.trained, weights, self.place)
        self._nearest = words.Nearest(vectors, self.trained.vocabulary) if vectors else None
        self._last: tuple[Video, list[Tensor]] | None = None  # the last video asked about, and its snippets

    def check(self, sentences: Sequence[str]) -> None:
        """Raise UserError for an empty sentence, or one without a content word that the model knows or has near."""
        if not sentences:
            raise UserError("no sentence is given; describe what to find.")
        for sentence in sentences:
            read = words.replaced(sentence, self.read_as(sentence))
            words.check(sentence, self.trained.vocabulary, self.trained.known_words(read))

    def read_as(self, sentence: str) -> dict[str, str]:
        """Words of a sentence that the model does not know -> those that it reads in their place."""
        return self._nearest.known(words.unknown(sentence, self.trained.vocabulary)) if self._nearest else {}

    def ask(self, video: Video, sentences: Sequence[str]) -> tuple[Answer, ...]:
        """One answer per sentence, in order.

        Raises:
            UserError: see `check`.
        """
        self.check(sentences)
        about = self.trained
        read_as = [self.read_as(sentence) for sentence in sentences]
        read = list(map(words.replaced, sentences, read_as))
        answers: dict[int, Answer] = {}
        for found in about.ask(self._snippets(video), read, self.place):
            (order,) = ranking.rank("score", np.empty(0), found.score[None], np.empty(0))
            answers[found.row] = Answer(
                sentences[found.row],
                read_as[found.row],
                words.unknown(read[found.row], about.vocabulary),
                tuple(_moment(found, video.duration, int(k)) for k in order),
                video.duration,
                found.activation_map,
            )
        return tuple(answers[row] for row in range(len(sentences)))

    def _snippets(self, video: Video) -> list[Tensor]:
        """(1, L, D) per stream, kept for the next question: for an hour of video it takes longer than an answer."""
        if self._last is None or self._last[0] is not video:
            self._last = video, self.trained.snippets(video.features)
        return self._last[1]


def _moment(found: Found, duration: float, k: int) -> Moment:
    start, end = (float(share * duration) for share in found.moments[k])
    error = None if found.errors is None else float(found.errors[k])
    return Moment(start, end, float(found.score[k]), error, k)


def main(arguments: Sequence[str] | None = None) -> None:
    from vidistill.commands import ground_cli  # it imports this module

    ground_cli.main(arguments)


if __name__ == "__main__":
    main()
