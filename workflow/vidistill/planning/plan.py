"""The resolved configuration, for the rules: what a model inherits, and the settings of each stage.

Light, like everything the rules import: every job on a cluster parses the Snakefile again.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from vidistill.base.stage import UserError
from vidistill.planning import downloads, effects, references, supervision
from vidistill.planning.config import EXTRACTORS, Settings, Stream, merge
from vidistill.settings.clip import TextEncoderSection
from vidistill.settings.queries import QueriesSection


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
        _tell(references.names(config), references.owners(config), references.streams(config), in_sets)
        _tell(references.models(config, self.models))  # needs parents that exist

    @cached_property
    def models(self) -> Settings:
        """Every model, with inherited keys."""
        return {name: self._inherit(name, ()) for name in self.config["models"]}

    def seeds(self, dataset: str) -> list[int]:
        return self.datasets[dataset].get("seeds", self.config["seeds"])

    def is_external(self, model: str) -> bool:
        """Whether a model is predictions that were made elsewhere."""
        return "predictions" in self.models[model]

    def seeds_of(self, dataset: str, model: str) -> list[int]:
        """The seeds of a model; one for predictions of which there is one file."""
        one = self.is_external(model) and "{seed}" not in self.models[model]["predictions"]
        return self.seeds(dataset)[:1] if one else self.seeds(dataset)

    def external_file(self, dataset: str, model: str, seed: int) -> str:
        """The file of predictions that were made elsewhere."""
        path = str(self.models[model]["predictions"])
        return path.replace("{dataset}", dataset).replace("{seed}", str(seed))

    def compared(self, model: str) -> list[str]:
        """The model and the models that its result compares it with."""
        return list(dict.fromkeys([model, *self.models[model].get("compare_with", [])]))

    def teachers(self, model: str) -> list[str | Settings]:
        """The name of each teacher; for several seeds of a model, the keys model and seeds, and for external tables,
        name, pseudo_labels and activation_maps."""
        return self.models[model].get("teachers", [])

    def elsewhere(self, model: str) -> list[Settings]:
        """The keys of each teacher that is tables from elsewhere."""
        return [t for t in self.teachers(model) if not isinstance(t, str) and "model" not in t]

    def supervision(self, model: str) -> str:
        """`weak`, `full` or `pseudo`."""
        return supervision.of(self.models, model)

    def labels(self, dataset: str, model: str) -> str | None:
        """Path (with {seed}) of the pseudo labels that train a `pseudo` model; None for others."""
        source = supervision.labels(self.models, model)
        return self._exported(dataset, source, "pseudo_labels") if source else None

    def tables_of_teachers(self, dataset: str, model: str) -> dict[str, list[str]]:
        """Paths (with {seed}) of the teachers' tables that a model's losses read.

        Raises:
            UserError: an external teacher lacks such a table.
        """
        tables: dict[str, list[str]] = {}
        for table, unread in effects.tables_read(self.method(model), self.train(dataset, model, 0)).items():
            for teacher in self.teachers(model):
                if isinstance(teacher, str):
                    paths = [self._exported(dataset, teacher, table)]
                elif "model" in teacher:
                    path = self._exported(dataset, teacher["model"], table)
                    paths = [path.replace("{seed}", str(seed)) for seed in teacher["seeds"]]
                elif table in teacher:
                    paths = [teacher[table]]
                else:
                    raise UserError(
                        f"configuration, models.{model}.teachers: {teacher['name']} has no {table}, which {model} "
                        f"learns from; set its file as {table}, or {unread}."
                    )
                tables.setdefault(table, []).extend(paths)
        return tables

    def _exported(self, dataset: str, model: str, table: str) -> str:
        return f"results/{dataset}/{model}/seed-{{seed}}/{table}.parquet"

    def method(self, model: str) -> str:
        """The package of the method that trains a model."""
        return str(self.models[model].get("method", "mmdist"))

    def finds_segments(self, model: str) -> bool:
        """Whether a model finds segments of labels, as stage `localise` writes them, and not moments of sentences."""
        return references.finds_segments(self.models[model])

    def of_labels(self, dataset: str) -> bool:
        """Whether the annotations of a data set are labels, not sentences."""
        return bool(self.datasets[dataset]["task"] == "localization")

    def trained(self, model: str) -> list[str]:
        """All models to train for the result of `model`, itself first."""
        return self.with_teachers(self.compared(model))

    def with_teachers(self, models: Iterable[str]) -> list[str]:
        """These models, their teachers (and the models of their labels), the teachers of those, ..."""
        models = list(models)
        above = [name for model in models for name in supervision.above(self.models, model)]
        return list(dict.fromkeys([*models, *above]))

    def in_tables(self, dataset: str) -> list[str]:
        """All models in a data set's tables, each once."""
        return list(dict.fromkeys(model for models in self.tables(dataset)["tables"].values() for model in models))

    def trained_for_tables(self, dataset: str) -> list[str]:
        """All models to train for a data set's tables, each once."""
        return list(dict.fromkeys(name for model in self.in_tables(dataset) for name in self.trained(model)))

    def roles(self, models: Iterable[str]) -> list[str]:
        """All streams that these models read, each once."""
        return list(dict.fromkeys(role for model in models for role in self.models[model].get("streams", ())))

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
        about = self.datasets[dataset]
        return {"dataset": dataset, **{key: about[key] for key in QueriesSection.model_fields if key in about}}

    def vocabulary(self, dataset: str) -> Settings:
        return merge(self.config["vocabulary"], self.datasets[dataset].get("vocabulary", {}))

    def words(self, dataset: str) -> Settings:
        return {"splits": self.vocabulary(dataset)["splits"]}

    def encode_words(self, dataset: str) -> Settings:
        """Settings of the text encoder, with its defaults; only for data sets that have one."""
        own = self.vocabulary(dataset)["text_encoder"]
        return TextEncoderSection.model_validate(own).model_dump() | self._device

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
        about, method = self.models[model], self.method(model)
        train, own = self.sections(dataset, model)
        kind: Settings = {"network": {"kind": about["network"]}}
        if method == "emtm":
            kind = {key: about[key] for key in ("network", "supervision")}
            kind |= {"labels": supervision.labels(self.models, model)}
        teachers = [name for teacher in self.teachers(model) for name in _named(teacher)]
        return merge(
            train,
            own,
            {**kind, "streams": about["streams"], "teachers": teachers},
            {"dataset": dataset, "model": model, "seed": seed},
            self._device,
        )

    def sections(self, dataset: str, model: str) -> tuple[Settings, Settings]:
        """What a model reads of section `train`, and of its method's, whose keys come before equal ones of `train`."""
        about, method = self.models[model], self.method(model)
        layers = (self.config, about, self.datasets[dataset])
        train, own = (merge(*(layer.get(section, {}) for layer in layers)) for section in ("train", method))
        unread = effects.UNREAD[about["network"]] if method == "emtm" else ()
        return train, {key: value for key, value in own.items() if key not in unread}

    def snippets(self, dataset: str, model: str) -> int | None:
        """The rows, at most, that a model reads of each video's features; None for all that there are."""
        settings = self.train(dataset, model, 0)
        found = settings["map2d"]["rows"] if "map2d" in settings else settings["snippets"]
        return None if found == "native" else int(found)

    def training_splits(self, dataset: str) -> list[str]:
        """The splits whose labels, or moments for `supervision: full`, models read."""
        return list(merge(self.config["train"], self.datasets[dataset].get("train", {}))["train_splits"])

    def training_rows(self, dataset: str) -> Settings:
        """Settings of `training_moments` and `training_labels`."""
        return {**self.queries(dataset), "train_splits": self.training_splits(dataset)}

    def external_predictions(self, dataset: str, model: str) -> Settings:
        section = "localisation" if self.finds_segments(model) else "evaluate"
        return {
            **{"dataset": dataset, "model": model, "task": self.models[model].get("task", "grounding")},
            "split": self.evaluated_split(dataset, model),
            "id_prefix": self.datasets[dataset]["id_prefix"],
            "train_splits": self.training_splits(dataset),
            "supervision": self.models[model].get("supervision"),
            "list_at_most": self._evaluation(section, dataset, model)["list_at_most"],
        }

    def efficiency(self, dataset: str, models: Iterable[str]) -> Settings:
        methods = {model: self.method(model) for model in models if not self.is_external(model)}
        return merge(self.config["efficiency"], {"dataset": dataset, "methods": methods}, self._device)

    def export(self, model: str) -> Settings:
        settings = merge(self.config["export"], self.models[model].get("export", {}), self._device)
        unread = effects.OF_PROPOSALS if self.method(model) == "emtm" else ()
        return {key: value for key, value in settings.items() if key not in unread}

    def localise(self, dataset: str, model: str) -> Settings:
        layers = (self.config, self.models[model], self.datasets[dataset])
        given = (layer.get("localise", {}) for layer in layers)
        return merge(*given, {"id_prefix": self.datasets[dataset]["id_prefix"]}, self._device)

    def retrieve(self, dataset: str, model: str) -> Settings:
        settings = merge(self.config["retrieve"], {"split": self.evaluated_split(dataset, model)}, self._device)
        unread = ("pairs",) if self.method(model) == "mmdist" else ()  # which compares all of them at once
        return {key: value for key, value in settings.items() if key not in unread}

    def evaluate(self, dataset: str, model: str) -> Settings:
        return self._evaluation("evaluate", dataset, model)

    def localisation(self, dataset: str, model: str) -> Settings:
        return self._evaluation("localisation", dataset, model)

    def evaluated_split(self, dataset: str, model: str) -> str:
        section = "localisation" if self.finds_segments(model) else "evaluate"
        return str(self._evaluation(section, dataset, model)["split"])

    def _evaluation(self, section: str, dataset: str, model: str) -> Settings:
        return merge(
            self.config[section],
            self.datasets[dataset].get(section, {}),
            {
                "dataset": dataset,
                "model": model,
                "compare_with": self.compared(model)[1:],
                "seeds": self.seeds_of(dataset, model),
                "max_bad_share": self.config["max_bad_share"],
            },
        )

    def tables(self, dataset: str) -> Settings:
        """Of a data set of labels the tables of models that find segments, of one of sentences all others."""
        fitting = {
            name: models
            for name, models in self.config["tables"].items()
            if models and self.finds_segments(models[0]) == self.of_labels(dataset)
        }
        return {"dataset": dataset, "tables": fitting}

    @property
    def _device(self) -> Settings:
        return {"device": self.config["device"]}

    def _inherit(self, name: str, heirs: tuple[str, ...]) -> Settings:
        if name in heirs:
            raise UserError(f"configuration, models.{name}: it is its own parent, through {', '.join(heirs)}.")
        own = dict(self.config["models"][name])
        parent = own.pop("parent", None)
        return merge(self._inherit(parent, (*heirs, name)), own) if parent else own


def _named(teacher: str | Settings) -> list[str]:
    """The names of the teachers that an entry of `teachers` stands for."""
    if isinstance(teacher, str):
        return [teacher]
    return [f"{teacher['model']}:{seed}" for seed in teacher["seeds"]] if "model" in teacher else [teacher["name"]]


def _tell(*wrong: Iterable[str]) -> None:
    if lines := [line for lines in wrong for line in lines]:
        raise UserError("\n".join(lines))
