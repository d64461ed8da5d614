"""Which models read training moments, and that no other model inherits any through its teachers or labels."""

from collections.abc import Iterator, Mapping
from typing import Any

Models = Mapping[str, Mapping[str, Any]]  # name -> keys, inherited ones included


def of(models: Models, name: str) -> str:
    """`weak`, `full` or `pseudo`."""
    return str(models[name].get("supervision", "weak"))


def labels(models: Models, name: str) -> str | None:
    """The model whose pseudo labels train a `pseudo` model; None for others."""
    return str(models[name].get("labels", "teacher")) if of(models, name) == "pseudo" else None


def teachers(models: Models, name: str) -> list[str]:
    """The models that a model learns from directly: its teachers in this configuration, and its labels' model."""
    named = [model_of(teacher) for teacher in models[name].get("teachers", ())]
    return list(dict.fromkeys(filter(None, [*named, labels(models, name)])))


def model_of(teacher: str | Mapping[str, Any]) -> str | None:
    """The model of this configuration that an entry of `teachers` names; None for tables from elsewhere."""
    return teacher if isinstance(teacher, str) else teacher.get("model")


def above(models: Models, name: str) -> dict[str, list[str]]:
    """All models that a model learns from, directly or through others, each with the way to it."""
    found: dict[str, list[str]] = {}
    queue = [[name]]
    while queue:
        way = queue.pop(0)
        for teacher in teachers(models, way[-1]):
            if teacher not in found and teacher in models:
                found[teacher] = [*way, teacher]
                queue.append(found[teacher])
    return found


def wrong(models: Models, name: str, own: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each thing that is wrong with how a model is supervised.

    Args:
        own: the model's keys as its author wrote them, without what is inherited.
    """
    where, kind, found = f"configuration, models.{name}", of(models, name), above(models, name)
    if name in found:
        yield f"{where}: it learns from itself ({_way(found[name])}); name other teachers or labels."
    if "labels" in own and kind != "pseudo":
        yield f"{where}.labels: it has no effect with supervision: {kind}; remove it, or set supervision: pseudo."
    if kind == "full" and "train_splits" in models[name].get("train", {}):
        yield (
            f"{where}.train.train_splits: models with supervision: full read the moments of their data set's training "
            "splits; set train_splits in section train, or in that of the data set."
        )
    if kind != "full" and (full := [teacher for teacher in found if of(models, teacher) == "full"]):
        yield (
            f"{where}: supervision is {kind}, but it learns from {full[0]}, which reads training moments "
            f"({_way(found[full[0]])}); name other teachers or labels."
        )


def _way(names: list[str]) -> str:
    return " from ".join(names)
