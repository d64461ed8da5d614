"""Stage `evaluate`: compare predictions with moments; metrics, confidence intervals, baselines, coverage."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import model_validator

from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.settings import Several
from vidistill.base.stage import UserError, run
from vidistill.base.wording import plural
from vidistill.evaluation import (
    bootstrap,
    cost,
    coverage,
    inputs,
    metrics,
    predictions,
    retrieval,
    summary,
    terminal,
    video_free,
)
from vidistill.evaluation.inputs import DataSet, Files, Training
from vidistill.evaluation.predictions import Answers, Scored
from vidistill.evaluation.summary import Seeds
from vidistill.features import states
from vidistill.features.availability import Videos, check_bad, sort_videos
from vidistill.settings.evaluate import EvaluateSection

log = logging.getLogger(__name__)
# The numbers of a result without a query that can be scored.
NO_NUMBERS: dict[str, Any] = {
    "metrics": None,
    "comparisons": {},
    "video_free": {"constant": None, "whole_video": None},
    "constant_intervals": None,
    "rules": dict.fromkeys(summary.OTHER_RULES),
    "selection": None,
}


class EvaluateSettings(EvaluateSection):
    dataset: str
    model: str
    compare_with: tuple[str, ...]  # models, compared query by query
    seeds: Several[int]
    max_bad_share: float

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.oracle_metric not in self.names:
            raise UserError(
                f"evaluate.oracle_metric is {self.oracle_metric!r}; supported values are {', '.join(self.names)}."
            )
        return self

    @property
    def names(self) -> list[str]:
        """Names of the metrics."""
        return metrics.names(self.thresholds, self.window_tious)

    def intervals(self, values: np.ndarray) -> np.ndarray | None:
        """`bootstrap.intervals` with these settings: (N, M) -> (M, 2)."""
        return bootstrap.intervals(values, self.bootstrap_samples, self.confidence, self.bootstrap_seed)


def evaluate(
    s: EvaluateSettings, files: Files, measured: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result, and the first seed's answers in the JSON-lines format of the field's evaluators.

    If no query can be scored, the result has no numbers.

    Args:
        measured: of the models, from `cost.read`.

    Raises:
        UserError: files do not match, or too many videos are bad.
    """
    trainings = {model: inputs.read_trainings(files, model) for model in (s.model, *s.compare_with)}
    training = trainings[s.model][s.seeds[0]]
    data = DataSet(
        inputs.read_queries(files.queries),
        inputs.read_moments(files.moments),
        {name: states.read(name, shards) for name, shards in files.features.items()},
    )
    videos = sort_videos(data.queries["video_id"], training.select(data.features))
    check_bad(videos, s.max_bad_share)
    scored, answers = {}, {}
    for model, seeds in trainings.items():
        scored[model], answers[model] = read_seeds(s, files, model, data, next(iter(seeds.values())).train_splits)
    check_same(s.model, answers)
    covered = cover(s, files, data, training, videos)
    ours = scored[s.model]
    result = {
        "dataset": s.dataset,
        "split": s.split,
        "model": s.model,
        "seeds": list(s.seeds),
        "queries": len(next(iter(ours.values())).query_ids) if ours else 0,
        **(numbers(s, files, data, training, scored) if ours else NO_NUMBERS),
        "retrieval": retrieval.describe(s, files.retrievals, trainings),
        "answered": answers[s.model].count(),
        "unanswered": coverage.unanswered(data, s.split, ours, s.names) if "predictions" in training.facts else None,
        "coverage": covered,
        "features": {name: states.describe(stream) for name, stream in data.features.items()},
        "models": inputs.describe(trainings),
        "efficiency": measured,
        "settings": s.model_dump(),
        "versions": store.versions("h5py", "numpy", "pandas", "pyarrow"),
    }
    return result, predictions.json_lines(answers[s.model], data.queries)


def numbers(
    s: EvaluateSettings, files: Files, data: DataSet, training: Training, scored: Mapping[str, Seeds]
) -> dict[str, Any]:
    """The part of the result that needs queries with moments."""
    ours = scored[s.model]
    measured = summary.by_rule(ours, "score", s.names)
    assert measured is not None  # every model has scores
    summary.add_intervals(measured, ours, s.intervals)
    baselines, constants = without_video(s, data, training.train_splits, next(iter(ours.values())).query_ids)
    comparisons = {"video_free": against_baselines(s, ours, baselines)}
    comparisons |= {other: against_model(s, ours, scored[other], other) for other in s.compare_with}
    histories = {seed: store.read_table(path) for (model, seed), path in files.histories.items() if model == s.model}
    return {
        "metrics": measured,
        "comparisons": comparisons,
        "video_free": {
            name: None if values is None else summary.means(values, s.names) for name, values in baselines.items()
        },
        "constant_intervals": constants,
        "rules": {rule: summary.by_rule(ours, rule, s.names) for rule in summary.OTHER_RULES},
        "selection": summary.selection(ours, histories, s.names, s.oracle_metric) if histories else None,
    }


def cover(s: EvaluateSettings, files: Files, data: DataSet, training: Training, videos: Videos) -> dict[str, Any]:
    """The coverage section of the result."""
    outcome = coverage.outcomes(
        data.queries,
        videos,
        training.wordless,
        split=s.split,
        predicted=predictions.read_ids(files.predictions[s.model, s.seeds[0]], s.split),
        with_moment=data.targets.keys(),
    )
    problems = pd.read_csv(files.problems, dtype=str, keep_default_na=False)
    return coverage.describe(
        data, outcome, problems, videos, split=s.split, learned=training.train_splits, cap=s.list_at_most
    )


def read_seeds(
    s: EvaluateSettings, files: Files, model: str, data: DataSet, learned: Sequence[str]
) -> tuple[dict[int, Scored], Answers]:
    """A model's scored seeds, all on the same queries (empty if no query has a moment), and the first seed's answers.

    Raises:
        UserError: seeds predict different queries, or queries of another data set.
    """
    scored: dict[int, Scored] = {}
    seeds = files.seeds(model)
    read = {seed: predictions.read(files.predictions[model, seed], s.split, learned) for seed in seeds}
    in_split, first = read[seeds[0]]
    for seed, (found, answers) in read.items():
        path = files.predictions[model, seed]
        if not answers.query_ids.isin(data.queries["query_id"]).all():
            raise UserError(f"{path} has queries that {files.queries} lacks; train {model} on this data set.")
        same = found.query_ids.equals(in_split.query_ids) if found and in_split else found is in_split
        if not same or not answers.query_ids.equals(first.query_ids):
            raise UserError(f"{path} has other queries than seed {seeds[0]}; make it again.")
        if found and (beside := predictions.score(found, data.targets, s.thresholds, s.vote_weight, s.window_tious)):
            scored[seed] = beside
    return scored, first


def check_same(model: str, answers: Mapping[str, Answers]) -> None:
    """Warn about compared models that do not answer all queries of `model`."""
    ours = answers[model].query_ids
    for other, theirs in answers.items():
        if lacking := len(ours.difference(theirs.query_ids)):
            log.warning("%s does not answer %d of the %s of %s", other, lacking, plural(len(ours), "query"), model)


def without_video(
    s: EvaluateSettings, data: DataSet, train_splits: Sequence[str], query_ids: pd.Index
) -> tuple[dict[str, np.ndarray | None], dict[str, list[float]] | None]:
    """The video-free baselines on the evaluated queries, (N, M) percent each, and the constant intervals per metric.

    The constant baseline and its intervals are None if the training splits have no moments.
    """
    moments = data.normalised(query_ids)
    whole = video_free.whole_video_per_query(moments, s.thresholds)
    in_training = data.queries["split"].isin(train_splits) & data.queries["query_id"].isin(data.targets.keys())
    train_ids = pd.Index(data.queries.loc[in_training, "query_id"])
    train_ids = train_ids[data.durations(train_ids) > 0]  # unknown for a bad video without annotated duration
    if train_ids.empty:
        log.warning("the training split has no moments, so the constant interval cannot be fitted")
        return {"constant": None, "whole_video": whole}, None
    fitted = video_free.fit_constant(data.normalised(train_ids), s.thresholds, s.constant_steps)
    constant = video_free.constant_per_query(moments, fitted, s.thresholds)
    names = metrics.names(s.thresholds, best_of=False)
    intervals = {name: [summary.number(x) for x in fitted[m]] for m, name in enumerate(names)}
    return {"constant": constant, "whole_video": whole}, intervals


def against_baselines(s: EvaluateSettings, ours: Seeds, baselines: Mapping[str, np.ndarray | None]) -> dict[str, Any]:
    """Compare the model with the best video-free baseline, chosen per metric."""
    there = {name: values for name, values in baselines.items() if values is not None}
    stacked = np.stack(list(there.values()))  # (B, N, M)
    best = stacked.mean(axis=1).argmax(axis=0)
    theirs = stacked[best, :, np.arange(stacked.shape[2])].T
    names = metrics.names(s.thresholds, best_of=False)
    query_ids = next(iter(ours.values())).query_ids
    values = summary.over_queries(ours, query_ids)[:, : len(names)]
    each = np.stack(list(summary.by_seed(ours, query_ids).values()))[:, : len(names)] - theirs.mean(axis=0)
    compared = summary.compare(values, theirs, names, s.intervals, each, s.confidence)
    for m, name in enumerate(names):
        compared[name]["baseline"] = list(there)[best[m]]
    return {"queries": len(query_ids), "metrics": compared}


def against_model(s: EvaluateSettings, ours: Seeds, theirs: Seeds, other: str) -> dict[str, Any]:
    """Compare the model with another, on the scored queries that both predict; empty if there are none."""
    query_ids = next(iter(ours.values())).query_ids
    query_ids = query_ids.intersection(next(iter(theirs.values())).query_ids if theirs else [])
    if query_ids.empty:
        log.warning("%s and %s have no scored query in common; they are not compared", s.model, other)
        compared = {}
    else:
        values = [summary.over_queries(seeds, query_ids) for seeds in (ours, theirs)]
        found, others = summary.by_seed(ours, query_ids), summary.by_seed(theirs, query_ids)
        each = np.array([found[seed] - others[seed] for seed in found if seed in others])
        each = each.reshape(-1, len(s.names))
        compared = summary.compare(values[0], values[1], s.names, s.intervals, each, s.confidence)
    alone = summary.by_rule(theirs, "score", s.names) if theirs else {}
    return {"queries": len(query_ids), "metrics": compared, "alone": alone}


def main(argv: Sequence[str] | None = None) -> None:
    args = inputs.arguments(__doc__, "--efficiency", "--result", "--predictions-out").parse_args(argv)
    settings = settings_module.parse(EvaluateSettings, args.settings)
    models = (settings.model, *settings.compare_with)
    files = inputs.files(args, models, settings.seeds)
    result, lines = evaluate(settings, files, cost.read(args.efficiency, files.trained))
    with store.atomic(args.predictions_out) as temporary:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        temporary.write_text(text, encoding="utf-8")
    store.write_json(args.result, result)
    log.info("%s", "\n".join(terminal.lines(result)))  # at once, so that columns stay aligned


if __name__ == "__main__":
    run(main)
