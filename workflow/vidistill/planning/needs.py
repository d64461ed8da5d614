"""Files and folders that a run needs, and messages for missing ones. Neither PyTorch nor NumPy."""

import json
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vidistill.base.settings import Section, parse
from vidistill.base.stage import UserError
from vidistill.planning import downloads, effects
from vidistill.planning.plan import Plan
from vidistill.settings import emtm, mmdist, mmsd

TRAINING: dict[str, type[Section]] = {
    "mmdist": mmdist.TrainSettings,
    "emtm": emtm.TrainSettings,
    "mmsd": mmsd.TrainSettings,
}
STREAM_FILES = ("weights", "mean", "pca", "config", "source")  # keys of a stream that name a file


class Need(NamedTuple):
    """A file or folder that a run needs."""

    path: str
    key: str  # of the configuration
    get_from: str | None
    instead: str = "correct the key"


def lacks(plan: Plan, dataset: str, models: Iterable[str]) -> list[str]:
    """One message per missing file or folder that these models need on a data set, or on what does not fit there: the
    task of models, or settings of a model."""
    models = list(models)
    if other_task := list(_of_another_task(plan, dataset, models)):
        return other_task
    if unfit := [message for model in models for message in _unfit(plan, dataset, model)]:
        return unfit
    collection = plan.collection(dataset)
    needs = [*annotation_files(plan, dataset)]
    if models and all(map(plan.finds_segments, models)):
        needs += _ambiguous(plan, dataset, models[0])
    elif not models or not all(map(plan.is_external, models)):
        needs += _word_vectors(plan, dataset)
    for stream in dict.fromkeys(plan.stream(dataset, role) for role in plan.roles(models)):
        needs += _stream_files(plan, collection, stream)
    needs += [need for model in models for need in _tables_from_elsewhere(plan, dataset, model)]
    needs += [
        need for model in models if plan.is_external(model) for need in _external_predictions(plan, dataset, model)
    ]
    return [
        f"{need.path} is missing (set by {need.key}); {_remedy(plan, need, (dataset, collection))}."
        for need in dict.fromkeys(needs)
        if not os.path.exists(need.path)
    ]


def _of_another_task(plan: Plan, dataset: str, models: Iterable[str]) -> Iterator[str]:
    task, models = plan.datasets[dataset]["task"], list(models)
    of_segments = [model for model in models if plan.is_external(model) and plan.finds_segments(model)]
    if of_segments and task == "grounding":
        yield (
            f"configuration, {', '.join(of_segments)} on {dataset}: they are segments of labels, and the data set has "
            "sentences (task: grounding); ask for another data set."
        )
    if unfit := [m for m in models if not plan.is_external(m) and task not in effects.TASKS[plan.method(m)]]:
        learn, has = ("labels", "sentences") if task == "grounding" else ("sentences", "labels")
        fitting = " or ".join(method for method in effects.METHODS if task in effects.TASKS[method])
        yield (
            f"configuration, {', '.join(unfit)} on {dataset}: they learn from {learn}, and the data set has {has} "
            f"(task: {task}); ask for another data set, or for a model of method {fitting}."
        )


def _unfit(plan: Plan, dataset: str, model: str) -> Iterator[str]:
    """What only the settings of all layers together tell, as training would say it."""
    if plan.is_external(model):
        return
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
    if plan.vocabulary(dataset)["text_encoder"]:
        yield from _text_encoder(plan, dataset)
        return
    if path := plan.vocabulary(dataset)["word_vectors"]:
        is_own = "word_vectors" in plan.datasets[dataset].get("vocabulary", {})
        key = f"datasets.{dataset}.vocabulary.word_vectors" if is_own else "vocabulary.word_vectors"
        yield Need(path, key, "https://nlp.stanford.edu/projects/glove", "set the key to null to learn vectors")


def _text_encoder(plan: Plan, dataset: str) -> Iterator[Need]:
    if plan.vocabulary(dataset)["word_vectors"]:
        raise UserError(
            f"configuration, {dataset}: vocabulary has both word_vectors and text_encoder, and words have one vector "
            f"each; set datasets.{dataset}.vocabulary.word_vectors or text_encoder to null."
        )
    is_own = "text_encoder" in plan.datasets[dataset].get("vocabulary", {})
    key = f"datasets.{dataset}.vocabulary.text_encoder" if is_own else "vocabulary.text_encoder"
    for name, path in plan.encode_words(dataset).items():
        if name in STREAM_FILES and path:
            yield Need(path, f"{key}.{name}", None)


def _ambiguous(plan: Plan, dataset: str, model: str) -> Iterator[Need]:
    if path := plan.localisation(dataset, model)["ambiguous"]:
        own = "ambiguous" in plan.datasets[dataset].get("localisation", {})
        key = f"datasets.{dataset}.localisation.ambiguous" if own else "localisation.ambiguous"
        yield Need(path, key, plan.datasets[dataset].get("get_from"), "set the key to null")


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


def _external_predictions(plan: Plan, dataset: str, model: str) -> Iterator[Need]:
    for seed in plan.seeds_of(dataset, model):
        yield Need(plan.external_file(dataset, model, seed), f"models.{model}.predictions", None)


def _tables_from_elsewhere(plan: Plan, dataset: str, model: str) -> Iterator[Need]:
    if not plan.elsewhere(model):
        return
    tables = plan.tables_of_teachers(dataset, model)
    for teacher in plan.elsewhere(model):
        for table in tables:
            for seed in plan.seeds(dataset):
                yield Need(teacher[table].replace("{seed}", str(seed)), f"models.{model}.teachers", None)
