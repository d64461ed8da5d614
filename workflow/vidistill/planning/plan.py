"""The resolved configuration, for the rules: what a model inherits, and the settings of each stage.

Light, like everything the rules import: every job on a cluster parses the Snakefile again.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from vidistill.base.stage import UserError
from vidistill.planning import downloads, effects
from vidistill.planning.config import Settings, Stream, merge

RESERVED = ("benchmarks", "features", "logs", "report", "tables", "videos")  # folders in results/
MADE_FOR = {"decode": ("frames", "flow"), "flow": ("flow",)}  # a stream's own settings, and the inputs that need them
EXTRACTORS = ("i3d", "c3d")  # the other extractor reads existing features


def own_keys(stream: Mapping[str, Any]) -> Settings:
    """The keys of a stream that belong to its extractor."""
    return {key: value for key, value in stream.items() if key not in Stream.model_fields}


class Plan:
    """One configuration, with defaults filled in and checked against the schema.

    Precedence: a stage's own section < the model, its parents first < the data set (or the collection, the stream).

    Raises:
        UserError: a name cannot be part of a path, or a key refers to a name that does not exist.
    """

    def __init__(self, config: Settings):
        self.config = config
        self.collections: Settings = config["collections"]
        self.datasets: Settings = config["datasets"]
        in_sets = downloads.wrong_sets(config["downloads"])
        _tell(self._wrong_names(), self._wrong_owners(), self._wrong_streams(), in_sets)
        _tell(self._wrong_models())  # needs parents that exist

    @cached_property
    def models(self) -> Settings:
        """Every model, with inherited keys."""
        return {name: self._inherit(name, ()) for name in self.config["models"]}

    def seeds(self, dataset: str) -> list[int]:
        return self.datasets[dataset].get("seeds", self.config["seeds"])

    def compared(self, model: str) -> list[str]:
        """The model and the models that its result compares it with."""
        return list(dict.fromkeys([model, *self.models[model].get("compare_with", [])]))

    def teachers(self, model: str) -> list[str | Settings]:
        """The name of each teacher, or, for external tables, the keys name, pseudo_labels and activation_maps."""
        return self.models[model].get("teachers", [])

    def tables_of_teachers(self, dataset: str, model: str) -> dict[str, list[str]]:
        """Paths (with {seed}) of the teachers' tables that a model's losses read.

        Raises:
            UserError: an external teacher lacks such a table.
        """
        s = self.train(dataset, model, 0)
        maps = s["distillation"]["local_level"] and s["loss"]["local_learning"]
        levels = {
            "pseudo_labels": ("global_level", s["distillation"]["global_level"]),
            "activation_maps": ("local_level", maps),
        }
        tables: dict[str, list[str]] = {}
        for table, (level, needed) in levels.items():
            for teacher in self.teachers(model) if needed else ():
                if isinstance(teacher, str):
                    path = f"results/{dataset}/{teacher}/seed-{{seed}}/{table}.parquet"
                elif table in teacher:
                    path = teacher[table]
                else:
                    raise UserError(
                        f"configuration, models.{model}.teachers: {teacher['name']} has no {table}, which {model} "
                        f"learns from; set its file as {table}, or set mmdist.distillation.{level}: false."
                    )
                tables.setdefault(table, []).append(path)
        return tables

    def method(self, model: str) -> str:
        """The package of the method that trains a model."""
        return str(self.models[model].get("method", "mmdist"))

    def trained(self, model: str) -> list[str]:
        """All models to train for the result of `model`, itself first."""
        return self.with_teachers(self.compared(model))

    def with_teachers(self, models: Iterable[str]) -> list[str]:
        """These models, their teachers, the teachers of those, ..."""
        found: list[str] = []
        queue = list(models)
        while queue:
            name = queue.pop(0)
            if name not in found:
                found.append(name)
                queue += [teacher for teacher in self.teachers(name) if isinstance(teacher, str)]
        return found

    def in_tables(self) -> list[str]:
        """All models in the tables, each once."""
        return list(dict.fromkeys(model for models in self.config["tables"].values() for model in models))

    def trained_for_tables(self) -> list[str]:
        """All models to train for the tables, each once."""
        return list(dict.fromkeys(name for model in self.in_tables() for name in self.trained(model)))

    def roles(self, models: Iterable[str]) -> list[str]:
        """All streams that these models read, each once."""
        return list(dict.fromkeys(role for model in models for role in self.models[model]["streams"]))

    def stream(self, dataset: str, role: str) -> str:
        """The collection's stream that a data set uses for this role."""
        name = self.datasets[dataset].get("streams", {}).get(role, role)
        collection = self.datasets[dataset]["collection"]
        if name not in self.collections[collection]["streams"]:
            raise UserError(
                f"configuration: a model reads the stream {role!r}, which the collection {collection!r} lacks; "
                f"set one of its streams as datasets.{dataset}.streams.{role}, or add "
                f"collections.{collection}.streams.{name}."
            )
        return name

    def collection(self, dataset: str) -> str:
        """The collection of a data set's videos."""
        return str(self.datasets[dataset]["collection"])

    def is_drawn(self, collection: str) -> bool:
        """Whether the workflow draws the videos and writes their annotations (the demo)."""
        return bool(self.collections[collection].get("demo"))

    def made_by(self, collection: str, stream: str) -> str:
        """The rule that makes a stream's features: extract, flow_features or external."""
        if not self.is_extracted(collection, stream):
            return "external"
        about = self.collections[collection]["streams"][stream]
        in_memory = self.config["flow_in_memory"] and about.get("input") == "flow"
        return "flow_features" if in_memory else "extract"

    def is_extracted(self, collection: str, stream: str) -> bool:
        """Whether the workflow extracts the features from videos."""
        return self.collections[collection]["streams"][stream]["extractor"] in EXTRACTORS

    def extracted_from(self, collection: str, stream: str) -> str:
        """The folder of the extractor's input: `frames` or `flow`, or `frames-STREAM` or `flow-STREAM` for a stream
        with its own settings for it."""
        about = self.collections[collection]["streams"][stream]
        kind = str(about.get("input", "frames"))
        own = "decode" in about or (kind == "flow" and "flow" in about)
        return f"{kind}-{stream}" if own else kind

    def frames_of(self, collection: str, flow: str) -> str:
        """The folder of frames from which this folder of flow is computed."""
        stream = self._owner(collection, flow)
        return flow.replace("flow", "frames", 1) if "decode" in stream else "frames"

    def _owner(self, collection: str, folder: str) -> Settings:
        """The keys of the stream that owns a folder of frames or flow; empty for the collection's folders."""
        _, _, stream = folder.partition("-")
        return dict(self.collections[collection]["streams"][stream]) if stream else {}

    # Settings of the stages, under the stages' names.

    def queries(self, dataset: str) -> Settings:
        keys = ("format", "annotations", "durations", "beyond_duration")
        return {"dataset": dataset, **{key: self.datasets[dataset][key] for key in keys}}

    def vocabulary(self, dataset: str) -> Settings:
        return merge(self.config["vocabulary"], self.datasets[dataset].get("vocabulary", {}))

    def decode(self, collection: str, frames: str = "frames") -> Settings:
        layers = (self.collections[collection], self._owner(collection, frames))
        return merge(self.config["decode"], *(layer.get("decode", {}) for layer in layers))

    def flow(self, collection: str, flow: str = "flow") -> Settings:
        layers = (self.collections[collection], self._owner(collection, flow))
        return merge(self.config["flow"], *(layer.get("flow", {}) for layer in layers), self._device)

    def features(self, collection: str, stream: str) -> Settings:
        """Settings of `extract` or `external`, whichever makes the stream."""
        about = self.collections[collection]["streams"][stream]
        kind = {"extractor": about["extractor"], "input": about.get("input", "frames"), **self._device}
        return merge(self.config[about["extractor"]], own_keys(about), kind if about["extractor"] in EXTRACTORS else {})

    def flow_features(self, collection: str, stream: str) -> Settings:
        flow = self.flow(collection, self.extracted_from(collection, stream))
        return {"extract": self.features(collection, stream), "flow": flow}

    def availability(self, dataset: str, model: str) -> Settings:
        return {"dataset": dataset, "model": model, "max_bad_share": self.config["max_bad_share"]}

    def train(self, dataset: str, model: str, seed: int) -> Settings:
        about, sections = self.models[model], ("train", self.method(model))
        teachers = [t if isinstance(t, str) else t["name"] for t in self.teachers(model)]
        return merge(
            *(layer.get(name, {}) for layer in (self.config, about, self.datasets[dataset]) for name in sections),
            {"network": {"kind": about["network"]}, "streams": about["streams"], "teachers": teachers},
            {"dataset": dataset, "model": model, "seed": seed},
            self._device,
        )

    def export(self, model: str) -> Settings:
        return merge(self.config["export"], self.models[model].get("export", {}), self._device)

    def evaluate(self, dataset: str, model: str) -> Settings:
        return merge(
            self.config["evaluate"],
            self.datasets[dataset].get("evaluate", {}),
            {
                "dataset": dataset,
                "model": model,
                "compare_with": self.compared(model)[1:],
                "seeds": self.seeds(dataset),
                "max_bad_share": self.config["max_bad_share"],
            },
        )

    def tables(self, dataset: str) -> Settings:
        return {"dataset": dataset, "tables": self.config["tables"]}

    @property
    def _device(self) -> Settings:
        return {"device": self.config["device"]}

    def _inherit(self, name: str, heirs: tuple[str, ...]) -> Settings:
        if name in heirs:
            raise UserError(f"configuration, models.{name}: it is its own parent, through {', '.join(heirs)}.")
        own = dict(self.config["models"][name])
        parent = own.pop("parent", None)
        return merge(self._inherit(parent, (*heirs, name)), own) if parent else own

    def _wrong_names(self) -> Iterator[str]:
        streams = {
            name: f"collections.{c}.streams" for c, about in self.collections.items() for name in about["streams"]
        }
        named = [(name, part) for part in ("models", "datasets", "collections") for name in self.config[part]]
        for name, where in [*named, *streams.items()]:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
                yield (
                    f"configuration, {where}: the name {name!r} cannot be part of a path; "
                    "use letters, digits, '-' and '.' ('_' separates model and data set)."
                )
            if where == "datasets" and name in RESERVED:
                yield f"configuration, datasets: results/{name}/ is reserved; rename {name!r}."

    def _wrong_owners(self) -> Iterator[str]:
        for model, about in self.config["models"].items():
            if "parent" in about:
                yield from self._unknown(f"models.{model}.parent", about["parent"], "models")
        for dataset, about in self.datasets.items():
            yield from self._unknown(f"datasets.{dataset}.collection", about["collection"], "collections")
        if self.config["flow_in_memory"] and self.config["keep_flow"]:
            yield "configuration: flow_in_memory writes no flow that keep_flow could keep; set one of them to false."

    def _wrong_streams(self) -> Iterator[str]:
        for collection, about in self.collections.items():
            for stream, keys in about["streams"].items():
                kind = keys.get("input", "frames") if keys["extractor"] in EXTRACTORS else "nothing"
                if unread := [key for key, kinds in MADE_FOR.items() if key in keys and kind not in kinds]:
                    yield (
                        f"configuration, collections.{collection}.streams.{stream}: its extractor reads {kind}, so "
                        f"{unread[0]!r} has no effect; remove it, or correct 'input'."
                    )

    def _wrong_models(self) -> Iterator[str]:
        for table, names in self.config["tables"].items():
            for name in names:
                yield from self._unknown(f"tables.{table}", name, "models")
        for model, about in self.models.items():
            for name in about.get("compare_with", ()):
                yield from self._unknown(f"models.{model}.compare_with", name, "models")
            for teacher in self.teachers(model):
                if isinstance(teacher, str):
                    yield from self._unknown(f"models.{model}.teachers", teacher, "models")
            if missing := [key for key in ("streams", "network") if key not in about]:
                yield f"configuration, models.{model}: the key {missing[0]!r} is missing; add it, or a parent."
            else:
                method, own = self.method(model), self.config["models"][model]
                settings = merge(self.config[method], about.get(method, {}))
                yield from effects.without(model, own.get(method, {}), about, settings)

    def _unknown(self, key: str, name: str, part: str) -> Iterator[str]:
        if name not in self.config[part]:
            yield f"configuration, {key}: there is no {name!r} in {part}, which are {', '.join(self.config[part])}."


def _tell(*wrong: Iterable[str]) -> None:
    if lines := [line for lines in wrong for line in lines]:
        raise UserError("\n".join(lines))
