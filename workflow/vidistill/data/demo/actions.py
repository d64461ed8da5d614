"""Stage `demo_actions`: labels of the demo's videos with their segments, for models of actions.

It draws nothing: what happens in the videos is a function of their settings.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from vidistill.base import settings as settings_module
from vidistill.base import stage, store
from vidistill.data.demo.scenes import MOTION, DemoSettings, Event, Video, plan

AWAY = 0.5  # seconds; an object that is away for a shorter time has one segment, as a person would annotate it


def write(planned: Iterable[Video], path: Path) -> None:
    """CSV: video, label, start, end (seconds), split.

    The labels say what an object does (`spins`), for which motion is needed, and which one is on screen (`red object`),
    for which a picture is enough. Events without a sentence happen as well, so they have labels.
    """
    with store.atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["video", "label", "start", "end", "split"])
        for video in planned:
            for label, start, end in segments(video.events):
                table.writerow([video.video_id, label, start, end, video.split])


def segments(events: Iterable[Event]) -> list[tuple[str, float, float]]:
    """Label, start and end (seconds) of all that events of a video show, by start."""
    found: list[tuple[str, float, float]] = []
    objects: dict[str, list[tuple[float, float]]] = {}
    for event in sorted(events, key=lambda event: event.start):
        if event.action in MOTION:
            found.append((MOTION[event.action][0].removeprefix("the {} "), event.start, event.end))
        shown = objects.setdefault(event.colour, [])
        together = shown and event.start - shown[-1][1] < AWAY
        shown.append((shown.pop()[0] if together else event.start, event.end))
    found += [(f"{colour} object", *times) for colour, shown in objects.items() for times in shown]
    return sorted(found, key=lambda segment: (segment[1], segment[0]))


def main(argv: Sequence[str] | None = None) -> None:
    parser = stage.arguments(__doc__)
    parser.add_argument("--output", type=Path, required=True, help="CSV table to write")
    arguments = parser.parse_args(argv)
    write(plan(settings_module.parse(DemoSettings, arguments.settings)), arguments.output)


if __name__ == "__main__":
    stage.run(main)
