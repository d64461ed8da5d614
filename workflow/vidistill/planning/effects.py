"""Model settings without effect are errors, since their author expects an effect."""

from collections.abc import Mapping
from typing import Any

from vidistill.base.stage import UserError


def check(model: str, own: Mapping[str, Any], about: Mapping[str, Any], train: Mapping[str, Any]) -> None:
    """Check one model.

    Args:
        own: the model's `train` as its author wrote it, without what is inherited.
        about: the model's keys, inherited ones included.
        train: its settings of training, defaults included.

    Raises:
        UserError: a setting has no effect.
    """
    where = f"configuration, models.{model}"
    levels, local = train["distillation"], train["loss"]["local_learning"]
    if not about.get("teachers"):
        if "distillation" in own:
            raise UserError(
                f"{where}.train.distillation: it has no effect without teachers; name teachers, or remove it."
            )
    elif levels["local_level"] and not local:
        raise UserError(
            f"{where}.train.distillation.local_level: it has no effect, since train.loss.local_learning is false; set "
            "it to false."
        )
    elif not levels["local_level"] and not levels["global_level"]:
        raise UserError(
            f"{where}: its teachers have no effect, since train.distillation.global_level and local_level are false; "
            "set one of them to true, or teachers: []."
        )
    several = about["network"] == "multimodal" and len(about["streams"]) > 1 and local
    if "mutual_weight" in own.get("loss", {}) and not several:
        raise UserError(
            f"{where}.train.loss.mutual_weight: it has no effect, since mutual learning needs network: multimodal, two "
            "streams and local_learning; remove it."
        )
