"""Stage `demo`: draws toy videos with moving objects and writes their sentences with moments, as a user would."""

import csv
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from vidistill.base import settings as settings_module
from vidistill.base import stage, store
from vidistill.base.progress import Pace
from vidistill.data.demo.drawing import encode
from vidistill.data.demo.scenes import DemoSettings, Video, plan


def make(settings: DemoSettings, videos: Path, annotations: Path, workers: int = 1) -> None:
    """Write the demo's videos into the folder `videos`, then their table to `annotations`.

    Equal settings give equal files. Every file is written whole or not at all. Running again writes all of them again.

    Raises:
        UserError: the settings ask for no video.
    """
    planned = plan(settings)
    pace = Pace("videos", len(planned))
    for done, _ in enumerate(_encode_all(planned, videos, settings.noise, workers), 1):
        pace.say(done) if done == len(planned) else pace.at(done)
    write_annotations(planned, annotations)


def write_annotations(planned: Iterable[Video], path: Path) -> None:
    """CSV: video, sentence, start, end (seconds), split, kind (`appearance` or `motion`)."""
    with store.atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["video", "sentence", "start", "end", "split", "kind"])
        for video in planned:
            for event in sorted(video.events, key=lambda event: event.start):
                if event.sentence:
                    table.writerow([video.video_id, event.sentence, event.start, event.end, video.split, event.kind])


def _encode_all(planned: list[Video], folder: Path, noise: float, workers: int) -> Iterable[str]:
    make_one = partial(_encode_one, folder=folder, noise=noise)
    if workers <= 1 or len(planned) <= 1:
        yield from map(make_one, planned)
        return
    # Spawned, not forked: OpenCV and PyAV keep threads that a fork would copy in an undefined state.
    with ProcessPoolExecutor(min(workers, len(planned)), mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(make_one, video) for video in planned]
        for job in as_completed(jobs):
            yield job.result()


def _encode_one(video: Video, folder: Path, noise: float) -> str:
    encode(video, folder / video.file, noise)
    return video.file


def main(argv: Sequence[str] | None = None) -> None:
    parser = stage.arguments(__doc__)
    parser.add_argument("--videos", type=Path, required=True, help="folder of the video files to write")
    parser.add_argument("--annotations", type=Path, required=True, help="CSV table to write")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    arguments = parser.parse_args(argv)
    settings = settings_module.parse(DemoSettings, arguments.settings)
    make(settings, arguments.videos, arguments.annotations, arguments.workers)


if __name__ == "__main__":
    stage.run(main)
