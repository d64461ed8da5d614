"""Stage `figures`: figures and pages of a model's report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vidistill.base import settings as settings_module
from vidistill.base.stage import arguments, run
from vidistill.data.queries import video_files
from vidistill.evaluation import inputs, terminal
from vidistill.evaluation.evaluate import EvaluateSettings
from vidistill.features import states
from vidistill.report import (
    agreement,
    costs,
    coverage,
    efficiency,
    examples,
    failures,
    losses,
    material,
    page,
    queries,
    recall,
    results,
    style,
)
from vidistill.report.material import Material, Paths
from vidistill.settings.decode import DecodeSettings
from vidistill.settings.figures import FiguresSection
from vidistill.settings.flow import FlowSettings


class FiguresSettings(FiguresSection):
    evaluate: EvaluateSettings
    teachers: tuple[str, ...]  # of the model
    exported: tuple[str, ...]  # models with pseudo labels and maps
    collection: str
    decode: DecodeSettings
    flow: FlowSettings | None  # None: no stream uses flow


@dataclass(frozen=True)
class Drawn:
    """A figure and the texts of its page."""

    file: str
    title: str
    about: tuple[str, ...]
    figure: Figure

    def write(self, folder: Path, of: str) -> None:
        """Write the picture and its page.

        Args:
            of: the model and the data set, for titles.
        """
        path, title = folder / self.file, f"{self.title}: {of}"
        kind = path.suffix.removeprefix(".")
        data = style.encode(self.figure, kind)
        page.write(path, data)
        page.write(path.with_suffix(".html"), page.document(title, *self.about, page.picture(data, kind, title)))


def drawings(s: FiguresSettings, m: Material, files: dict[str, Path]) -> Iterator[Drawn]:
    """Every figure."""
    yield Drawn("losses.svg", losses.TITLE, losses.ABOUT, losses.draw(m.histories, m.models))
    yield Drawn("agreement.svg", agreement.TITLE, agreement.ABOUT, agreement.draw(m, s.teachers))
    nothing = None if m.result["metrics"] else (terminal.unscored(m.result),)
    yield Drawn("recall.svg", recall.TITLE, nothing or recall.ABOUT, recall.draw(m))
    yield Drawn("efficiency.svg", efficiency.TITLE, nothing or efficiency.ABOUT, efficiency.draw(m))
    yield Drawn("failures.svg", failures.TITLE, nothing or failures.ABOUT, failures.draw(m, s.groups))
    predicted = m.answers[s.evaluate.model].query_ids
    candidates = examples.spread(set(m.sentences.loc[predicted, "video_id"]), s.videos)
    taken = examples.collect(candidates, files, m.durations, s.decode, s.flow, videos=s.videos, frames=s.frames)
    yield Drawn("frames.png", examples.TITLE, examples.ABOUT, examples.draw(taken, s.frames))


def key_frames(s: FiguresSettings, m: Material, files: dict[str, Path]) -> dict[str, list[tuple[float, np.ndarray]]]:
    """Query -> (seconds, image), for the chosen queries of available videos."""
    found = {}
    for query_id, middles in queries.middles(m, s.queries).items():
        video = [m.sentences.loc[query_id, "video_id"]]
        taken = examples.collect(video, files, m.durations, s.decode, None, videos=1, frames=s.frames, wanted=middles)
        found[query_id] = [(second, image) for example in taken for second, image, _ in example.shown]
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    for option in ("--result", "--queries", "--moments", "--benchmarks", "--folder"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--features", nargs="*", default=[], help="STREAM=H5, every shard of every stream")
    parser.add_argument("--predictions", nargs="+", required=True, help="MODEL:SEED=FILE, every model and seed")
    parser.add_argument("--histories", nargs="*", default=[], help="MODEL:SEED=FILE, every trained model and seed")
    for option in ("--pseudo-labels", "--activation-maps"):
        parser.add_argument(option, nargs="*", default=[], help="MODEL:SEED=FILE, of exported models")
    parser.add_argument("--videos", type=Path, nargs="*", default=[], help="video files or folders, for pictures")
    args = parser.parse_args(argv)
    s = settings_module.parse(FiguresSettings, args.settings)
    models, seeds = (s.evaluate.model, *s.evaluate.compare_with), s.evaluate.seeds
    predictions, histories = inputs.of_models(args, models, seeds, "histories")
    paths = Paths(
        args.result,
        args.queries,
        args.moments,
        states.by_stream(args.features),
        predictions,
        histories,
        inputs.labelled("--pseudo-labels", args.pseudo_labels, s.exported, seeds),
        inputs.labelled("--activation-maps", args.activation_maps, s.exported, seeds),
    )
    m = material.read(s.evaluate, paths)
    files = video_files(path for path in args.videos if path.exists())
    for drawn in drawings(s, m, files):
        drawn.write(args.folder, f"{s.evaluate.model} on {s.evaluate.dataset}")
    teacher = s.teachers[0] if s.teachers else None
    for group, cards in queries.cards(m, teacher, s.queries, key_frames(s, m, files)).items():
        text = queries.make(group, cards, models[0], teacher, s.frames, scored=bool(m.result["metrics"]))
        page.write(args.folder / f"queries-{group}.html", text)
    measured = costs.read(args.benchmarks, s.evaluate.dataset, s.collection, [*m.models, *s.exported])
    page.write(args.folder / "costs.html", costs.make(measured, s.evaluate.dataset))
    page.write(args.folder / "coverage.html", coverage.make(m.result, m.data.queries))
    page.write(args.folder / "results.html", results.make(m))


if __name__ == "__main__":
    run(main)
