"""Stage `localisation`: compare predicted segments of actions with the annotated ones: mean average precision,
confidence intervals, baselines, coverage."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.stage import UserError, run
from vidistill.evaluation import cost, coverage, detected, inputs, summary, terminal
from vidistill.evaluation import localisation_numbers as numbers
from vidistill.evaluation.inputs import DataSet, Files, Labelled, Training
from vidistill.evaluation.localisation_numbers import Seeds
from vidistill.evaluation.truth import Truth
from vidistill.features import states
from vidistill.features.availability import Videos, check_bad, sort_videos
from vidistill.settings.localisation import LocalisationSettings

log = logging.getLogger(__name__)
EXCLUDED, NO_LABEL = "excluded by exclude_videos", "no label"
# The numbers of a result without a segment that can be found.
NO_NUMBERS: dict[str, Any] = {
    **{"metrics": None, "classes": {}, "streams": {}, "wtalc": None, "comparisons": {}, "video_free": None},
    **{"fitted": None, "selection": None},
}


def evaluate(s: LocalisationSettings, files: Files, measured: Mapping[str, Any]) -> dict[str, Any]:
    """The result. If no predicted video has segments, it has no numbers.

    Args:
        measured: of the models, from `cost.read`.

    Raises:
        UserError: files do not match, or too many videos are bad.
    """
    trainings = {model: inputs.read_trainings(files, model) for model in (s.model, *s.compare_with)}
    training = trainings[s.model][s.seeds[0]]
    data = read_data(files.queries, files.moments, files.features)
    videos = sort_videos(data.queries["video_id"], training.select(data.features))
    check_bad(videos, s.max_bad_share)
    truth = Truth(s, data)
    found = {model: read_seeds(s, files.predictions, model, truth) for model in trainings}
    scored = numbers.scored_videos([found[s.model]], s.exclude_videos)
    segments = truth.of(scored)
    return {
        **{"dataset": s.dataset, "task": "localization", "split": s.split, "model": s.model, "seeds": list(s.seeds)},
        "videos": len(scored),
        "queries": len(segments[["video_id", "label"]].drop_duplicates()),
        "segments": len(segments),
        **(NO_NUMBERS if segments.empty else score(s, files, training, truth, found)),
        "classification": numbers.classification(s, truth, found[s.model], scored),
        "coverage": cover(s, files, data, training, videos, scored),
        "features": {name: states.describe(stream) for name, stream in data.features.items()},
        "models": inputs.describe(trainings),
        "efficiency": measured,
        "settings": s.model_dump(),
        "versions": store.versions("h5py", "numpy", "pandas", "pyarrow"),
    }


def read_data(queries: Path, moments: Path, features: Mapping[str, Sequence[Path]]) -> DataSet:
    """The data set; a query's sentence is its label, empty for a video without labels.

    Args:
        features: stream -> shards.
    """
    table = store.read_table(queries, ["query_id", "video_id", "split", "duration", "label"])
    return DataSet(
        table.assign(sentence=table["label"].fillna("")),
        inputs.read_moments(moments),
        {name: states.read(name, shards) for name, shards in features.items()},
    )


def read_seeds(s: LocalisationSettings, predictions: Labelled, model: str, truth: Truth) -> Seeds:
    """A model's predictions by seed, all of the same videos; empty if it predicts no video of the split.

    Raises:
        UserError: seeds predict different videos, or videos of another data set.
    """
    read = {
        seed: detected.read(predictions[model, seed], s.split)
        for seed in sorted(n for m, n in predictions if m == model)
    }
    first = next(iter(read.values()))
    found = {seed: one for seed, one in read.items() if one is not None}
    for seed, one in read.items():
        path = predictions[model, seed]
        if (one and one.videos) != (first and first.videos):
            raise UserError(f"{path} has other videos than seed {min(read)}; make it again.")
        if one is not None and not one.videos <= truth.videos:
            raise UserError(f"{path} has videos that the data set lacks; train {model} on this data set.")
    return found


def score(
    s: LocalisationSettings, files: Files, training: Training, truth: Truth, found: Mapping[str, Seeds]
) -> dict[str, Any]:
    """The part of the result that needs segments in predicted videos."""
    ours, videos = found[s.model], numbers.scored_videos([found[s.model]], s.exclude_videos)
    measured = truth.measure(numbers.last(ours), videos)
    sizes = numbers.fit(s, truth, training.train_splits)
    baselines = {
        name: truth.measure([table], videos) for name, table in numbers.without_video(truth, videos, sizes).items()
    }
    comparisons = {"video_free": numbers.against_baselines(s, measured, baselines, len(truth.of(videos)), len(videos))}
    for other in s.compare_with:
        comparisons[other] = numbers.against_model(s, truth, ours, measured, found[other], other)
    histories = {seed: store.read_table(path) for (model, seed), path in files.histories.items() if model == s.model}
    return {
        "metrics": numbers.over_seeds(s, measured, ours, s.names),
        "classes": numbers.by_class(s, truth, ours, videos),
        "streams": numbers.by_stream(s, truth, ours, videos),
        "wtalc": None if s.wtalc_rate is None else numbers.by_wtalc(s, truth, ours, sizes),
        "comparisons": comparisons,
        "video_free": {name: summary.means(one.values, s.names) for name, one in baselines.items()},
        "fitted": sizes,
        "selection": numbers.select(s, truth, ours, histories, videos) if histories else None,
    }


def cover(
    s: LocalisationSettings, files: Files, data: DataSet, training: Training, videos: Videos, scored: Sequence[str]
) -> dict[str, Any]:
    """The coverage section of the result."""
    in_scored = data.queries["video_id"].isin(scored)
    outcome = coverage.outcomes(
        data.queries,
        videos,
        frozenset(),
        split=s.split,
        predicted=set(data.queries.loc[in_scored, "query_id"]),
        with_moment=data.targets.keys(),
    )
    excluded = (data.queries["split"] == s.split) & data.queries["video_id"].isin(s.exclude_videos)
    unlabelled = data.queries["label"].isna() & outcome.isin([coverage.USED, coverage.NO_MOMENT])
    outcome = outcome.mask(unlabelled, NO_LABEL).mask(excluded & ~in_scored, EXCLUDED)
    problems = pd.read_csv(files.problems, dtype=str, keep_default_na=False)
    return coverage.describe(
        data, outcome, problems, videos, split=s.split, learned=training.train_splits, cap=s.list_at_most
    )


def main(argv: Sequence[str] | None = None) -> None:
    args = inputs.arguments(__doc__, "--efficiency", "--output").parse_args(argv)
    settings = settings_module.parse(LocalisationSettings, args.settings)
    models = (settings.model, *settings.compare_with)
    files = inputs.files(args, models, settings.seeds)
    result = evaluate(settings, files, cost.read(args.efficiency, files.trained))
    store.write_json(args.output, result)
    log.info("%s", "\n".join(terminal.of_segments(result)))  # at once, so that columns stay aligned


if __name__ == "__main__":
    run(main)
