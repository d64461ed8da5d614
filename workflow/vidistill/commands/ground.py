"""Find the moments of a video that sentences describe, with a trained model.

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
from vidistill.commands.one_video import Video, Watch, unwatched
from vidistill.commands.recipe import Recipe
from vidistill.evaluation import ranking
from vidistill.features import networks
from vidistill.features.networks import Extractor
from vidistill.training.predictions import Found

PICTURES = 8  # frames of a video kept for its picture


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
        unknown_words: words of the sentence that are not in the model's vocabulary. MMDist ignores them; EMTM reads
            their characters, but for the network map2d, which has none.
        moments: best first.
        duration: of the video, seconds.
        activation_map: (L,) similarity of sentence and video over time, -1 to 1; None without a local branch.
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
        weights: files of the feature extractor, if they are not where they were in training.
        device: auto, cpu or cuda.
        threads: CPU threads; None for PyTorch's choice.

    Returns:
        One answer per sentence, in order.

    Raises:
        UserError: the model, the video or a sentence cannot be used; the text says why and what to do.
    """
    asked = [sentences] if isinstance(sentences, str) else list(sentences)
    grounder = Grounder(model, weights=weights, device=device, threads=threads)
    grounder.check(asked)  # before the video, which takes minutes
    return grounder.ask(grounder.watch(video), asked)


class Grounder:
    """A trained model for several videos or questions.

    Args:
        model: as for `ground`, like `weights`, `device` and `threads`.
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
    ):
        if device not in get_args(Device):
            raise UserError(f"device is {device!r}; use one of {', '.join(get_args(Device))}.")
        for path in weights:  # even if the model needs none
            check_input(path, "correct --weights")
        self.trained = trained.load(model)
        self._weights, self._any_code = [Path(path) for path in weights], any_code
        self._device, self._threads = device, threads or torch.get_num_threads()
        self._place = devices.choose(device, self._threads, "use --device cpu, in Python device='cpu'")
        self.trained.network.to(self._place)
        self._last: tuple[Video, list[Tensor]] | None = None  # the last video asked about, and its snippets

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
        """Raise UserError for an empty sentence, or one without a content word that the model knows."""
        if not sentences:
            raise UserError("no sentence is given; describe what to find.")
        for sentence in sentences:
            words.check(sentence, self.trained.vocabulary, self.trained.known_words(sentence))

    def watch(self, video: str | Path, *, work: str | Path | None = None, watch: Watch = unwatched) -> Video:
        """Extract a video's features in the same way as for training the model.

        Args:
            work: an existing folder for decoded frames, which are deleted at the end; None for the system's.
            watch: reports progress.

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

    def read(self, features: Mapping[str, str | Path], video_id: str) -> Video:
        """Read a video's features from the workflow's files, one per stream of the model.

        Raises:
            UserError: the files are for other streams, lack the video, or were made in another way.
        """
        wanted = self.trained.features
        if set(features) != set(wanted):
            raise UserError(
                f"--features gives {', '.join(features)}, but the model reads {', '.join(wanted)}; give these."
            )
        video, provenance = one_video.read({stream: Path(features[stream]) for stream in wanted}, video_id)
        for stream, ours in provenance.items():
            if other := recipe.differences(ours, wanted[stream]):
                raise UserError(
                    f"{features[stream]}: these {stream} features were made in another way than the model's "
                    f"({'; '.join(other[:3])}); make them with the settings of its training."
                )
        return video

    def ask(self, video: Video, sentences: Sequence[str], query_ids: Sequence[str] | None = None) -> tuple[Answer, ...]:
        """One answer per sentence, in order.

        Args:
            query_ids: determine the masked words in scoring, as in `queries.parquet`; None to use the sentences
                themselves, so that equal sentences get equal answers.

        Raises:
            UserError: see `check`.
        """
        self.check(sentences)
        about = self.trained
        keys = query_ids or list(map(nfc, sentences))
        answers: dict[int, Answer] = {}
        for found in about.ask(self._snippets(video), sentences, keys, self._place):
            (order,) = ranking.rank("score", np.empty(0), found.score[None], np.empty(0))
            answers[found.row] = Answer(
                sentences[found.row],
                words.unknown(sentences[found.row], about.vocabulary),
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
