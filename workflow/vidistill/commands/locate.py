"""Find the segments of a video in which the actions happen that a trained model of MMSD knows.

from vidistill.commands.locate import locate

answer = locate("video.mp4", model="results/mmsd_demo-actions.json")
for action in answer.classes:
    print(action.label, action.video_score, action.moments, action.scores)
"""

from collections.abc import Sequence
from pathlib import Path

from vidistill.base.gpus import Device
from vidistill.base.stage import UserError
from vidistill.commands import trained_actions, watcher
from vidistill.commands.one_video import Video
from vidistill.commands.watcher import Watcher
from vidistill.mmsd import ask
from vidistill.mmsd.ask import Answer


def locate(
    video: str | Path,
    *,
    model: str | Path,
    class_threshold: float | None = None,
    weights: Sequence[str | Path] = (),
    device: Device = "auto",
    threads: int | None = None,
) -> Answer:
    """The segments of a video's actions.

    Args:
        model: a model.safetensors, or a result (JSON), whose first seed's model is taken.
        class_threshold: the video has the classes whose score is at least this, or the best one; None for that of the
            model's predictions, else 0.2.
        weights: files of the feature extractor, if they are not where they were in training.
        device: auto, cpu or cuda.
        threads: CPU threads; None for PyTorch's choice.

    Returns:
        The classes that the video has, best first, each with its segments, best first; and what each stream says over
        time.

    Raises:
        UserError: the model or the video cannot be used; the text says why and what to do.
    """
    locator = Locator(model, class_threshold=class_threshold, weights=weights, device=device, threads=threads)
    return locator.ask(locator.watch(video))


class Locator(Watcher):
    """A trained model for several videos.

    Args:
        model: as for `locate`, like `class_threshold`, `weights`, `device` and `threads`.
        any_code: accept features made by different code.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        class_threshold: float | None = None,
        weights: Sequence[str | Path] = (),
        device: Device = "auto",
        threads: int | None = None,
        any_code: bool = False,
    ):
        if class_threshold is not None and not 0 <= class_threshold <= 1:
            raise UserError(f"the class threshold is {class_threshold:g}; use a number from 0 to 1.")
        watcher.check(device, weights)
        self.trained = trained_actions.load(model)
        own = {} if class_threshold is None else {"class_threshold": class_threshold}
        self.segments = self.trained.segments.model_copy(update=own)
        super().__init__(self.trained, weights=weights, device=device, threads=threads, any_code=any_code)

    def ask(self, video: Video) -> Answer:
        """The segments of a video's actions, see `locate`.

        Raises:
            UserError: the streams of the video do not fit together.
        """
        return ask.ask(self.trained.model, self.segments, video.features, video.times, video.duration, self.place)


def main(arguments: Sequence[str] | None = None) -> None:
    from vidistill.commands import locate_cli  # it imports this module

    locate_cli.main(arguments)


if __name__ == "__main__":
    main()
