"""Ask a video a question: the moments that a trained model finds for sentences, best first.

from vidistill.commands.ground import ground

(answer,) = ground("video.mp4", ["a person opens the door"], model="results/student_demo.json")
print(answer.moments[0].start, answer.moments[0].end)
"""

import functools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from vidistill.base import device as devices
from vidistill.base.files import check_input
from vidistill.base.gpus import Device
from vidistill.base.spelling import nfc
from vidistill.base.stage import UserError
from vidistill.commands import one_video, recipe, trained, words
from vidistill.commands.one_video import Film, Watch, unwatched
from vidistill.commands.recipe import Recipe
from vidistill.evaluation import ranking
from vidistill.features import networks
from vidistill.features.networks import Extractor
from vidistill.mmdist import ask
from vidistill.mmdist.ask import Found

PICTURES = 8  # frames of a film that are kept for its picture


@dataclass(frozen=True)
class Moment:
    """One proposal, in seconds; the higher its score the better."""

    start: float
    end: float
    score: float
    reconstruction_error: float
    proposal_index: int


@dataclass(frozen=True)
class Answer:
    """What a model finds for a sentence.

    Attributes:
        unknown_words: of the sentence, which the model has never seen and passes over.
        moments: best first.
        duration: of the video, seconds.
        activation_map: (L,) likeness of sentence and video over time, -1 to 1; None of a model without a local branch.
    """

    sentence: str
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
) -> tuple[Answer, ...]:
    """The moments of a video that sentences describe.

    Args:
        model: a model.safetensors, or a result (JSON), whose first seed's model is taken.
        weights: files of the feature extractor, where they are not where they were in training.
        device: auto, cpu or cuda.
        threads: of PyTorch on the CPU; None for as many as it takes by itself.

    Returns:
        An answer for each sentence, in their order.

    Raises:
        UserError: the model, the video or a sentence cannot be used; the text says why and what to do.
    """
    asked = [sentences] if isinstance(sentences, str) else list(sentences)
    grounder = Grounder(model, weights=weights, device=device, threads=threads)
    grounder.check(asked)  # before minutes are spent on the video
    return grounder.ask(grounder.watch(video), asked)


class Grounder:
    """A model that videos can be shown and questions asked; for several of either.

    Args:
        model: as of `ground`, like `weights`, `device` and `threads`.
        any_code: make features although the code is another than that which made the model's.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        weights: Sequence[str | Path] = (),
        device: Device = "auto",
        threads: int | None = None,
        any_code: bool = False,
    ):
        if device not in get_args(Device):
            raise UserError(f"device is {device!r}; use one of {', '.join(get_args(Device))}.")
        for path in weights:  # also where the model needs none
            check_input(path, "correct --weights")
        self.trained = trained.load(model)
        self._weights, self._any_code = [Path(path) for path in weights], any_code
        self._device, self._threads = device, threads or torch.get_num_threads()
        self._place = devices.choose(device, self._threads, "use --device cpu, in Python device='cpu'")
        self._network = self.trained.network.to(self._place)
        self._last: tuple[Film, list[Tensor]] | None = None  # a film that was asked, and its snippets

    @functools.cached_property
    def _recipes(self) -> dict[str, Recipe]:
        about = self.trained
        return {
            stream: recipe.recipe(
                stream,
                provenance,
                about.files.get(stream, {}),
                self._weights,
                device=self._device,
                threads=self._threads,
                any_code=self._any_code,
            )
            for stream, provenance in about.features.items()
        }

    @functools.cached_property
    def _extractors(self) -> dict[str, Extractor]:
        return {stream: networks.build(recipe.extract, self._place) for stream, recipe in self._recipes.items()}

    def check(self, sentences: Sequence[str]) -> None:
        """Raises UserError for a sentence that is empty or without any word of content that the model knows."""
        if not sentences:
            raise UserError("no sentence is given; say what to look for.")
        for sentence in sentences:
            words.check(sentence, self.trained.vocabulary)

    def watch(self, video: str | Path, *, work: str | Path | None = None, watch: Watch = unwatched) -> Film:
        """Make a video's features as those of the model's training were made.

        Args:
            work: an existing folder for decoded frames, which are gone at the end; None for the system's own.
            watch: is told what is done.

        Raises:
            UserError: the video cannot be decoded, or features like the model's cannot be made here.
        """
        check_input(video, one_video.REMEDY)
        extractors = self._extractors
        with tempfile.TemporaryDirectory(prefix="vidistill-", dir=work) as folder:
            return one_video.make(
                Path(video),
                self._recipes,
                extractors,
                Path(folder),
                place=str(self._place),
                pictures=PICTURES,
                watch=watch,
            )

    def read(self, features: Mapping[str, str | Path], video_id: str) -> Film:
        """A video's features out of files that the workflow made, one for each of the model's streams.

        Raises:
            UserError: files of other streams, without the video, or of features made in another way.
        """
        wanted = self.trained.features
        if set(features) != set(wanted):
            raise UserError(f"features are given of {', '.join(features)}, the model reads {', '.join(wanted)}.")
        film, provenance = one_video.read({stream: Path(features[stream]) for stream in wanted}, video_id)
        for stream, ours in provenance.items():
            if other := recipe.differences(ours, wanted[stream]):
                raise UserError(
                    f"{features[stream]}: these {stream} features were made in another way than the model's "
                    f"({'; '.join(other[:3])}); make them with the settings of its training."
                )
        return film

    def ask(self, film: Film, sentences: Sequence[str], query_ids: Sequence[str] | None = None) -> tuple[Answer, ...]:
        """An answer for each sentence, in their order.

        Args:
            query_ids: decide which words are hidden while scoring, as in `queries.parquet`; None for the sentences
                themselves, so that equal sentences have equal answers.

        Raises:
            UserError: see `check`.
        """
        self.check(sentences)
        about = self.trained
        keys = query_ids or list(map(nfc, sentences))
        answers: dict[int, Answer] = {}
        for found in ask.ask(
            self._network, about.settings, about.vocabulary, self._snippets(film), sentences, keys, self._place
        ):
            (order,) = ranking.rank("score", np.empty(0), found.score[None], found.errors[None])
            answers[found.row] = Answer(
                sentences[found.row],
                words.unknown(sentences[found.row], about.vocabulary),
                tuple(_moment(found, film.duration, int(k)) for k in order),
                film.duration,
                found.activation_map,
            )
        return tuple(answers[row] for row in range(len(sentences)))

    def _snippets(self, film: Film) -> list[Tensor]:
        """(1, L, D) of each stream; of an hour it takes longer than an answer."""
        if self._last is None or self._last[0] is not film:
            self._last = film, ask.resampled(self.trained.settings, film.features)
        return self._last[1]


def _moment(found: Found, duration: float, k: int) -> Moment:
    start, end = (float(share * duration) for share in found.moments[k])
    return Moment(start, end, float(found.score[k]), float(found.errors[k]), k)


def main(arguments: Sequence[str] | None = None) -> None:
    from vidistill.commands import ground_cli  # which imports this module

    ground_cli.main(arguments)


if __name__ == "__main__":
    main()
