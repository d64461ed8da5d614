"""Load a trained model of any method with its metadata, from its file or from a result."""

import functools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidistill.base import files, store
from vidistill.base.settings import parse
from vidistill.base.stage import UserError
from vidistill.commands import packed
from vidistill.data import vocabulary as vocabularies
from vidistill.data.text import tokenise
from vidistill.data.vocabulary import Vocabulary
from vidistill.emtm import ask as emtm_ask
from vidistill.emtm import model as emtm
from vidistill.mmdist import ask as mmdist_ask
from vidistill.mmdist import fit
from vidistill.mmdist import model as mmdist
from vidistill.mmdist.fit import Standard
from vidistill.mmdist.network import Network
from vidistill.settings.emtm import TrainSettings as EMTMSettings
from vidistill.settings.mmdist import TrainSettings as MMDistSettings
from vidistill.training.predictions import Found

REMEDY = "give a model.safetensors, a result such as results/student_demo.json, or a packed model"


@dataclass(frozen=True)
class Trained(ABC):
    """A model file.

    Attributes:
        network: in evaluation mode, on the CPU.
        features: stream -> provenance of its features, in the network's order of streams.
        files: stream -> setting -> path of the extractor's file in training.
        window: seconds that nearly all videos of training do not exceed; None if the file does not say it.
        bar: fit under which a sentence is not in a video; None if the model has none.
    """

    path: Path
    network: Network | emtm.Network
    settings: MMDistSettings | EMTMSettings
    vocabulary: Vocabulary
    features: dict[str, dict[str, Any]]
    files: dict[str, dict[str, str]]
    window: float | None
    bar: float | None

    @property
    def name(self) -> str:
        s = self.settings
        return f"{s.model} of {s.dataset}, seed {s.seed}"

    @abstractmethod
    def known_words(self, sentence: str) -> list[str]:
        """The words of the vocabulary that the model reads of a sentence; what is too long is cut off."""

    @property
    @abstractmethod
    def word_vectors(self) -> np.ndarray:
        """(V, E) of the vocabulary's words, in its order."""

    @abstractmethod
    def snippets(self, features: Mapping[str, np.ndarray]) -> list[Tensor]:
        """A video's features (T, D) as the model reads them: (1, L, D) per stream."""

    @abstractmethod
    def ask(self, snippets: list[Tensor], sentences: Sequence[str], device: torch.device) -> Iterator[Found]:
        """Moments for each sentence in each of V videos, (V, L, D) per stream; in any order, see `Found.row`."""


@dataclass(frozen=True)
class MMDistModel(Trained):
    network: Network
    settings: MMDistSettings
    bank: tuple[str, ...]  # training sentences by which fits are measured; none in old models

    @functools.cached_property
    def standard(self) -> Standard | None:
        """What fits are measured by, on the network's device; None without a local branch."""
        if not self.network.has_local_branch:
            return None
        return fit.standard(fit.sentences(self.network, self.vocabulary, self.bank), self.settings.loss)

    def known_words(self, sentence: str) -> list[str]:
        return [self.vocabulary.words[index - 1] for index in vocabularies.encode(sentence, self.vocabulary)]

    @property
    def word_vectors(self) -> np.ndarray:
        return self.network.embedding.weight[1:].cpu().numpy()

    def snippets(self, features: Mapping[str, np.ndarray]) -> list[Tensor]:
        return mmdist_ask.resampled(self.settings, features)

    def ask(self, snippets: list[Tensor], sentences: Sequence[str], device: torch.device) -> Iterator[Found]:
        about = self.network, self.settings, self.vocabulary
        return mmdist_ask.ask(*about, snippets, sentences, device, self.standard)


@dataclass(frozen=True)
class EMTMModel(Trained):
    network: emtm.Network
    settings: EMTMSettings
    characters: tuple[str, ...]  # that the model knows

    def known_words(self, sentence: str) -> list[str]:
        return [word for word in tokenise(sentence)[: self.settings.words] if word in self.vocabulary.ids]

    @property
    def word_vectors(self) -> np.ndarray:
        tensors = self.network.state_dict()
        (table,) = (value for name, value in tensors.items() if name.rpartition(".")[2] == "words")
        return table[1:].cpu().numpy()

    def snippets(self, features: Mapping[str, np.ndarray]) -> list[Tensor]:
        return emtm_ask.resampled(self.settings, features)

    def ask(self, snippets: list[Tensor], sentences: Sequence[str], device: torch.device) -> Iterator[Found]:
        known = self.characters
        return emtm_ask.ask(self.network, self.settings, self.vocabulary, known, snippets, sentences, device)


def load(path: str | Path) -> Trained:
    """Load a model file, the model of the first seed of a result (JSON), or a packed model (a folder).

    Raises:
        UserError: `path` is none of these, the model file is missing or has changed, or the model reads no sentence.
    """
    path = file_of(path)
    metadata = store.read_model_metadata(path)
    is_emtm = metadata.get("method") == "emtm"
    if metadata.get("method") == "mmsd":
        raise UserError(f"{path} is a model of actions, which reads no sentence; ask it with `vidistill locate`.")
    try:
        settings = parse(EMTMSettings if is_emtm else MMDistSettings, metadata["settings"])
        features = json.loads(metadata["features"])
        about = (
            vocabularies.loads(metadata["vocabulary"]),
            {stream: features[stream] for stream in settings.streams},
            json.loads(metadata.get("files", "{}")),  # missing in old models, as are the next
            json.loads(metadata.get("window", "null")),
            json.loads(metadata.get("bar", "null")),
        )
    except KeyError as error:
        raise UserError(
            f"{path} does not record how it was trained ({error} is missing); train it again with this version."
        ) from error
    except UserError as error:
        raise UserError(f"{path} was trained by another version ({error}); use that one, or train it again.") from error
    if isinstance(settings, EMTMSettings):
        return EMTMModel(path, emtm.load(path)[0], settings, *about, tuple(json.loads(metadata["characters"])))
    assert isinstance(settings, MMDistSettings)
    return MMDistModel(path, mmdist.load(path)[0], settings, *about, tuple(json.loads(metadata.get("bank", "[]"))))


def file_of(path: str | Path) -> Path:
    """The model file that a person names, itself, by a result or by the folder of a packed model.

    Raises:
        UserError: it cannot be read, or see `of_result` and `packed.model_of`.
    """
    path = Path(path)
    if path.is_dir():
        return packed.model_of(path)
    files.check_input(path, REMEDY)
    return of_result(path) if path.suffix == ".json" else path


def of_result(path: Path, seed: int | None = None) -> Path:
    """The model file of a seed of a result, by default its first, at its place relative to the result.

    Raises:
        UserError: `path` is not a result, or the model is missing or a different one.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        name, seeds = result["model"], result["seeds"]
        seed = seeds[0] if seed is None else seed
        if seed not in seeds:
            raise UserError(f"{path} has no seed {seed}; it has {', '.join(map(str, seeds))}.")
        model = path.parent / result["dataset"] / name / f"seed-{seed}" / "model.safetensors"
        sha256 = result["models"][name]["sha256"][str(seed)]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path} is not a result; {REMEDY}.") from error
    files.check_input(model, f"{path} needs this model; put it there, or give a model.safetensors")
    if store.file_digest(model) != sha256:
        raise UserError(f"{model} is not the model of {path}; run the workflow again, or give the model file itself.")
    return model
