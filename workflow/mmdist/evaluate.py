"""Stage `evaluate`: predictions beside moments, and what the numbers are worth."""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdist import settings as settings_module
from mmdist import store, streams
from mmdist.evaluation import bootstrap, coverage, inputs, metrics, predictions, summary, terminal, video_free
from mmdist.evaluation.inputs import DataSet, Files, Training
from mmdist.evaluation.predictions import Scored
from mmdist.evaluation.ranking import VoteWeight
from mmdist.evaluation.summary import Seeds
from mmdist.stage import UserError, arguments, run
from mmdist.videos import check_bad, sort_videos

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateSettings:
    dataset: str
    model: str
    compare_with: tuple[str, ...]  # models, query by query
    seeds: tuple[int, ...]
    split: str
    thresholds: tuple[float, ...]  # m of R@m
    vote_weight: VoteWeight
    oracle_metric: str
    constant_steps: int  # of the grid on which the constant interval is searched
    bootstrap_samples: int
    bootstrap_seed: int
    confidence: float
    max_bad_share: float
    list_at_most: int  # entries of each list of videos

    def __post_init__(self) -> None:
        if not self.seeds or not self.thresholds or not all(0 < m <= 1 for m in self.thresholds):
            raise UserError("evaluate.thresholds must be in (0, 1], and seeds name one at least; correct them.")
        if self.oracle_metric not in self.names:
            raise UserError(
                f"evaluate.oracle_metric is {self.oracle_metric!r}; supported values are {', '.join(self.names)}."
            )

    @property
    def names(self) -> list[str]:
        """Of the metrics."""
        return metrics.names(self.thresholds)

    def intervals(self, values: np.ndarray) -> np.ndarray | None:
        """`bootstrap.intervals` as set: (N, M) -> (M, 2)."""
        return bootstrap.intervals(values, self.bootstrap_samples, self.confidence, self.bootstrap_seed)


def evaluate(s: EvaluateSettings, files: Files) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result, and the first seed's predictions in the JSON-lines form of the field's evaluators.

    Raises:
        UserError: files do not fit together, too many videos are bad, or there is nothing to evaluate.
    """
    trainings = {
        model: {seed: inputs.read_training(files.models[model, seed]) for seed in s.seeds}
        for model in (s.model, *s.compare_with)
    }
    training = trainings[s.model][s.seeds[0]]
    data = DataSet(
        store.read_table(files.queries, ["query_id", "video_id", "split", "duration", "sentence"]),
        inputs.read_moments(files.moments),
        {name: streams.read(name, shards) for name, shards in files.features.items()},
    )
    covered = cover(s, files, data, training)
    scored = {model: score_seeds(s, files, model, data) for model in trainings}
    ours = scored[s.model]

    measured = summary.by_rule(ours, "score", s.names)
    assert measured is not None  # every model has scores
    summary.add_intervals(measured, ours, s.intervals)
    baselines, constants = without_video(s, data, training.train_splits, next(iter(ours.values())).query_ids)
    comparisons = {"video_free": against_baselines(s, ours, baselines)}
    comparisons |= {other: against_model(s, ours, scored[other], other) for other in s.compare_with}
    histories = {seed: store.read_table(files.histories[s.model, seed]) for seed in s.seeds}
    result = {
        "dataset": s.dataset,
        "split": s.split,
        "model": s.model,
        "seeds": list(s.seeds),
        "metrics": measured,
        "comparisons": comparisons,
        "video_free": {
            name: None if values is None else summary.means(values, s.names) for name, values in baselines.items()
        },
        "constant_intervals": constants,
        "rules": {rule: summary.by_rule(ours, rule, s.names) for rule in summary.CPL_RULES},
        "selection": summary.selection(ours, histories, s.names, s.oracle_metric),
        "coverage": covered,
        "features": {name: streams.describe(stream) for name, stream in data.features.items()},
        "models": {
            model: {**seeds[s.seeds[0]].facts, "sha256": {str(seed): t.sha256 for seed, t in seeds.items()}}
            for model, seeds in trainings.items()
        },
        "settings": dataclasses.asdict(s),
        "versions": store.versions("h5py", "numpy", "pandas", "pyarrow"),
    }
    return result, predictions.json_lines(ours[s.seeds[0]], data.queries)


def cover(s: EvaluateSettings, files: Files, data: DataSet, training: Training) -> dict[str, Any]:
    """Coverage as the result shows it.

    Raises:
        UserError: too many bad videos, or no query is left.
    """
    videos = sort_videos(data.queries["video_id"], training.select(data.features))
    check_bad(videos, s.max_bad_share)
    outcome = coverage.outcomes(
        data.queries,
        videos,
        training.wordless,
        split=s.split,
        predicted=predictions.read_ids(files.predictions[s.model, s.seeds[0]], s.split),
        with_moment=data.targets.keys(),
    )
    problems = pd.read_csv(files.problems, dtype=str, keep_default_na=False)
    described = coverage.describe(data.queries, outcome, problems, videos, s.list_at_most)
    counts = described["splits"].get(s.split, {"queries": {"used": 0, "not_used": {}}})["queries"]
    if not counts["used"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts["not_used"].items()) or "it has no query"
        raise UserError(
            f"nothing to evaluate in split {s.split!r} of {s.dataset} ({reasons}); check its annotations and videos."
        )
    return described


def score_seeds(s: EvaluateSettings, files: Files, model: str, data: DataSet) -> dict[int, Scored]:
    """A model's seeds beside the moments, all on the same queries.

    Raises:
        UserError: predictions are of other queries.
    """
    in_split = data.queries.loc[data.queries["split"] == s.split, "query_id"]
    scored: dict[int, Scored] = {}
    for seed in s.seeds:
        path = files.predictions[model, seed]
        found = predictions.read(path, s.split)
        if not found.query_ids.isin(in_split).all():
            raise UserError(f"{path} predicts queries that {files.queries} lacks; train {model} on this data set.")
        scored[seed] = predictions.score(found, data.targets, s.thresholds, s.vote_weight)
        if not scored[seed].query_ids.equals(scored[s.seeds[0]].query_ids):
            raise UserError(f"{path} predicts other queries than seed {s.seeds[0]} does; train {model} again.")
    return scored


def without_video(
    s: EvaluateSettings, data: DataSet, train_splits: Sequence[str], query_ids: pd.Index
) -> tuple[dict[str, np.ndarray | None], dict[str, list[float]] | None]:
    """The video-free baselines on the evaluated queries, (N, M) percent each, and the constant intervals by metric.

    Both are None for the constant one when no moment is known in the training splits.
    """
    moments = data.normalised(query_ids)
    whole = video_free.whole_video_per_query(moments, s.thresholds)
    in_training = data.queries["split"].isin(train_splits) & data.queries["query_id"].isin(data.targets.keys())
    train_ids = pd.Index(data.queries.loc[in_training, "query_id"])
    train_ids = train_ids[data.durations(train_ids) > 0]  # a bad video's is unknown unless the annotations give it
    if train_ids.empty:
        log.warning("the training split has no moments, so there is no constant interval to compare with")
        return {"constant": None, "whole_video": whole}, None
    fitted = video_free.fit_constant(data.normalised(train_ids), s.thresholds, s.constant_steps)
    constant = video_free.constant_per_query(moments, fitted, s.thresholds)
    names = metrics.names(s.thresholds, best_of=False)
    intervals = {name: [summary.number(x) for x in fitted[m]] for m, name in enumerate(names)}
    return {"constant": constant, "whole_video": whole}, intervals


def against_baselines(s: EvaluateSettings, ours: Seeds, baselines: Mapping[str, np.ndarray | None]) -> dict[str, Any]:
    """The model beside the best video-free baseline, chosen for each metric."""
    there = {name: values for name, values in baselines.items() if values is not None}
    stacked = np.stack(list(there.values()))  # (B, N, M)
    best = stacked.mean(axis=1).argmax(axis=0)
    theirs = stacked[best, :, np.arange(stacked.shape[2])].T
    names = metrics.names(s.thresholds, best_of=False)
    query_ids = next(iter(ours.values())).query_ids
    values = summary.over_queries(ours, query_ids)[:, : len(names)]
    compared = summary.compare(values, theirs, names, s.intervals)
    for m, name in enumerate(names):
        compared[name]["baseline"] = list(there)[best[m]]
    return {"queries": len(query_ids), "metrics": compared}


def against_model(s: EvaluateSettings, ours: Seeds, theirs: Seeds, other: str) -> dict[str, Any]:
    """The model beside another one, on the queries that both predict."""
    own_ids = next(iter(ours.values())).query_ids
    query_ids = own_ids.intersection(next(iter(theirs.values())).query_ids)
    if len(query_ids) < len(own_ids):
        log.warning("%s predicts %d of the %d queries; the comparison is on these", other, len(query_ids), len(own_ids))
    if query_ids.empty:
        raise UserError(f"{s.model} and {other} predict no query in common; remove {other} from compare_with.")
    values = [summary.over_queries(seeds, query_ids) for seeds in (ours, theirs)]
    return {
        "queries": len(query_ids),
        "metrics": summary.compare(values[0], values[1], s.names, s.intervals),
        "alone": summary.by_rule(theirs, "score", s.names),
    }


def main() -> None:
    parser = arguments(__doc__)
    for option in ("--queries", "--moments", "--problems", "--result", "--predictions-out"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--features", nargs="+", required=True, help="STREAM=H5, every shard of every stream")
    for option in ("--predictions", "--models", "--histories"):
        parser.add_argument(option, nargs="+", required=True, help="MODEL:SEED=FILE, every model and seed")
    args = parser.parse_args()
    settings = settings_module.parse(EvaluateSettings, args.settings)
    models = (settings.model, *settings.compare_with)
    by_seed = {
        name: inputs.labelled(f"--{name}", getattr(args, name), models, settings.seeds)
        for name in ("predictions", "models", "histories")
    }
    files = Files(args.queries, args.moments, args.problems, streams.by_stream(args.features), **by_seed)
    result, lines = evaluate(settings, files)
    with store.atomic(args.predictions_out) as temporary:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        temporary.write_text(text, encoding="utf-8")
    store.write_json(args.result, result)
    for line in terminal.lines(result):
        log.info("%s", line)


if __name__ == "__main__":
    run(main)
