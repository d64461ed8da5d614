"""Videos as a trained model sees them: features extracted as for its training, or read from the workflow's files."""

import functools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, get_args

import torch
from torch import nn

from vidistill.base import device as devices
from vidistill.base.files import check_input
from vidistill.base.gpus import Device
from vidistill.base.stage import UserError
from vidistill.commands import one_video, recipe
from vidistill.commands.clock import Watch, unwatched
from vidistill.commands.one_video import Video
from vidistill.commands.recipe import Recipe
from vidistill.features import networks
from vidistill.features.networks import Extractor

PICTURES = 8  # frames of a video kept for its picture


class Model(Protocol):
    """What a trained model says about its features.

    Attributes:
        features: stream -> provenance, in the network's order of streams.
        files: stream -> setting -> path of the extractor's file in training.
    """

    @property
    def network(self) -> nn.Module: ...
    @property
    def features(self) -> dict[str, dict[str, Any]]: ...
    @property
    def files(self) -> dict[str, dict[str, str]]: ...


class Watcher:
    """Features of videos for one model, whose network is moved to the device.

    Args:
        weights: files of the feature extractor, if they are not where they were in training.
        threads: CPU threads; None for PyTorch's choice.
        any_code: accept features made by different code.

    Raises:
        UserError: the device does not exist, or a file of `weights` cannot be read.
    """

    def __init__(
        self, model: Model, *, weights: Sequence[str | Path], device: Device, threads: int | None, any_code: bool
    ):
        self._model = model
        self._weights, self._any_code = [Path(path) for path in weights], any_code
        self._device, self._threads = device, threads or torch.get_num_threads()
        self.place = devices.choose(device, self._threads, "use --device cpu, in Python device='cpu'")
        model.network.to(self.place)

    @functools.cached_property
    def _recipes(self) -> dict[str, Recipe]:
        about = self._model
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
        return {stream: networks.build(recipe.extract, self.place) for stream, recipe in self._recipes.items()}

    def watch(self, video: str | Path, *, work: str | Path | None = None, watch: Watch = unwatched) -> Video:
        """Extract a video's features in the same way as for training the model.

        Args:
            work: an existing folder for decoded frames, which are deleted at the end; None for the system's.
            watch: reports progress.

        Raises:
            UserError: the video cannot be decoded, or features like the model's cannot be made here.
        """
        one_video.check(video)
        extractors = self._extractors
        with tempfile.TemporaryDirectory(prefix="vidistill-", dir=work) as folder:
            return one_video.make(
                Path(video),
                self._recipes,
                extractors,
                Path(folder),
                place=str(self.place),
                pictures=PICTURES,
                watch=watch,
            )

    def read(self, features: Mapping[str, str | Path], video_id: str) -> Video:
        """Read a video's features from the workflow's files, one per stream of the model.

        Raises:
            UserError: the files are for other streams, lack the video, or were made in another way.
        """
        wanted = self._model.features
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


def check(device: str, weights: Sequence[str | Path]) -> None:
    """Raise UserError for a device that is no such, or for files of weights that cannot be read, before anything else
    is."""
    if device not in get_args(Device):
        raise UserError(f"device is {device!r}; use one of {', '.join(get_args(Device))}.")
    for path in weights:  # even if the model needs none
        check_input(path, "correct --weights")
