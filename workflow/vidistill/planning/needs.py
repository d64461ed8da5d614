"""Files and folders that a run needs, and messages for missing ones. Neither PyTorch nor NumPy."""

import json
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vidistill.base.settings import Section, parse
from vidistill.base.stage import UserError
from vidistill.planning import downloads
from vidistill.planning.plan import Plan
from vidistill.settings import emtm, mmdist

TRAINING: dict[str, type[Section]] = {"mmdist": mmdist.TrainSettings, "emtm": emtm.TrainSettings}
STREAM_FILES = ("weights", "mean", "pca", "source")  # keys of a stream that name a file


class Need(NamedTuple):
    """A file or folder that a run needs."""

    path: str
    key: str  # of the configuration
    get_from: str | None
    instead: str = "correct the key"


def lacks(plan: Plan, dataset: str, models: Iterable[str]) -> list[str]:
    """One message per missing file or folder that these models need on a data set, or per model whose settings do not
    fit each other there."""
    models = list(models)
    if unfit := [message for model in models for message in _unfit(plan, dataset, model)]:
        return unfit
    collection = plan.collection(dataset)
    needs = [*annotation_files(plan, dataset), *_word_vectors(plan, dataset)]
    for stream in dict.fromkeys(plan.stream(dataset, role) for role in plan.roles(models)):
        needs += _stream_files(plan, collection, stream)
    needs += [need for model in models for need in _tables_from_elsewhere(plan, dataset, model)]
    return [
        f"{need.path} is missing (set by {need.key}); {_remedy(plan, need, (dataset, collection))}."
        for need in dict.fromkeys(needs)
        if not os.path.exists(need.path)
    ]


def _unfit(plan: Plan, dataset: str, model: str) -> Iterator[str]:
    """What only the settings of all layers together tell, as training would say it."""
    try:
        parse(TRAINING[plan.method(model)], json.dumps(plan.train(dataset, model, 0)))
    except UserError as error:
        yield f"configuration, {model} on {dataset}: {str(error).removeprefix('TrainSettings: ')}"


def _remedy(plan: Plan, need: Need, preferred: tuple[str, ...]) -> str:
    """What to do about a missing file. `preferred` names downloads that fetch related files, too."""
    command = downloads.command(plan.config.get("downloads", {}), need.path, preferred)
    remedies = [f"fetch it with `{command}`"] if command else []
    remedies += [f"get it from {need.get_from}"] if need.get_from else []
    return f"{', '.join(remedies)}, or {need.instead}" if remedies else need.instead


def annotation_files(plan: Plan, dataset: str) -> Iterator[Need]:
    """The files of annotations and durations; none if the workflow makes them."""
    if plan.is_drawn(plan.collection(dataset)):
        return
    about, settings = plan.datasets[dataset], plan.queries(dataset)
    files = {"annotations": [f for names in settings["annotations"].values() for f in names]}
    for key, names in {**files, "durations": settings["durations"]}.items():
        for name in names:
            yield Need(name, f"datasets.{dataset}.{key}", about.get("get_from"))


def _word_vectors(plan: Plan, dataset: str) -> Iterator[Need]:
    if path := plan.vocabulary(dataset)["word_vectors"]:
        is_own = "word_vectors" in plan.datasets[dataset].get("vocabulary", {})
        key = f"datasets.{dataset}.vocabulary.word_vectors" if is_own else "vocabulary.word_vectors"
        yield Need(path, key, "https://nlp.stanford.edu/projects/glove", "set the key to null to learn vectors")


def _stream_files(plan: Plan, collection: str, stream: str) -> Iterator[Need]:
    about = plan.collections[collection]["streams"][stream]
    settings = plan.features(collection, stream)
    if not plan.is_extracted(collection, stream) and not settings["source"]:
        raise UserError(
            f"configuration, collections.{collection}.streams.{stream}: the extractor 'external' needs "
            "existing features; set their file or folder as source."
        )
    for key, path in settings.items():
        if key in STREAM_FILES and path:
            owner = f"collections.{collection}.streams.{stream}" if key in about else about["extractor"]
            yield Need(path, f"{owner}.{key}", about.get("get_from"))
    if plan.is_extracted(collection, stream) and not plan.is_drawn(collection):
        about = plan.collections[collection]
        if "videos" not in about:
            raise UserError(
                f"configuration, collections.{collection}: its stream {stream!r} is made from videos; set their "
                "folder as videos, or read existing features (extractor: external)."
            )
        yield Need(about["videos"], f"collections.{collection}.videos", about.get("get_from"))


def _tables_from_elsewhere(plan: Plan, dataset: str, model: str) -> Iterator[Need]:
    tables = plan.tables_of_teachers(dataset, model)
    for teacher in plan.elsewhere(model):
        for table in tables:
            for seed in plan.seeds(dataset):
                yield Need(teacher[table].replace("{seed}", str(seed)), f"models.{model}.teachers", None)
