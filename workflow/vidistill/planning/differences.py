"""Which settings of a result differ from the defaults, for people: "train.optimisation.epochs 30 (default 15)"."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from vidistill.planning.config import Config, Settings
from vidistill.planning.plan import Plan

# Keys that say where and how fast something is computed, not what.
UNSEEN = ("device", "threads", "workers")


def of_result(plan: Plan, dataset: str, model: str) -> list[str]:
    """The settings of a model's result and of its teachers, from decoding to evaluation, that are not the defaults."""
    collection, models = plan.collection(dataset), plan.with_teachers([model])
    streams = dict.fromkeys(plan.stream(dataset, role) for role in plan.roles(models))
    extracted = [stream for stream in streams if plan.is_extracted(collection, stream)]
    folders = {plan.extracted_from(collection, stream) for stream in extracted}
    flows = sorted(folder for folder in folders if folder.startswith("flow"))
    frames = sorted({plan.frames_of(collection, folder) for folder in flows} | (folders - set(flows)))
    section = "localisation" if plan.finds_segments(model) else "evaluate"
    found = [*_changed("seeds", plan.seeds(dataset), _default("seeds"))]
    for folder in frames:
        found += _of_section("decode", plan.decode(collection, folder), folder.replace("frames", "decode", 1))
    for folder in flows:
        found += _of_section("flow", plan.flow(collection, folder), folder)
    for stream in extracted:
        settings = plan.features(collection, stream)
        found += _of_section(settings["extractor"], settings, f"{settings['extractor']}.{stream}")
    if not plan.of_labels(dataset):
        found += _of_section("vocabulary", plan.vocabulary(dataset))
    return found + _of_trainings(plan, dataset, models) + _of_section(section, getattr(plan, section)(dataset, model))


def _of_trainings(plan: Plan, dataset: str, models: Iterable[str]) -> list[str]:
    """What differs for all models, then what differs for each."""
    changed: dict[str, list[str]] = {}
    for model in models:
        train, own = plan.sections(dataset, model)
        train = {key: value for key, value in train.items() if key not in own}
        changed[model] = [*_of_section("train", train), *_of_section(plan.method(model), own)]
    first, *others = changed.values()
    common = [line for line in first if all(line in lines for lines in others)]
    return common + [f"{model}: {line}" for model, lines in changed.items() for line in lines if line not in common]


def _of_section(section: str, settings: Settings, name: str | None = None) -> list[str]:
    defaults = {key: value for key, value in _default(section).items() if key not in UNSEEN and key in settings}
    return [
        line
        for key, default in defaults.items()
        for line in _changed(f"{name or section}.{key}", settings[key], default)
    ]


def _changed(key: str, value: Any, default: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and isinstance(default, Mapping):
        for name, one in default.items():
            if name in value:
                yield from _changed(f"{key}.{name}", value[name], one)
    elif value != default:
        yield f"{key} {_text(value)} (default {_text(default)})"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")


@cache
def _defaults() -> Settings:
    empty = Config.model_construct(models={}, collections={}, datasets={})
    return empty.model_dump(mode="json", exclude={"models", "collections", "datasets"})


def _default(section: str) -> Any:
    return _defaults()[section]
