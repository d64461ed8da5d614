"""Find moments in a folder of videos, with a trained model of MMDist.

from vidistill.commands.search import Library

library = Library("clips", "results/student_demo.json")
library.read()
(found,) = library.search(["a person opens the door"])
print(found[0].path, found[0].moments[0].start)
"""

import itertools
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.base.wording import plural
from vidistill.commands import clock, kept, windows, words
from vidistill.commands.clock import Watch, unwatched
from vidistill.commands.ground import Grounder, Moment
from vidistill.commands.kept import Kept
from vidistill.commands.one_video import UnusableVideoError
from vidistill.commands.trained import MMDistModel
from vidistill.mmdist import fit

log = logging.getLogger(__name__)

INDEXED = 64  # windows at once


@dataclass(frozen=True)
class Found:
    """A video that fits a sentence.

    Attributes:
        fit: of sentence and video, or of its best window, by which videos are ranked; see `Answer.fit`.
        moments: best first.
        in_video: see `Answer.in_video`.
    """

    path: Path
    fit: float
    moments: tuple[Moment, ...]
    in_video: bool | None


class Index(NamedTuple):
    """The windows of all videos, for comparison with sentences."""

    snippets: Tensor  # (windows, maps, L, d) half precision
    levels: Tensor  # (windows,) what training sentences reach
    owners: Tensor  # (windows,) numbers of the videos


class Library:
    """The videos of a folder, for many questions. Their features are kept beside them.

    Args:
        folder: of the videos, with the folders in it.
        model: a model.safetensors, or a result (JSON), of MMDist with a local branch.
        keep: folder for what is kept; None for `.vidistill` in the folder of videos.
        options: `weights`, `device`, `threads`, `any_code`, `word_vectors`, `window`, `bar` of `Grounder`.

    Raises:
        UserError: the folder has no video, or the model cannot search.
    """

    def __init__(self, folder: str | Path, model: str | Path, *, keep: str | Path | None = None, **options: Any):
        self.paths = kept.videos(Path(folder))
        self.grounder = Grounder(model, **options)
        about = self.grounder.trained
        by = about.standard if isinstance(about, MMDistModel) else None
        if not isinstance(about, MMDistModel) or by is None:
            raise UserError(
                f"{about.path} compares no sentences with videos, which is how videos are ranked; use a model "
                "of MMDist with a local branch, such as student or baseline."
            )
        if not about.bank:
            log.warning("%s keeps no training sentences, by which videos rank better; train it again", about.path)
        self.model, self._by = about, by
        self._kept = Kept(Path(folder), Path(keep) if keep else None, about.features)
        self.failed: dict[Path, str] = {}
        self._readable: list[Path] = []
        self._index = Index(torch.empty(0), torch.empty(0), torch.empty(0))

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
        index = self._indexed(store.digest(*digests, str(self.grounder.window)))
        self._index = index._replace(snippets=index.snippets.to(self.grounder.place))  # once, not for each sentence

    def search(self, sentences: Sequence[str], top: int = 5) -> list[list[Found]]:
        """The `top` videos for each sentence, best first, after `read`.

        Raises:
            UserError: a sentence has no content word that the model knows.
        """
        self.grounder.check(sentences)
        read = [words.replaced(sentence, self.grounder.read_as(sentence)) for sentence in sentences]
        asked, index = fit.sentences(self.model.network, self.model.vocabulary, read), self._index
        similar = fit.similarities(index.snippets, asked, self._by.top_share).cpu()
        fits = (similar / self._by.temperature - index.levels.unsqueeze(1)).T  # (N, windows)
        none = torch.full((len(read), len(self._readable)), -torch.inf)
        best = none.scatter_reduce(1, index.owners.expand(len(read), -1), fits, "amax").numpy()
        return [self._best(sentence, row, top) for sentence, row in zip(sentences, best, strict=True)]

    def _best(self, sentence: str, fits: np.ndarray, top: int) -> list[Found]:
        order = np.argsort(-fits, kind="stable")[:top]
        videos = [self._kept.load(self._readable[v]) for v in order]
        answers = [self.grounder.ask(video, [sentence])[0] for video in videos]
        bar = self.grounder.bar
        return [
            Found(self._readable[v], float(fits[v]), answer.moments, None if bar is None else bool(fits[v] >= bar))
            for v, answer in zip(order, answers, strict=True)
        ]

    def _indexed(self, videos: str) -> Index:
        """The index of all videos, from a file if it is of these; `videos` is a digest of contents and windows."""
        file = self._kept.place / f"index-{store.file_digest(self.model.path)[:16]}.safetensors"
        try:
            with safe_open(file, "pt") as saved:
                if saved.metadata()["videos"] == videos:
                    return Index(*(saved.get_tensor(name) for name in Index._fields))
        except (OSError, SafetensorError):  # not there, or damaged
            pass
        parts, parts_ = [], self._windows()
        while some := list(itertools.islice(parts_, INDEXED)):
            streams = [torch.cat(stream).to(self.grounder.place) for stream in zip(*(w for _, w in some), strict=True)]
            snippets = fit.snippets(self.model.network, streams)
            owners = torch.tensor([owner for owner, _ in some])
            parts.append(Index(snippets.cpu(), fit.levels(snippets, self._by).cpu(), owners))
        index = Index(*map(torch.cat, zip(*parts, strict=True)))
        with store.atomic(file) as temporary:
            save_file(index._asdict(), temporary, {"videos": videos})
        return index

    def _windows(self) -> Iterator[tuple[int, list[Tensor]]]:
        """The windows of all videos: the number of the video, and (1, L, D) per stream."""
        for number, path in enumerate(self._readable):
            video = self._kept.load(path)
            for part in self.grounder.windows(video):
                yield number, self.model.snippets(windows.features(video.features, video.duration, part))
