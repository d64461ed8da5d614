"""Stage `action_figures`: figures and pages of the report of a model of actions."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vidistill.base import settings as settings_module
from vidistill.base.stage import arguments, run
from vidistill.data.queries import video_files
from vidistill.evaluation import inputs
from vidistill.features import states
from vidistill.mmsd.rounds import SHARES
from vidistill.report import costs, coverage, examples, losses, page
from vidistill.report.actions import activation, classes, material, precision, results, rounds, videos
from vidistill.report.actions.material import Material
from vidistill.report.figures import Drawn
from vidistill.settings.decode import DecodeSettings
from vidistill.settings.figures import FiguresSection
from vidistill.settings.flow import FlowSettings
from vidistill.settings.localisation import LocalisationSettings

TERMS = {
    "loss": losses.TITLES["loss"],
    "classification": "classes of videos",
    "attention": "foreground and background",
    "distillation": "streams: each other's scores",
    "pseudo_label": "pseudo labels",
    "held_out_loss": losses.TITLES["held_out_loss"],
    "learning_rate": losses.TITLES["learning_rate"],
}


class ActionFiguresSettings(FiguresSection):
    localisation: LocalisationSettings
    collection: str
    decode: DecodeSettings
    flow: FlowSettings | None  # None: no stream uses flow


def drawings(s: ActionFiguresSettings, m: Material, files: dict[str, Path], maps: Path) -> Iterator[Drawn]:
    """Every figure."""
    model = m.settings.model
    nothing = None if m.result["metrics"] else (videos.NOTHING,)
    yield Drawn("precision.svg", precision.TITLE, nothing or precision.ABOUT, precision.draw(m))
    yield Drawn("classes.svg", classes.TITLE, nothing or classes.ABOUT, classes.draw(m.result))
    shares = tuple(f"{share}_" for share in SHARES)  # in a figure of their own
    histories = {key: table.loc[:, ~table.columns.str.startswith(shares)] for key, table in m.histories.items()}
    yield Drawn("losses.svg", losses.TITLE, losses.ABOUT[:1], losses.draw(histories, m.models, TERMS))
    own = {seed: m.histories[model, seed] for seed in m.settings.seeds}
    text = rounds.about(m.trained, rounds.SHARES_ABOUT)
    yield Drawn("rounds.svg", rounds.SHARES_TITLE, text, rounds.draw_shares(own, m.streams))
    text = rounds.about(m.trained, rounds.LABELS_ABOUT)
    yield Drawn("labels.svg", rounds.LABELS_TITLE, text, labels(s, m, maps))
    candidates = examples.spread(m.truth.videos, s.videos)
    taken = examples.collect(candidates, files, durations(m), s.decode, s.flow, videos=s.videos, frames=s.frames)
    yield Drawn("frames.png", examples.TITLE, examples.ABOUT, examples.draw(taken, s.frames))


def labels(s: ActionFiguresSettings, m: Material, maps: Path) -> Figure:
    """Pseudo labels of a few training videos with true segments, or of any."""
    known, learned = durations(m), m.truth.data.queries
    ids = set(learned.loc[learned["split"].isin(m.trained["train_splits"]), "video_id"]) & known.keys()
    truth = m.truth.everywhere[m.truth.everywhere["video_id"].isin(ids)]
    segments = {str(v): part[["start", "end"]].to_numpy() for v, part in truth.groupby("video_id")}
    shown = examples.spread(segments.keys() or ids, s.videos)[: s.videos]
    return rounds.draw_labels(rounds.of_videos(maps, shown, m.streams, m.trained["pseudo_labels"]), segments, known)


def durations(m: Material) -> dict[str, float]:
    """Video -> seconds, where known: from the features, else from the annotations."""
    rows = m.truth.data.queries.drop_duplicates("video_id").set_index("video_id")["duration"].dropna()
    return {**rows.astype(float).to_dict(), **m.truth.data.known_durations}


def key_frames(
    s: ActionFiguresSettings, m: Material, files: dict[str, Path], video_ids: set[str]
) -> dict[str, list[tuple[float, np.ndarray]]]:
    """Video -> (seconds, image), for available videos."""
    taken = examples.collect(
        sorted(video_ids), files, durations(m), s.decode, None, videos=len(video_ids), frames=s.frames
    )
    return {example.video_id: [(second, image) for second, image, _ in example.shown] for example in taken}


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    for option in ("--result", "--queries", "--moments", "--benchmarks", "--folder"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--features", nargs="+", required=True, help="STREAM=H5, every shard of every stream")
    for option in ("--predictions", "--histories"):
        parser.add_argument(option, nargs="+", required=True, help="MODEL:SEED=FILE, every model and seed")
    parser.add_argument("--model", type=Path, required=True, help="of the first seed")
    parser.add_argument("--activation-maps", type=Path, required=True, help="of the first seed")
    parser.add_argument("--videos", type=Path, nargs="*", default=[], help="video files or folders, for pictures")
    args = parser.parse_args(argv)
    s = settings_module.parse(ActionFiguresSettings, args.settings)
    about = s.localisation
    features, models = states.by_stream(args.features), (about.model, *about.compare_with)
    predictions, histories = inputs.of_models(args, models, about.seeds, "histories")
    m = material.read(about, args.result, args.queries, args.moments, features, predictions, histories)
    files = video_files(path for path in args.videos if path.exists())
    for drawn in drawings(s, m, files, args.activation_maps):
        drawn.write(args.folder, f"{about.model} on {about.dataset}")
    groups = videos.chosen(m, s.queries)
    wanted = {shown.video_id for group in groups.values() for shown in group}
    known = {video_id: seconds for video_id, seconds in durations(m).items() if video_id in wanted}
    table = predictions[about.model, about.seeds[0]]
    active = activation.of_videos(args.model, table, features, known) if known else {}
    pictures = key_frames(s, m, files, wanted)
    for group, shown in groups.items():
        scored = bool(m.result["metrics"])
        text = videos.make(group, shown, active, about.model, pictures, s.frames, scored=scored)
        page.write(args.folder / f"videos-{group}.html", text)
    measured = costs.read(args.benchmarks, about.dataset, s.collection, m.models)
    page.write(args.folder / "costs.html", costs.make(measured, about.dataset))
    page.write(args.folder / "coverage.html", coverage.make(m.result, m.truth.data.queries))
    page.write(args.folder / "results.html", results.make(about, m.result))


if __name__ == "__main__":
    run(main)
