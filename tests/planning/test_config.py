"""The configuration: what is refused and how it is said, what counts over what, and that all its copies agree."""

import copy
import datetime
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from vidistill.base.settings import parse
from vidistill.base.stage import UserError
from vidistill.planning import report as reports
from vidistill.planning.plan import Plan, fill_in_recipes, merge
from workflow_runs import ROOT, run

SCHEMAS = ROOT / "workflow" / "schemas"
SECTIONS = ("decode", "demo", "flow", "i3d", "c3d", "external", "vocabulary", "train", "export", "evaluate", "figures")


def defaults(schema: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for key, about in schema.get("properties", {}).items():
        if "properties" in about:
            found[key] = defaults(about)
        elif "default" in about:
            found[key] = about["default"]
    return found


@pytest.fixture
def plan(config: dict[str, Any]) -> Plan:
    queries = defaults(yaml.safe_load((SCHEMAS / "queries.yaml").read_text()))
    config = copy.deepcopy(config)
    fill_in_recipes(config)
    return Plan({**config, "datasets": {name: {**queries, **about} for name, about in config["datasets"].items()}})


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_holds_every_key_with_the_schemas_default(config: dict[str, Any], section: str) -> None:
    assert config[section] == defaults(yaml.safe_load((SCHEMAS / f"{section}.yaml").read_text()))


def test_the_runs_own_keys_are_the_schemas(config: dict[str, Any]) -> None:
    general = defaults(yaml.safe_load((SCHEMAS / "general.yaml").read_text()))
    assert {key: config[key] for key in general} == general
    assert set(config) == {*general, *SECTIONS, "downloads", "models", "tables", "recipes", "collections", "datasets"}


def test_every_key_says_what_it_is() -> None:
    def unsaid(schema: dict[str, Any], where: str) -> list[str]:
        missing = []
        for key, about in schema["properties"].items():
            missing += [] if about.get("description") or "$ref" in about else [f"{where}.{key}"]
            missing += unsaid(about, f"{where}.{key}") if "properties" in about and key != "annotations" else []
        return missing

    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())
    parts = {
        name: yaml.safe_load((SCHEMAS / f"{name}.yaml").read_text())
        for name in (*SECTIONS, "downloads", "general", "queries")
    }
    sections = {name: part for name, part in {**parts, **schema["$defs"]}.items() if "properties" in part}
    assert [key for name, part in sections.items() for key in unsaid(part, name)] == []
    assert all(part["additionalProperties"] is False for name, part in parts.items() if name != "general")


def test_the_page_of_keys_is_made_from_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCHEMAS)
    import document

    assert (ROOT / "config" / "README.md").read_text() == document.page(), "run `make docs`"
    assert sys.modules.pop("document")


def test_every_stage_takes_the_settings_that_the_plan_gives(plan: Plan) -> None:
    from vidistill.data.annotations.sources import QueriesSettings
    from vidistill.data.demo.scenes import DemoSettings
    from vidistill.data.downloads.download import DownloadSettings
    from vidistill.data.vocabulary import VocabularySettings
    from vidistill.evaluation.evaluate import EvaluateSettings
    from vidistill.evaluation.tables import TablesSettings
    from vidistill.features.availability import AvailabilitySettings
    from vidistill.features.external import ExternalSettings
    from vidistill.features.options import C3DSettings, I3DSettings
    from vidistill.mmdist.export import ExportSettings
    from vidistill.mmdist.settings import TrainSettings
    from vidistill.planning import downloads
    from vidistill.report.figures import FiguresSettings
    from vidistill.report.overview import OverviewSettings
    from vidistill.video.decode import DecodeSettings
    from vidistill.video.flow import FlowSettings

    given: list[tuple[type, dict[str, Any]]] = [(DemoSettings, plan.config["demo"]), (ExportSettings, plan.export())]
    for dataset in plan.datasets:
        given += [(QueriesSettings, plan.queries(dataset)), (VocabularySettings, plan.vocabulary(dataset))]
        given += [(TablesSettings, plan.tables(dataset))]
        for model in plan.models:
            given += [(TrainSettings, plan.train(dataset, model, 0)), (EvaluateSettings, plan.evaluate(dataset, model))]
            given += [(AvailabilitySettings, plan.availability(dataset, model))]
            given += [(FiguresSettings, reports.figures(plan, dataset, model))]
            given += [(OverviewSettings, reports.overview(dataset, model))]
    for collection, about in plan.collections.items():
        given += [(DecodeSettings, plan.decode(collection)), (FlowSettings, plan.flow(collection))]
        for stream in about["streams"]:
            kind = {"i3d": I3DSettings, "c3d": C3DSettings}[about["streams"][stream]["extractor"]]
            given.append((kind, plan.features(collection, stream)))
    known = plan.config["downloads"]
    given += [(DownloadSettings, downloads.settings(known, target)) for target in downloads.targets(known)]
    external = {"extractor": "external", "source": "features.h5"}
    plan.collections["demo"]["streams"]["clip"] = external
    given.append((ExternalSettings, plan.features("demo", "clip")))
    for kind, values in given:
        assert isinstance(parse(kind, json.dumps(values)), kind)


def test_later_layers_count_and_lists_are_replaced() -> None:
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merge(below, {"a": {"c": [3]}}, {"d": None}) == {"a": {"b": 1, "c": [3]}, "d": None}
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_section_then_parents_then_model_then_data_set(plan: Plan) -> None:
    def rate(dataset: str, model: str) -> float:
        return float(plan.train(dataset, model, 0)["optimisation"]["learning_rate"])

    assert [rate("charades", model) for model in ("baseline", "teacher", "student")] == [0.0004, 0.00035, 0.0005]
    assert plan.train("activitynet", "student", 0)["loss"]["diversity_lambda"] == 0.13
    assert plan.train("charades", "student", 0)["loss"]["diversity_lambda"] == 0.146
    models = {
        "grandchild": {"parent": "child", "train": {"optimisation": {"epochs": 3}}},
        "child": {"parent": "student", "streams": ["clip"], "train": {"optimisation": {"epochs": 2, "batch_size": 7}}},
    }
    dataset = {**plan.datasets["charades"], "train": {"optimisation": {"batch_size": 9}}}
    config = merge(plan.config, {"models": models, "datasets": {"charades": dataset}})
    about = Plan(config).train("charades", "grandchild", 5)
    assert about["optimisation"] == {
        **plan.config["train"]["optimisation"],
        **{"learning_rate": 0.0005, "epochs": 3, "batch_size": 9},
    }
    assert (about["model"], about["seed"]) == ("grandchild", 5)
    assert (about["streams"], about["teachers"]) == (["clip"], ["teacher"])


def test_a_result_needs_what_it_is_compared_with_and_their_teachers(plan: Plan) -> None:
    config = merge(plan.config, {"models": {"teacher": {"teachers": ["elder"]}, "elder": {"parent": "baseline"}}})
    assert plan.trained("student") == ["student", "baseline", "teacher"]
    assert plan.trained("teacher") == ["teacher"]
    assert Plan(config).trained("student") == ["student", "baseline", "teacher", "elder"]


WRONG = [
    ({"train": {"optimisation": {"lerning_rate": 1}}}, "train.optimisation", "did you mean 'learning_rate'?"),
    ({"datasets": {"demo": {"train": {"network": {"dims": 1}}}}}, "datasets.demo.train.network", "did you mean 'dim'?"),
    ({"collections": {"demo": {"streams": {"rgb": {"weihgts": None}}}}}, "collections.demo.streams.rgb", "'weights'?"),
    (
        {"collections": {"demo": {"streams": {"rgb": {"weights": 5}}}}},
        "collections.demo.streams.rgb.weights",
        "of type",
    ),
    ({"collections": {"demo": {"decode": {"fsp": 5}}}}, "collections.demo.decode", "did you mean 'fps'?"),
    ({"collections": {"demo": {"shards": 0}}}, "collections.demo.shards", "minimum of 1"),
    ({"sed": [1]}, "the top level", "did you mean 'seeds'?"),
    ({"seeds": ["x"]}, "seeds.0", "not of type 'integer'"),
    ({"seeds": [1.0]}, "seeds.0", "not of type 'integer'"),
    ({"seeds": [1, 1]}, "seeds", "non-unique"),
    ({"seeds": []}, "seeds", "non-empty"),
    ({"seeds": [10**30]}, "seeds.0", "too large"),
    ({"collections": {"demo": {"shards": 2.0}}}, "collections.demo.shards", "not of type 'integer'"),
    ({"decode": {"max_seconds": float("inf")}}, "decode.max_seconds", "finite"),
    ({"train": {"optimisation": {"learning_rate": float("nan")}}}, "train.optimisation.learning_rate", "is nan"),
    ({"datasets": {2024: {"collection": "demo"}}}, "datasets", "key 2024 is read as a number"),
    ({"datasets": {datetime.date(2024, 5, 1): {}}}, "datasets", "key 2024-05-01 is read as a date"),
    ({"models": {True: {"parent": "baseline"}}}, "models", "is read as true or false"),
    ({"collections": {"demo": {"streams": {None: {}}}}}, "collections.demo.streams", "is read as null"),
    ({"tables": {"x": {"a", "b"}}}, "tables.x", "is read as a set"),
    ({"device": b"cpu"}, "device", "is read as binary data"),
    ({"collections": {"demo": {"videos": "a\0b"}}}, "collections.demo.videos", "no file name"),
    ({"device": "gpu"}, "device", "is not one of ['auto', 'cpu', 'cuda']"),
    ({"datasets": {"own": {"collection": "demo"}}}, "datasets.own", "'annotations' is a required property"),
    ({"datasets": {"demo": {"collection": "dmeo"}}}, "datasets.demo.collection", "there is no 'dmeo' in collections"),
    ({"models": {"my_model": {"parent": "baseline"}}}, "models", "'my_model' cannot be part of a path"),
    ({"models": {"b": {"parent": "c"}, "c": {"parent": "b"}}}, "models.b", "its own parent"),
    ({"models": {"b": {"parent": "baselin"}}}, "models.b.parent", "there is no 'baselin' in models"),
    ({"models": {"b": {"parent": "student", "teachers": ["c"]}}}, "models.b.teachers", "there is no 'c' in models"),
    ({"flow_in_memory": True, "keep_flow": True}, "", "keep_flow"),
    ({"tables": {"Table 1": ["b"]}}, "tables.Table 1", "there is no 'b' in models"),
    ({"collections": {"demo": {"streams": {"x": {"recipe": "lgi"}}}}}, "collections.demo.streams.x", "recipe 'lgi'"),
    ({"collections": {"demo": {"streams": {"x": {"input": "flow"}}}}}, "collections.demo.streams.x", "'extractor' is"),
    ({"collections": {"demo": {"streams": {"rgb": {"flow": {"warps": 1}}}}}}, "collections.demo.streams.rgb", "'flow'"),
    (
        {"collections": {"demo": {"streams": {"rgb": {"decode": {"fsp": 1}}}}}},
        "collections.demo.streams.rgb.decode",
        "fps",
    ),
    ({"models": {"b": {"streams": ["rgb"]}}}, "models.b", "'network' is missing"),
    (  # settings without an effect
        {"models": {"baseline": {"train": {"distillation": {"weight": 0.5}}}}},
        "models.baseline.train.distillation",
        "without teachers",
    ),
    (
        {"models": {"student": {"train": {"loss": {"local_learning": False}}}}},
        "models.student.train.distillation.local_level",
        "local_learning is false",
    ),
    (
        {"models": {"student-no-local": {"train": {"distillation": {"global_level": False}}}}},
        "models.student-no-local",
        "teachers have no effect",
    ),
    (
        {"models": {"baseline": {"train": {"loss": {"mutual_weight": 0.5}}}}},
        "models.baseline.train.loss.mutual_weight",
        "two streams",
    ),
    ({"datasets": {"logs": {"collection": "demo", "annotations": {"train": ["a"]}}}}, "datasets", "/logs/ is reserved"),
]


@pytest.mark.parametrize(("changes", "where", "what"), WRONG, ids=[row[2] for row in WRONG])
def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, changes: dict[str, Any], where: str, what: str) -> None:
    outcome = run(tmp_path, changes=changes, dry=True)
    assert outcome.status == 1
    assert len(outcome.errors) == 1
    assert outcome.errors[0].startswith(f"configuration, {where}: " if where else "configuration: ")
    assert what in outcome.errors[0]
    assert "Traceback" not in outcome.text


def test_a_report_shows_what_the_model_and_its_teachers_are_given(plan: Plan) -> None:
    about = reports.figures(plan, "charades", "student")
    assert (about["teachers"], about["exported"], about["collection"]) == (
        ["teacher"],
        ["student", "teacher"],
        "charades",
    )
    assert about["flow"] == {**plan.flow("charades"), "device": "cpu"}  # though only the teacher reads flow
    assert reports.figures(plan, "charades", "baseline")["flow"] is None
    # ActivityNet's frames for C3D are at the videos' own rate, those of its flow at 25 a second: frames and flow fit.
    assert reports.figures(plan, "activitynet", "student")["decode"]["fps"] == 25
    assert reports.figures(plan, "activitynet", "baseline")["decode"]["fps"] is None
    streams = {name: {"extractor": "external", "source": "x.h5"} for name in ("rgb", "flow")}
    elsewhere = {"name": "other", "pseudo_labels": "p-{seed}.parquet", "activation_maps": "m-{seed}.parquet"}
    models = {"taught": {"parent": "baseline", "teachers": [elsewhere]}}
    config = merge(plan.config, {"models": models, "flow": {"backend": "opencv-cuda"}})
    config["collections"]["demo"]["streams"] = streams
    other = Plan(config)
    assert reports.figures(other, "demo", "student")["flow"] is None
    assert reports.figures(other, "demo", "student")["decode"] == other.decode("demo")
    assert reports.figures(other, "charades", "student")["flow"]["backend"] == "opencv-cpu"  # no GPU for a few pictures
    assert reports.figures(other, "charades", "taught")["exported"] == ["taught", "other"]
    assert reports.elsewhere(other, "taught") == {"other": elsewhere}


def test_a_stream_that_a_collection_lacks_is_named(plan: Plan) -> None:
    del plan.collections["charades"]["streams"]["flow"]
    with pytest.raises(UserError, match=r"collection 'charades' lacks; .* datasets\.charades\.streams\.flow"):
        plan.stream("charades", "flow")


@pytest.mark.parametrize("name", ["cpl", "vslnet", "deepmind-rgb", "deepmind-flow", "activitynet-c3d"])
def test_a_recipe_says_what_is_uncertain_and_is_what_its_stage_takes(config: dict[str, Any], name: str) -> None:
    from vidistill.features.options import C3DSettings, I3DSettings
    from vidistill.video.decode import DecodeSettings

    assert "Uncertain: " in config["recipes"][name]["about"]
    config = merge(config, {"collections": {"charades": {"streams": {"made": {"recipe": name, "batch": 3}}}}})
    fill_in_recipes(config)
    plan = Plan(config)
    kind = {"i3d": I3DSettings, "c3d": C3DSettings}[plan.collections["charades"]["streams"]["made"]["extractor"]]
    settings = parse(kind, json.dumps(plan.features("charades", "made")))
    assert settings.batch == 3
    assert settings.weights == config["recipes"][name]["weights"]
    folder = plan.extracted_from("charades", "made")
    frames = plan.frames_of("charades", folder) if folder.startswith("flow") else folder
    decoded = parse(DecodeSettings, json.dumps(plan.decode("charades", frames)))
    assert decoded.fps == config["recipes"][name].get("decode", {}).get("fps", 25)


def test_a_streams_own_decoding_is_apart_from_the_others(plan: Plan) -> None:
    streams = plan.collections["charades"]["streams"]
    streams["rgb"]["decode"], streams["flow"]["flow"] = {"fps": 10}, {"warps": 2}
    streams["slow"] = {**streams["flow"], "decode": {"fps": 5}}
    assert [plan.extracted_from("charades", s) for s in ("rgb", "flow", "slow")] == [
        "frames-rgb",
        "flow-flow",
        "flow-slow",
    ]
    assert [plan.frames_of("charades", f) for f in ("flow", "flow-flow", "flow-slow")] == [
        "frames",
        "frames",
        "frames-slow",
    ]
    assert [plan.decode("charades", f)["fps"] for f in ("frames", "frames-rgb", "frames-slow")] == [25, 10, 5]
    assert [plan.flow("charades", f)["warps"] for f in ("flow", "flow-flow")] == [5, 2]
