"""Input files of an evaluation: files by model and seed, metadata of models, moments."""

import argparse
import itertools
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidistill.base import stage, store
from vidistill.base.stage import UserError
from vidistill.data import labels
from vidistill.evaluation import doubts, predictions, video_free
from vidistill.features import states
from vidistill.features.states import Stream

Labelled = Mapping[tuple[str, int], Path]  # (model, seed) -> file
EXTERNAL = "external"  # key of the metadata of predictions that were made elsewhere, see stage external_predictions


@dataclass(frozen=True)
class Files:
    """The stage's input files."""

    queries: Path
    moments: Path
    problems: Path
    features: Mapping[str, Sequence[Path]]  # stream -> shards
    predictions: Labelled
    models: Labelled  # these and histories of trained models alone
    histories: Labelled
    retrievals: Labelled = field(default_factory=dict)  # of some models

    @property
    def trained(self) -> set[str]:
        """The models that this workflow trained."""
        return {model for model, _ in self.models}

    def seeds(self, model: str) -> list[int]:
        """The seeds of a model's predictions."""
        return sorted(seed for name, seed in self.predictions if name == model)


@dataclass(frozen=True)
class Training:
    """Metadata of a trained model, or of predictions that were made elsewhere."""

    streams: tuple[str, ...]
    train_splits: tuple[str, ...]
    wordless: frozenset[str]  # ids of queries without a word of its vocabulary
    moments: int | None  # training moments that were read, if that is known
    facts: dict[str, Any]  # supervision, settings, code, versions
    sha256: str  # of the weights, or of the file of predictions

    def select(self, features: Mapping[str, Stream]) -> dict[str, Stream]:
        """The streams that the model reads.

        Raises:
            UserError: a stream is missing.
        """
        if lacking := [name for name in self.streams if name not in features]:
            raise UserError(f"the model reads the stream {lacking[0]!r}; give its files with --features.")
        return {name: features[name] for name in self.streams}


@dataclass(frozen=True)
class DataSet:
    """Queries, moments and features, without predictions."""

    queries: pd.DataFrame
    targets: Mapping[str, np.ndarray]  # query id -> (G, 2) seconds
    features: Mapping[str, Stream]

    @cached_property
    def known_durations(self) -> dict[str, float]:
        """Video -> seconds that its features cover, where known."""
        return states.file_durations(stream.durations for stream in self.features.values())

    @property
    def slack(self) -> float:
        """Seconds by which features may differ from a video's end: one row, if rows determine the duration."""
        ways = [way for stream in self.features.values() for way in stream.provenances]
        steps = [way.get("settings", {}).get("seconds_per_row") or 0.0 for way in ways]
        return max([doubts.SLACK, *steps])

    def durations(self, query_ids: pd.Index) -> np.ndarray:
        """(N,) seconds of the queries' videos; NaN if neither features nor annotations give them."""
        rows = self.queries.set_index("query_id").loc[query_ids]
        known = rows["video_id"].map(self.known_durations)
        return known.fillna(rows["duration"]).to_numpy(dtype=np.float64)

    def normalised(self, query_ids: pd.Index) -> np.ndarray:
        """(N, G, 2) moments as shares of their videos' durations.

        Raises:
            UserError: a duration is unknown.
        """
        durations = self.durations(query_ids)
        if len(unknown := query_ids[~(durations > 0)]):
            raise UserError(f"the duration of query {unknown[0]}'s video is unknown; add it to the annotations.")
        return video_free.normalise(predictions.pad([self.targets[q] for q in query_ids]), durations)


def arguments(description: str | None, *others: str) -> argparse.ArgumentParser:
    """A parser with the options that name `Files`, and `others` that name a file each."""
    parser = stage.arguments(description)
    for option in ("--queries", "--moments", "--problems", *others):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--features", nargs="*", default=[], help="STREAM=H5, every shard of every stream")
    parser.add_argument("--predictions", nargs="+", required=True, help="MODEL:SEED=FILE, every model and seed")
    for option in ("--models", "--histories"):
        parser.add_argument(option, nargs="*", default=[], help="MODEL:SEED=FILE, every trained model and seed")
    parser.add_argument("--retrievals", nargs="*", default=[], help="the same of models that are compared with videos")
    return parser


def files(args: argparse.Namespace, models: Sequence[str], seeds: Sequence[int]) -> Files:
    """The files that arguments name, of these models.

    Args:
        seeds: of the first model; the others may have other ones.

    Raises:
        UserError: see `labelled`; or a trained model's file is missing.
    """
    predictions, trained, histories = of_models(args, models, seeds, "models", "histories")
    return Files(
        args.queries,
        args.moments,
        args.problems,
        states.by_stream(args.features),
        predictions,
        trained,
        histories,
        by_label("--retrievals", args.retrievals),
    )


def of_models(args: argparse.Namespace, models: Sequence[str], seeds: Sequence[int], *others: str) -> list[Labelled]:
    """The predictions of models, and `others`, options that name files which trained ones have beside these.

    Args:
        seeds: of the first model; all others have those that they have predictions of.

    Raises:
        UserError: see `by_label`; or a file is missing.
    """
    given = by_label("--predictions", args.predictions)
    own = [(models[0], seed) for seed in seeds]
    theirs = [key for key in given if key[0] in models[1:]]
    for model in models[1:]:
        _check("--predictions", [name for name, _ in given], model, (model, seeds[0]))
    for key in own:
        _check("--predictions", given, key, key)
    predictions = {key: given[key] for key in [*own, *theirs]}
    trained = [key for key, path in predictions.items() if read_external(path) is None]
    found: list[Labelled] = [predictions]
    for option in others:
        files = by_label(f"--{option}", getattr(args, option))
        for key in trained:
            _check(f"--{option}", files, key, key)
        found.append({key: files[key] for key in trained})
    return found


def read_external(path: Path) -> dict[str, Any] | None:
    """What stage `external_predictions` stored with a table; None for predictions of a trained model."""
    text = store.read_metadata(path).get(EXTERNAL)
    return None if text is None else dict(json.loads(text))


def read_trainings(files: Files, model: str) -> dict[int, Training]:
    """Seed -> metadata of a model.

    Raises:
        UserError: a file is not a model of this workflow.
    """
    return {
        seed: read_training(files.models[model, seed])
        if (model, seed) in files.models
        else of_external(files.predictions[model, seed])
        for seed in files.seeds(model)
    }


def describe(trainings: Mapping[str, Mapping[int, Training]]) -> dict[str, dict[str, Any]]:
    """The models of a result."""
    return {
        model: {
            **next(iter(seeds.values())).facts,
            "training_moments": {str(seed): one.moments for seed, one in seeds.items()},
            "sha256": {str(seed): one.sha256 for seed, one in seeds.items()},
        }
        for model, seeds in trainings.items()
    }


def of_external(path: Path) -> Training:
    """What is known of predictions that were made elsewhere."""
    about = read_external(path)
    assert about is not None
    settings, supervision = about.pop("settings"), about.pop("supervision")
    facts = {"supervision": supervision, "settings": settings, "predictions": about}
    return Training((), tuple(settings["train_splits"]), frozenset(), None, facts, about["sha256"])


def read_training(path: Path) -> Training:
    """Metadata and digest of a `model.safetensors`.

    Raises:
        UserError: the file is not a model of this workflow.
    """
    try:
        metadata = store.read_model_metadata(path)
        vocabulary = json.loads(metadata.get("vocabulary", "{}"))  # a model of labels has none
        facts = {
            "supervision": metadata.get("supervision", "weak"),
            "settings": json.loads(metadata["settings"]),
            "code": metadata["code"],
            "versions": json.loads(metadata["versions"]),
        }
        return Training(
            streams=tuple(facts["settings"]["streams"]),
            train_splits=tuple(facts["settings"]["train_splits"]),
            wordless=frozenset(q["query_id"] for q in vocabulary.get("excluded_queries", ())),
            moments=int(metadata.get("training_moments", 0)),
            facts=facts,
            sha256=store.file_digest(path),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not a model of this workflow ({error!r}); train it again.") from error


def read_queries(path: Path) -> pd.DataFrame:
    """The queries: query_id, video_id, split, duration and sentence, which of a label is its words."""
    columns = ["query_id", "video_id", "split", "duration", "sentence", "label"]
    return labels.with_sentences(store.read_table(path, columns)).drop(columns="label")


def read_moments(path: Path) -> dict[str, np.ndarray]:
    """Query id -> its (G, 2) moments in seconds."""
    table = store.read_table(path, ["query_id", "start", "end"]).sort_values(["query_id", "start", "end"])
    first = np.flatnonzero(~table["query_id"].duplicated().to_numpy())
    moments = np.split(table[["start", "end"]].to_numpy(dtype=np.float64), first[1:])
    return dict(zip(table["query_id"].iloc[first], moments, strict=True)) if len(first) else {}


def labelled(option: str, items: Iterable[str], models: Iterable[str], seeds: Iterable[int]) -> Labelled:
    """`MODEL:SEED=FILE` arguments by (model, seed).

    Raises:
        UserError: an argument has a different form, or the file of a model's seed is missing.
    """
    files = by_label(option, items)
    for key in itertools.product(models, seeds):
        _check(option, files, key, key)
    return files


def by_label(option: str, items: Iterable[str]) -> Labelled:
    """`MODEL:SEED=FILE` arguments by (model, seed).

    Raises:
        UserError: an argument has a different form.
    """
    files = {}
    for item in items:
        label, _, path = item.partition("=")
        model, _, seed = label.rpartition(":")
        if not path or not model or not seed.isdecimal():
            raise UserError(f"{option} {item} is not of the form MODEL:SEED=FILE; correct it.")
        files[model, int(seed)] = Path(path)
    return files


def _check(option: str, files: Collection[Any], wanted: object, key: tuple[str, int]) -> None:
    if wanted not in files:
        raise UserError(f"{option} has no file for model {key[0]!r}, seed {key[1]}; add {key[0]}:{key[1]}=FILE.")
