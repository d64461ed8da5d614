"""Names in a configuration: whether they can be part of a path, and whether what they refer to exists."""

import re
from collections.abc import Iterator, Sequence

from vidistill.planning import effects, supervision
from vidistill.planning.config import EXTRACTORS, Settings, merge

RESERVED = ("benchmarks", "features", "logs", "report", "tables", "videos")  # folders in results/
OF_SUBSETS = ("subsets", "labels")  # keys of a data set that the format activitynet13 alone reads
MADE_FOR = {"decode": ("frames", "flow"), "flow": ("flow",)}  # a stream's own settings, and the inputs that need them


def names(config: Settings) -> Iterator[str]:
    """A sentence for each name that cannot be part of a path."""
    streams = {
        name: f"collections.{c}.streams" for c, about in config["collections"].items() for name in about["streams"]
    }
    named = [(name, part) for part in ("models", "datasets", "collections") for name in config[part]]
    for name, where in [*named, *streams.items()]:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
            yield (
                f"configuration, {where}: the name {name!r} cannot be part of a path; "
                "use letters, digits, '-' and '.' ('_' separates model and data set)."
            )
        if where == "datasets" and name in RESERVED:
            yield f"configuration, datasets: results/{name}/ is reserved; rename {name!r}."


def owners(config: Settings) -> Iterator[str]:
    """A sentence for each parent or collection that does not exist, and for settings that contradict each other."""
    for model, about in config["models"].items():
        if "parent" in about:
            yield from _unknown(config, f"models.{model}.parent", about["parent"], "models")
    for dataset, about in config["datasets"].items():
        yield from _unknown(config, f"datasets.{dataset}.collection", about["collection"], "collections")
        formats = (about["format"], *about["formats"].values())
        for key in [key for key in OF_SUBSETS if key in about and "activitynet13" not in formats]:
            where = f"configuration, datasets.{dataset}.{key}"
            yield f"{where}: it has no effect with format: {about['format']}; remove it."
    if config["flow_in_memory"] and config["keep_flow"]:
        yield "configuration: flow_in_memory writes no flow that keep_flow could keep; set one of them to false."


def streams(config: Settings) -> Iterator[str]:
    """A sentence for each setting of a stream that its extractor does not read."""
    for collection, about in config["collections"].items():
        for stream, keys in about["streams"].items():
            kind = keys.get("input", "frames") if keys["extractor"] in EXTRACTORS else "nothing"
            if unread := [key for key, kinds in MADE_FOR.items() if key in keys and kind not in kinds]:
                yield (
                    f"configuration, collections.{collection}.streams.{stream}: its extractor reads {kind}, so "
                    f"{unread[0]!r} has no effect; remove it, or correct 'input'."
                )


def models(config: Settings, inherited: Settings) -> Iterator[str]:
    """A sentence for each thing that is wrong with models and tables.

    Args:
        inherited: the models with the keys of their parents.
    """
    for table, listed in config["tables"].items():
        for name in listed:
            yield from _unknown(config, f"tables.{table}", name, "models")
        yield from _apart(f"tables.{table}", listed, inherited)
    for model, about in inherited.items():
        for name in about.get("compare_with", ()):
            yield from _unknown(config, f"models.{model}.compare_with", name, "models")
        named = [teacher for teacher in map(supervision.model_of, about.get("teachers", ())) if teacher]
        for teacher in dict.fromkeys(named):
            yield from _unknown(config, f"models.{model}.teachers", teacher, "models")
            if named.count(teacher) > 1:
                yield (
                    f"configuration, models.{model}.teachers: {teacher!r} is named twice; name it once, for several "
                    f"seeds as {{model: {teacher}, seeds: [0, 1]}}."
                )
        if labels := supervision.labels(inherited, model):
            yield from _unknown(config, f"models.{model}.labels", labels, "models")
        method, own = about.get("method", "mmdist"), config["models"][model]
        yield from _apart(f"models.{model}.compare_with", [model, *own.get("compare_with", ())], inherited)
        if "predictions" in about:
            yield from _external(model, about)
            continue
        if "task" in about:
            yield f"configuration, models.{model}.task: it has no effect without predictions; remove it."
        taught = [name for name in supervision.teachers(inherited, model) if "predictions" in inherited.get(name, {})]
        for name in taught:
            yield (
                f"configuration, models.{model}: it cannot learn from {name}, which is predictions that were made "
                "elsewhere; name a model that is trained here, or give tables of a teacher."
            )
        yield from supervision.wrong(inherited, model, own)
        needed = ("streams", "network", *(["supervision"] if method == "emtm" else []))
        if missing := [key for key in needed if key not in about]:
            yield f"configuration, models.{model}: the key {missing[0]!r} is missing; add it, or a parent."
        else:
            settings = {name: merge(config[name], about.get(name, {})) for name in ("train", method)}
            yield from effects.without(model, own, about, settings)


def finds_segments(model: Settings) -> bool:
    """Whether a model finds segments of labels, and not moments of sentences; `model` are its keys."""
    if "predictions" in model:
        return bool(model.get("task") == "localization")
    return bool(model.get("method") == "mmsd")


OF_EXTERNAL = ("predictions", "task", "supervision", "compare_with")


def _external(model: str, about: Settings) -> Iterator[str]:
    """A sentence for each key of a model that is predictions from elsewhere which has no effect."""
    for key in [key for key in about if key not in OF_EXTERNAL]:
        yield (
            f"configuration, models.{model}.{key}: it has no effect with predictions, which were made elsewhere; "
            "remove it."
        )


def _apart(key: str, listed: Sequence[str], inherited: Settings) -> Iterator[str]:
    """A sentence if models are set side by side whose numbers are not of the same kind."""
    kinds = {name: finds_segments(inherited[name]) for name in listed if name in inherited}
    if len(set(kinds.values())) > 1:
        found = {of_labels: next(name for name in kinds if kinds[name] == of_labels) for of_labels in (True, False)}
        yield (
            f"configuration, {key}: {found[True]} finds segments of labels and {found[False]} moments of sentences, so "
            "their numbers cannot be compared; name models of one kind."
        )


def _unknown(config: Settings, key: str, name: str, part: str) -> Iterator[str]:
    if name not in config[part]:
        yield f"configuration, {key}: there is no {name!r} in {part}, which are {', '.join(config[part])}."
