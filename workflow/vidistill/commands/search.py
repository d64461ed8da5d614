"""Find moments in a folder of videos, with a trained model of MMDist.

from vidistill.commands.search import Library

library = Library("clips", "results/student_demo.json")
library.read()
(found,) = library.search(["a person opens the door"])
print(found[0].path, found[0].moments[0].start)
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.base.wording import plural
from vidistill.commands import clock, kept, words
from vidistill.commands.clock import Watch, unwatched
from vidistill.commands.ground import Grounder, Moment
from vidistill.commands.kept import Kept
from vidistill.commands.one_video import UnusableVideoError
from vidistill.commands.trained import MMDistModel
from vidistill.mmdist import search

INDEXED = 64  # videos at once


@dataclass(frozen=True)
class Found:
    """A video that fits a sentence.

    Attributes:
        similarity: of sentence and video, -1 to 1, by which videos are ranked (MMDist, Eq. 5).
        moments: best first.
    """

    path: Path
    similarity: float
    moments: tuple[Moment, ...]


class Library:
    """The videos of a folder, for many questions. Their features are kept beside them.

    Args:
        folder: of the videos, with the folders in it.
        model: a model.safetensors, or a result (JSON), of MMDist with a local branch.
        keep: folder for what is kept; None for `.vidistill` in the folder of videos.
        options: `weights`, `device`, `threads`, `any_code` of `Grounder`.

    Raises:
        UserError: the folder has no video, or the model cannot search.
    """

    def __init__(self, folder: str | Path, model: str | Path, *, keep: str | Path | None = None, **options: Any):
        self.paths = kept.videos(Path(folder))
        self.grounder = Grounder(model, **options)
        about = self.grounder.trained
        if not isinstance(about, MMDistModel) or not about.network.has_local_branch:
            raise UserError(
                f"{about.path} compares no sentences with videos, which is how videos are ranked; use a model "
                "of MMDist with a local branch, such as student or baseline."
            )
        self.model = about
        self._kept = Kept(Path(folder), Path(keep) if keep else None, about.features)
        self.failed: dict[Path, str] = {}
        self._readable: list[Path] = []
        self._snippets = torch.empty(0)  # (videos, maps, L, d)

    def read(self, *, work: str | Path | None = None, watch: Watch = unwatched) -> None:
        """Make the features of videos that are new or have changed; `failed` says which cannot be used, and why.

        Args:
            work, watch: as for `Grounder.watch`.

        Raises:
            UserError: no video can be used, or features like the model's cannot be made here.
        """
        missing = {path for path in self.paths if self._kept.look(path) is None}
        digests, since = [], time.monotonic()
        self.failed, self._readable, made = {}, [], 0
        for path in self.paths:
            counted = clock.of_many(watch, "video", made, len(missing), since)
            try:
                digests.append(kept.ready(self.grounder, path, self._kept, work, counted))
                self._readable.append(path)
            except UnusableVideoError as error:
                self.failed[path] = str(error)
            made += path in missing
        if not self._readable:
            why = next(iter(self.failed.values()))
            raise UserError(f"none of {plural(len(self.paths), 'video')} can be used; the first: {why}")
        self._snippets = self._indexed(store.digest(*digests)).to(self.grounder.place)

    def search(self, sentences: Sequence[str], top: int = 5) -> list[list[Found]]:
        """The `top` videos for each sentence, best first, after `read`.

        Raises:
            UserError: a sentence has no content word that the model knows.
        """
        self.grounder.check(sentences)
        s = self.model.settings
        read = [words.replaced(sentence, self.grounder.read_as(sentence)) for sentence in sentences]
        scores = search.similarities(self.model.network, self.model.vocabulary, self._snippets, read, s.loss.top_share)
        return [self._best(sentence, row, top) for sentence, row in zip(sentences, scores.cpu().numpy(), strict=True)]

    def _best(self, sentence: str, scores: np.ndarray, top: int) -> list[Found]:
        order = np.argsort(-scores, kind="stable")[:top]
        videos = [self._kept.load(self._readable[v]) for v in order]
        return [
            Found(self._readable[v], float(scores[v]), self.grounder.ask(video, [sentence])[0].moments)
            for v, video in zip(order, videos, strict=True)
        ]

    def _indexed(self, videos: str) -> Tensor:
        """The snippets of all videos, from a file if it is of these; `videos` is a digest of their contents."""
        file = self._kept.place / f"snippets-{store.file_digest(self.model.path)[:16]}.safetensors"
        try:
            with safe_open(file, "pt") as index:
                if index.metadata()["videos"] == videos:
                    return index.get_tensor("snippets")
        except (OSError, SafetensorError):  # not there, or damaged
            pass
        parts = []
        for first in range(0, len(self._readable), INDEXED):
            features = map(self._features, self._readable[first : first + INDEXED])
            streams = [torch.cat(stream).to(self.grounder.place) for stream in zip(*features, strict=True)]
            parts.append(search.snippets(self.model.network, streams).cpu())
        snippets = torch.cat(parts)
        with store.atomic(file) as temporary:
            save_file({"snippets": snippets}, temporary, {"videos": videos})
        return snippets

    def _features(self, path: Path) -> list[Tensor]:
        """(1, L, D) per stream."""
        return self.model.snippets(self._kept.load(path).features)
