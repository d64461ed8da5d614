"""Find the moments of a video that sentences describe, with a trained model.

from vidistill.commands.ground import ground

(answer,) = ground("video.mp4", ["a person opens the door"], model="results/student_demo.json")
print(answer.moments[0].start, answer.moments[0].end)
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidistill.base.gpus import Device
from vidistill.base.stage import UserError
from vidistill.commands import text_encoder, trained, watcher, windows, words
from vidistill.commands.one_video import Video
from vidistill.commands.watcher import Watcher
from vidistill.commands.windows import Window
from vidistill.evaluation import ranking
from vidistill.training.predictions import Found


@dataclass(frozen=True)
class Moment:
    """One proposal, in seconds; a higher score is better.

    Attributes:
        score: Eq. 9 of a model of MMDist. In a video that is asked by windows, the similarity of sentence and window
            (Eq. 5) is added, with the weight that the map has in Eq. 9.
        reconstruction_error: None for models of EMTM, which reconstruct nothing.
        proposal_index: among those of its window.
        fit: of sentence and moment, see `Answer.fit`.
    """

    start: float
    end: float
    score: float
    reconstruction_error: float | None
    proposal_index: int
    fit: float | None = None


@dataclass(frozen=True)
class Answer:
    """A model's answer to a sentence.

    Attributes:
        read_as: words that the model does not know -> those that it knows and read in their place.
        unknown_words: other words of the sentence that are not in the model's vocabulary. MMDist ignores them; EMTM
            reads their characters, but for the network map2d, which has none.
        moments: best first.
        duration: of the video, seconds.
        activation_map: (L,) similarity of sentence and video over time, -1 to 1; None without a local branch. A video
            that is asked by windows has as many snippets more as it is longer than a window.
        fit: of sentence and video, or of its best window: comparable between sentences and videos (`mmdist.fit`). None
            without a local branch.
        bar: fit under which the model says that the sentence is not in the video; None if it has no bar.
    """

    sentence: str
    read_as: dict[str, str]
    unknown_words: tuple[str, ...]
    moments: tuple[Moment, ...]
    duration: float
    activation_map: np.ndarray | None
    fit: float | None = None
    bar: float | None = None

    @property
    def in_video(self) -> bool | None:
        """Whether the video shows what the sentence says; None if the model has no bar."""
        return None if self.fit is None or self.bar is None else self.fit >= self.bar

    @property
    def above(self) -> tuple[Moment, ...]:
        """The moments whose fit reaches the bar, best first, none of which overlaps a better one.

        Empty if the sentence is not in the video; otherwise at least the best moment.
        """
        if not self.in_video or self.bar is None:
            return ()
        some = [moment for moment in self.moments if moment.fit is not None and moment.fit >= self.bar]
        some = some or list(self.moments[:1])
        times = np.array([(moment.start, moment.end) for moment in some]).reshape(-1, 2)
        return tuple(some[k] for k in windows.suppress(times, -np.arange(len(some), dtype=float), overlap=0))


def ground(
    video: str | Path,
    sentences: str | Sequence[str],
    *,
    model: str | Path,
    weights: Sequence[str | Path] = (),
    device: Device = "auto",
    threads: int | None = None,
    word_vectors: str | Path | None = None,
    window: float | None = None,
) -> tuple[Answer, ...]:
    """The moments of a video that sentences describe.

    Args:
        model: a model.safetensors, or a result (JSON), whose first seed's model is taken.
        weights: files of the feature extractor, if they are not where they were in training.
        device: auto, cpu or cuda.
        threads: CPU threads; None for PyTorch's choice.
        word_vectors: GloVe's text file, by which a word that the model does not know is read as the nearest that it
            knows; None for the text encoder that the model was trained with, and to leave such words out without one.
        window: seconds. Longer videos are asked by overlapping windows of this length; None for the length that nearly
            all videos of the model's training do not exceed, infinite for the whole video.

    Returns:
        One answer per sentence, in order.

    Raises:
        UserError: the model, the video or a sentence cannot be used; the text says why and what to do.
    """
    asked = [sentences] if isinstance(sentences, str) else list(sentences)
    grounder = Grounder(
        model, weights=weights, device=device, threads=threads, word_vectors=word_vectors, window=window
    )
    grounder.check(asked)  # before the video, which takes minutes
    return grounder.ask(grounder.watch(video), asked)


class Grounder(Watcher):
    """A trained model for several videos or questions.

    Args:
        model: as for `ground`, like `weights`, `device`, `threads`, `word_vectors` and `window`.
        any_code: accept features made by different code.
        bar: fit under which a sentence is not in a video; None for the model's own.

    Attributes:
        window: seconds; longer videos are asked by overlapping windows of this length.
        bar: see `Answer.bar`.
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
        window: float | None = None,
        bar: float | None = None,
    ):
        watcher.check(device, weights)
        if bar is not None and not math.isfinite(bar):
            raise UserError(f"the bar is {bar:g}; give a finite number.")
        self.trained = trained.load(model)
        self.window = windows.length(window, self.trained.window, self.trained.path)
        self.bar = self.trained.bar if bar is None else bar
        super().__init__(self.trained, weights=weights, device=device, threads=threads, any_code=any_code)
        vectors = words.of_file(Path(word_vectors)) if word_vectors else None
        vectors = vectors or text_encoder.of_model(self.trained, weights, self.place)
        self._nearest = words.Nearest(vectors, self.trained.vocabulary) if vectors else None
        self._last: tuple[Video, list[Window], list[Tensor]] | None = None  # what was asked last, and its snippets

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
        read_as = [self.read_as(sentence) for sentence in sentences]
        read = list(map(words.replaced, sentences, read_as))
        parts = self.windows(video)
        found: list[list[Found]] = [[] for _ in sentences]  # of each window, in order
        for first in range(0, len(parts), windows.AT_ONCE):
            some = parts[first : first + windows.AT_ONCE]
            asked = self.trained.ask(self._snippets(video, some), read, self.place)
            for one in sorted(asked, key=lambda one: one.row):
                found[one.row // len(some)].append(one)
        return tuple(
            Answer(
                sentences[s],
                read_as[s],
                words.unknown(read[s], self.trained.vocabulary),
                tuple(_moments(found[s], parts)),
                video.duration,
                _map(found[s], parts),
                max((one.fit for one in found[s] if one.fit is not None), default=None),
                self.bar,
            )
            for s in range(len(sentences))
        )

    def windows(self, video: Video) -> list[Window]:
        """The windows by which a video is asked."""
        return windows.divide(video.duration, self.window, min(map(len, video.features.values())))

    def _snippets(self, video: Video, parts: list[Window]) -> list[Tensor]:
        """(W, L, D) per stream, kept for the next question: they may take longer than an answer."""
        if self._last is None or self._last[0] is not video or self._last[1] != parts:
            some = (self.trained.snippets(windows.features(video.features, video.duration, part)) for part in parts)
            self._last = video, parts, [torch.cat(stream) for stream in zip(*some, strict=True)]
        return self._last[2]


def _moments(found: Sequence[Found], parts: Sequence[Window]) -> Iterator[Moment]:
    """The moments of all windows of a video, best first. Of several windows' those that overlap a better one much are
    left out."""
    times = np.concatenate([w.start + one.moments * (w.end - w.start) for one, w in zip(found, parts, strict=True)])
    places = [(one, k) for one in found for k in range(len(one.score))]
    if len(parts) == 1:
        scores = found[0].score
        (order,) = ranking.rank("score", np.empty(0), scores[None], np.empty(0))
    else:
        scores = np.concatenate([one.score if one.across is None else one.across for one in found])
        order = windows.suppress(times, scores)
    for row in order:
        one, k = places[row]
        error, fit = (None if of is None else float(of[k]) for of in (one.errors, one.fits))
        yield Moment(float(times[row, 0]), float(times[row, 1]), float(scores[row]), error, k, fit)


def _map(found: Sequence[Found], parts: Sequence[Window]) -> np.ndarray | None:
    maps = [one.activation_map for one in found if one.activation_map is not None]
    return windows.join(np.stack(maps), parts) if maps else None


def main(arguments: Sequence[str] | None = None) -> None:
    from vidistill.commands import ground_cli  # it imports this module

    ground_cli.main(arguments)


if __name__ == "__main__":
    main()
