"""Which settings of a model its method reads: those without effect are errors, since their author expects an effect."""

from collections.abc import Iterator, Mapping
from typing import Any

Settings = Mapping[str, Any]
METHODS = ("mmdist", "emtm")
# Key of a model -> method -> its values.
KINDS = {
    "network": {"mmdist": ("single", "multimodal"), "emtm": ("student", "seqpan", "map2d")},
    "supervision": {"mmdist": ("weak",), "emtm": ("full", "pseudo")},
}


def tables_read(method: str, settings: Settings) -> dict[str, str]:
    """The tables of its teachers that a model's losses read, each with what would make a loss read it no more."""
    if method == "emtm":
        return {"activation_maps": "remove this teacher"}
    levels, local = settings["distillation"], settings["loss"]["local_learning"]
    read = {"pseudo_labels": "set mmdist.distillation.global_level: false"} if levels["global_level"] else {}
    if read and len(settings["teachers"]) > 1:  # maps choose among pseudo labels
        read["activation_maps"] = "remove this teacher"
    elif levels["local_level"] and local:
        read["activation_maps"] = "set mmdist.distillation.local_level: false"
    return read


def without(model: str, own: Settings, about: Settings, settings: Settings) -> Iterator[str]:
    """A sentence for each setting of a model that has no effect.

    Args:
        own: the model's keys as its author wrote them, without what is inherited.
        about: the model's keys, inherited ones included.
        settings: its sections `train` and that of its method, defaults included.
    """
    where, method = f"configuration, models.{model}", next(name for name in METHODS if name in settings)
    if strange := [key for key in own if key in METHODS and key != method]:
        yield _unread(f"{where}.{strange[0]}", f"the model's method is {method}")
    wrong = {key: about[key] for key, names in KINDS.items() if key in about and about[key] not in names[method]}
    for key, value in wrong.items():
        if key in own or "method" in own:  # otherwise the parent's error
            known = ", ".join(KINDS[key][method])
            yield f"{where}.{key}: {value!r} is not of method {method}; supported values are {known}."
    if wrong:
        return
    yield from {"mmdist": _of_mmdist, "emtm": _of_emtm}[method](where, own, about, settings)
    given, chosen = own.get("train", {}).get("optimisation", {}), settings["train"]["optimisation"]
    if "warmup_updates" in given and chosen["schedule"] != "inverse_sqrt":
        yield _unread(f"{where}.train.optimisation.warmup_updates", f"the schedule is {chosen['schedule']}")
    if "slow_rate" in given and not chosen["slow_epochs"]:
        yield _unread(f"{where}.train.optimisation.slow_rate", "slow_epochs is 0")


def _unread(key: str, why: str, instead: str = "remove it") -> str:
    return f"{key}: it has no effect, since {why}; {instead}."


OF_VOTING = ("reliable", "margin", "unreliable")  # keys of `mmdist.distillation`


def _of_mmdist(where: str, own: Settings, about: Settings, settings: Settings) -> Iterator[str]:
    given, method = own.get("mmdist", {}), settings["mmdist"]
    levels, local = method["distillation"], method["loss"]["local_learning"]
    if not about.get("teachers"):
        if "distillation" in given:
            yield f"{where}.mmdist.distillation: it has no effect without teachers; name teachers, or remove it."
    elif levels["local_level"] and not local:
        yield _unread(
            f"{where}.mmdist.distillation.local_level", "mmdist.loss.local_learning is false", "set it to false"
        )
    elif not levels["local_level"] and not levels["global_level"]:
        yield (
            f"{where}: its teachers have no effect, since mmdist.distillation.global_level and local_level are false; "
            "set one of them to true, or teachers: []."
        )
    given_levels, way = given.get("distillation", {}), levels["aggregation"]
    if unread := [key for key in OF_VOTING if key in given_levels and way != "self_voting"]:
        yield _unread(f"{where}.mmdist.distillation.{unread[0]}", f"aggregation is {way}", "set it to self_voting")
    several = about["network"] == "multimodal" and len(about["streams"]) > 1 and local
    if "mutual_weight" in given.get("loss", {}) and not several:
        yield _unread(
            f"{where}.mmdist.loss.mutual_weight",
            "mutual learning needs network: multimodal, two streams and local_learning",
        )


# Network -> the keys of `emtm` that it does not read.
UNREAD = {
    "student": ("seqpan", "map2d"),
    "seqpan": ("student", "map2d", "distillation"),
    "map2d": ("student", "seqpan", "distillation", "snippets"),
}
OF_PROPOSALS = ("sigma", "temperature")  # keys of `export` that models without proposals do not read
# The keys of `emtm.distillation` that need label teachers, and those that need the Knowledge Aggregation Unit.
OF_TEACHERS = ("aggregation", "kd", "temperature", "squared_temperature", "detach", "corners")
OF_AGGREGATION = ("aggregation_loss", "aggregation_norm")


def _of_emtm(where: str, own: Settings, about: Settings, settings: Settings) -> Iterator[str]:
    given, network = own.get("emtm", {}), about["network"]
    if "snippets" in own.get("train", {}):
        yield _unread(f"{where}.train.snippets", "models of EMTM read emtm.snippets")
    if network == "map2d" and "normalise" in own.get("train", {}):
        yield _unread(f"{where}.train.normalise", "the network map2d reads emtm.map2d.normalise")
    for key in [key for key in OF_PROPOSALS if key in own.get("export", {})]:
        yield _unread(f"{where}.export.{key}", "models of EMTM have no proposals")
    for key in [key for key in given if key in UNREAD[network]]:
        yield _unread(f"{where}.emtm.{key}", f"the model's network is {network}")
    if network != "student":
        if about.get("teachers") and {"teachers", "network"} & own.keys():  # otherwise the parent's error
            yield _unread(f"{where}.teachers", f"the model's network is {network}", "set teachers: []")
        return
    yield from _of_fast_student(where, given, about, settings["emtm"])


def _of_fast_student(where: str, given: Settings, about: Settings, method: Settings) -> Iterator[str]:
    losses, levels = given.get("loss", {}), given.get("distillation", {})
    if "isomorphic" in losses and not method["distillation"]["isomorphic"]:
        yield _unread(f"{where}.emtm.loss.isomorphic", "emtm.distillation.isomorphic is false")
    taught = bool(about.get("teachers"))
    by_unit = (method["distillation"]["aggregation"] or {"full": "kau"}.get(about["supervision"], "mean")) == "kau"
    for keys, there, why in (
        (OF_TEACHERS, taught, "the model has no teachers"),
        (OF_AGGREGATION, taught and by_unit, "teachers are not weighted by the Knowledge Aggregation Unit"),
    ):
        for key in [key for key in keys if key in levels and not there]:
            yield _unread(f"{where}.emtm.distillation.{key}", why)
    if "distillation" in losses and not taught:
        yield _unread(f"{where}.emtm.loss.distillation", "the model has no teachers")
    if "aggregation" in losses and not (taught and by_unit):
        yield _unread(f"{where}.emtm.loss.aggregation", "no Knowledge Aggregation Unit weighs teachers")
    weights = method["loss"]
    if taught and not weights["distillation"] and not (by_unit and weights["aggregation"]):
        yield (
            f"{where}: its teachers have no effect, since emtm.loss.distillation is 0; raise it, or set teachers: []."
        )
