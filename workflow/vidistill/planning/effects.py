"""Model settings without effect are errors, since their author expects an effect."""

from collections.abc import Iterator, Mapping
from typing import Any


def without(model: str, own: Mapping[str, Any], about: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each setting of a model of MMDist that has no effect.

    Args:
        own: the model's `mmdist` as its author wrote it, without what is inherited.
        about: the model's keys, inherited ones included.
        settings: its settings of `mmdist`, defaults included.
    """
    where = f"configuration, models.{model}"
    levels, local = settings["distillation"], settings["loss"]["local_learning"]
    if not about.get("teachers"):
        if "distillation" in own:
            yield f"{where}.mmdist.distillation: it has no effect without teachers; name teachers, or remove it."
    elif levels["local_level"] and not local:
        yield (
            f"{where}.mmdist.distillation.local_level: it has no effect, since mmdist.loss.local_learning is false; "
            "set it to false."
        )
    elif not levels["local_level"] and not levels["global_level"]:
        yield (
            f"{where}: its teachers have no effect, since mmdist.distillation.global_level and local_level are false; "
            "set one of them to true, or teachers: []."
        )
    several = about["network"] == "multimodal" and len(about["streams"]) > 1 and local
    if "mutual_weight" in own.get("loss", {}) and not several:
        yield (
            f"{where}.mmdist.loss.mutual_weight: it has no effect, since mutual learning needs network: multimodal, "
            "two streams and local_learning; remove it."
        )
