"""The configuration: what is refused and how it is said, what counts over what, and that all its copies agree."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from vidistill.base.settings import parse
from vidistill.base.stage import UserError
from vidistill.planning import document, needs
from vidistill.planning import report as reports
from vidistill.planning.config import PARTIAL, Config, complete, merge
from vidistill.planning.keys import forms
from vidistill.planning.plan import Plan
from workflow_runs import ROOT, run


@pytest.fixture
def plan(config: dict[str, Any]) -> Plan:
    return Plan(complete(config))


def test_the_file_that_users_edit_shows_the_defaults(config: dict[str, Any]) -> None:
    sections = {name for name, field in Config.model_fields.items() if not field.is_required()} - PARTIAL
    default = Config.model_construct().model_dump(mode="json", include=sections - {"tables", "downloads"})
    assert {name: config[name] for name in default} == default


def test_every_key_says_what_it_is() -> None:
    schema = Config.model_json_schema()
    # A section's own description is that of its class.
    sections = [part for part in (schema, *schema["$defs"].values()) if "properties" in part]
    unsaid = [key for part in sections for key, about in part["properties"].items() if not described(schema, about)]
    assert unsaid == []
    assert all(part["additionalProperties"] is False for part in sections)


def described(schema: dict[str, Any], about: dict[str, Any]) -> bool:
    return bool(about.get("description") or forms(schema, about)[0].get("description"))


def test_the_page_of_keys_and_the_editors_schema_are_made_from_the_models() -> None:
    made = {"README.md": document.page(), "schema.json": document.schema_text()}
    assert {name: (ROOT / "config" / name).read_text() for name in made} == made, "run `make docs`"


def test_every_stage_takes_the_settings_that_the_plan_gives(plan: Plan) -> None:
    from vidistill.evaluation.evaluate import EvaluateSettings
    from vidistill.evaluation.tables import TablesSettings
    from vidistill.features.availability import AvailabilitySettings
    from vidistill.planning import downloads
    from vidistill.report.figures import FiguresSettings
    from vidistill.report.overview import OverviewSettings
    from vidistill.settings import efficiency, emtm, mmdist
    from vidistill.settings.decode import DecodeSettings
    from vidistill.settings.demo import DemoSettings
    from vidistill.settings.downloads import DownloadSettings
    from vidistill.settings.export import ExportSettings
    from vidistill.settings.external import ExternalSettings
    from vidistill.settings.extract import C3DSettings, I3DSettings
    from vidistill.settings.flow import FlowSettings
    from vidistill.settings.queries import QueriesSettings, TrainingMomentsSettings
    from vidistill.settings.vocabulary import VocabularySettings

    given: list[tuple[type, dict[str, Any]]] = [(DemoSettings, plan.config["demo"])]
    given += [(ExportSettings, plan.export(model)) for model in plan.models]
    for dataset in plan.datasets:
        given += [(QueriesSettings, plan.queries(dataset)), (VocabularySettings, plan.vocabulary(dataset))]
        given += [(TablesSettings, plan.tables(dataset)), (TrainingMomentsSettings, plan.training_moments(dataset))]
        given += [(efficiency.EfficiencySettings, plan.efficiency(dataset, plan.models))]
        for model in plan.models:
            kind = {"mmdist": mmdist, "emtm": emtm}[plan.method(model)].TrainSettings
            given += [(kind, plan.train(dataset, model, 0)), (EvaluateSettings, plan.evaluate(dataset, model))]
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


def test_a_model_has_its_own_export(plan: Plan) -> None:
    models = {"sharp": {"parent": "teacher", "export": {"sigma": 0.01}}, "child": {"parent": "sharp"}}
    merged = Plan(merge(plan.config, {"models": models}))
    assert [merged.export(model)["sigma"] for model in ("child", "teacher")] == [0.01, 0.05]


def test_a_result_needs_what_it_is_compared_with_and_their_teachers(plan: Plan) -> None:
    config = merge(plan.config, {"models": {"teacher": {"teachers": ["elder"]}, "elder": {"parent": "baseline"}}})
    assert plan.trained("student") == ["student", "baseline", "teacher"]
    assert plan.trained("teacher") == ["teacher"]
    assert Plan(config).trained("student") == ["student", "baseline", "teacher", "elder"]


WRONG = [
    ({"train": {"optimisation": {"lerning_rate": 1}}}, "train.optimisation", "did you mean 'learning_rate'?"),
    (
        {"datasets": {"demo": {"mmdist": {"network": {"dims": 1}}}}},
        "datasets.demo.mmdist.network",
        "did you mean 'dim'?",
    ),
    ({"collections": {"demo": {"streams": {"rgb": {"weihgts": None}}}}}, "collections.demo.streams.rgb", "'weights'?"),
    (
        {"collections": {"demo": {"streams": {"rgb": {"weights": 5}}}}},
        "collections.demo.streams.rgb.weights",
        "should be a valid string",
    ),
    ({"collections": {"demo": {"decode": {"fsp": 5}}}}, "collections.demo.decode", "did you mean 'fps'?"),
    ({"collections": {"demo": {"shards": 0}}}, "collections.demo.shards", "0 should be greater than or equal to 1"),
    ({"sed": [1]}, "the top level", "did you mean 'seeds'?"),
    ({"seeds": ["x"]}, "seeds.0", "should be a valid integer"),
    ({"seeds": [1.0]}, "seeds.0", "should be a valid integer"),
    ({"seeds": [1, 1]}, "seeds", "1 is given twice"),
    ({"seeds": []}, "seeds", "at least 1 item"),
    ({"seeds": [10**30]}, "seeds.0", "too large"),
    ({"collections": {"demo": {"shards": 2.0}}}, "collections.demo.shards", "should be a valid integer"),
    ({"decode": {"max_seconds": float("inf")}}, "decode.max_seconds", "finite"),
    ({"train": {"optimisation": {"learning_rate": float("nan")}}}, "train.optimisation.learning_rate", "is nan"),
    ({"datasets": {2024: {"collection": "demo"}}}, "datasets", "key 2024 is read as a number"),
    ({"datasets": {datetime.date(2024, 5, 1): {}}}, "datasets", "key 2024-05-01 is read as a date"),
    ({"models": {True: {"parent": "baseline"}}}, "models", "is read as true or false"),
    ({"collections": {"demo": {"streams": {None: {}}}}}, "collections.demo.streams", "is read as null"),
    ({"tables": {"x": {"a", "b"}}}, "tables.x", "is read as a set"),
    ({"device": b"cpu"}, "device", "is read as binary data"),
    ({"collections": {"demo": {"videos": "a\0b"}}}, "collections.demo.videos", "no file name"),
    ({"device": "gpu"}, "device", "use 'auto', 'cpu' or 'cuda'"),
    ({"datasets": {"own": {"collection": "demo"}}}, "datasets.own", "'annotations' is missing"),
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
        {"models": {"baseline": {"mmdist": {"distillation": {"weight": 0.5}}}}},
        "models.baseline.mmdist.distillation",
        "without teachers",
    ),
    (
        {"models": {"b": {"parent": "student", "mmdist": {"loss": {"local_learning": False}}}}},
        "models.b.mmdist.distillation.local_level",
        "local_learning is false",
    ),
    (
        {"models": {"student-no-local": {"mmdist": {"distillation": {"global_level": False}}}}},
        "models.student-no-local",
        "teachers have no effect",
    ),
    (
        {"models": {"baseline": {"mmdist": {"loss": {"mutual_weight": 0.5}}}}},
        "models.baseline.mmdist.loss.mutual_weight",
        "two streams",
    ),
    ({"models": {"fast": {"mmdist": {}}}}, "models.fast.mmdist", "the model's method is emtm"),
    ({"models": {"baseline": {"emtm": {}}}}, "models.baseline.emtm", "the model's method is mmdist"),
    ({"models": {"fast": {"network": "single"}}}, "models.fast.network", "supported values are student, seqpan, map2d"),
    ({"models": {"student": {"supervision": "full"}}}, "models.student.supervision", "supported values are weak"),
    ({"models": {"b": {"method": "emtm", "network": "student", "streams": ["rgb"]}}}, "models.b", "'supervision' is"),
    ({"models": {"fast": {"labels": "teacher"}}}, "models.fast.labels", "no effect with supervision: full"),
    ({"models": {"fast-pseudo": {"labels": "elder"}}}, "models.fast-pseudo.labels", "there is no 'elder' in models"),
    ({"models": {"fast": {"train": {"train_splits": ["val"]}}}}, "models.fast.train.train_splits", "in section train"),
    ({"models": {"fast": {"train": {"snippets": 9}}}}, "models.fast.train.snippets", "read emtm.snippets"),
    ({"models": {"seqpan": {"teachers": ["teacher"]}}}, "models.seqpan.teachers", "the model's network is seqpan"),
    ({"models": {"seqpan": {"emtm": {"student": {"dim": 8}}}}}, "models.seqpan.emtm.student", "network is seqpan"),
    ({"models": {"seqpan": {"emtm": {"distillation": {}}}}}, "models.seqpan.emtm.distillation", "network is seqpan"),
    ({"models": {"map2d": {"emtm": {"snippets": 9}}}}, "models.map2d.emtm.snippets", "network is map2d"),
    ({"models": {"map2d": {"train": {"normalise": "l2"}}}}, "models.map2d.train.normalise", "emtm.map2d.normalise"),
    ({"models": {"seqpan": {"export": {"sigma": 0.1}}}}, "models.seqpan.export.sigma", "no proposals"),
    (
        {"models": {"emtm-no-labels": {"emtm": {"distillation": {"kd": "kl"}}}}},
        "models.emtm-no-labels.emtm.distillation.kd",
        "no teachers",
    ),
    (
        {"models": {"emtm-mean": {"emtm": {"distillation": {"aggregation_norm": "batch"}}}}},
        "models.emtm-mean.emtm.distillation.aggregation_norm",
        "not weighted",
    ),
    (
        {"models": {"emtm-mean": {"emtm": {"loss": {"aggregation": 2.0}}}}},
        "models.emtm-mean.emtm.loss.aggregation",
        "no Knowledge Aggregation Unit",
    ),
    (
        {"models": {"emtm-no-labels": {"emtm": {"loss": {"distillation": 1.0}}}}},
        "models.emtm-no-labels.emtm.loss.distillation",
        "no teachers",
    ),
    (
        {"models": {"emtm-no-shared": {"emtm": {"loss": {"isomorphic": 1.0}}}}},
        "models.emtm-no-shared.emtm.loss.isomorphic",
        "isomorphic is false",
    ),
    (
        {"models": {"emtm-mean": {"emtm": {"loss": {"distillation": 0.0}}}}},
        "models.emtm-mean",
        "teachers have no effect",
    ),
    (
        {"models": {"emtm": {"train": {"optimisation": {"warmup_updates": 9}}}}},
        "models.emtm.train.optimisation.warmup_updates",
        "the schedule is linear",
    ),
    (
        {"models": {"map2d": {"train": {"optimisation": {"slow_rate": 0.5}}}}},
        "models.map2d.train.optimisation.slow_rate",
        "slow_epochs is 0",
    ),
    ({"datasets": {"logs": {"collection": "demo", "annotations": {"train": ["a"]}}}}, "datasets", "/logs/ is reserved"),
]


def test_all_errors_are_said_at_once(config: dict[str, Any]) -> None:
    changes = {
        "sed": [1],
        "device": "gpu",
        "train": {"loss": {"mutual_weight": 1.0}},
        "datasets": {"own": {"collection": "demo"}, "demo": {"evaluate": {"confidence": 2}}},
        "collections": {"demo": {"streams": {"rgb": {"weights": 5}, "x": {"recipe": "lgi"}}}},
    }
    with pytest.raises(UserError) as caught:
        complete(merge(config, changes))
    lines = str(caught.value).splitlines()
    assert all(line.startswith("configuration, ") and line.endswith((".", "?")) for line in lines)
    places = "the top level", "device", "train", "datasets.own", "datasets.demo.evaluate.confidence"
    places += "collections.demo.streams.rgb.weights", "collections.demo.streams.x"
    assert sorted(line.removeprefix("configuration, ").partition(":")[0] for line in lines) == sorted(places)
    assert "the key 'loss' is unknown; did you mean 'mmdist.loss' or 'emtm.loss'?" in str(caught.value)
    references = {"datasets": {"demo": {"collection": "dmeo"}}, "models": {"a_b": {"parent": "baselin"}}}
    with pytest.raises(UserError) as caught:
        Plan(complete(merge(config, references)))
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(("changes", "where", "what"), WRONG, ids=[row[2] for row in WRONG])
def test_what_is_wrong_is_said_in_one_sentence(
    config: dict[str, Any], changes: dict[str, Any], where: str, what: str
) -> None:
    with pytest.raises(UserError) as caught:
        Plan(complete(merge(config, changes)))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"configuration, {where}: " if where else "configuration: ")
    assert what in line


@pytest.mark.parametrize(
    ("models", "way"),
    [
        ({"fast-pseudo": {"labels": "seqpan"}}, "fast-pseudo from seqpan"),
        ({"emtm-pseudo": {"teachers": ["map2d-pseudo", "seqpan"]}}, "emtm-pseudo from seqpan"),
        ({"student": {"teachers": ["fast"]}}, "student from fast"),  # weak would be as untrue
        (
            {"seqpan-pseudo": {"labels": "other"}, "other": {"parent": "student", "teachers": ["fast"]}},
            "emtm-pseudo from seqpan-pseudo from other from fast",
        ),
    ],
)
def test_no_model_without_moments_learns_from_one_with(
    config: dict[str, Any], models: dict[str, Any], way: str
) -> None:
    with pytest.raises(UserError) as caught:
        Plan(complete(merge(config, {"models": models})))
    lines = str(caught.value).splitlines()
    assert all("which reads training moments" in line for line in lines)
    assert any(f"({way}); name other teachers or labels." in line for line in lines)


def test_a_model_that_learns_from_itself_is_refused(config: dict[str, Any]) -> None:
    models = {"seqpan-pseudo": {"labels": "emtm-pseudo"}}
    with pytest.raises(UserError, match=r"models\.emtm-pseudo: it learns from itself \(emtm-pseudo from seqpan-pseudo"):
        Plan(complete(merge(config, {"models": models})))


def test_each_method_has_its_own_snippets(plan: Plan) -> None:
    """Though the demo gives `train.snippets` for MMDist, which come after the sections."""
    assert plan.train("demo", "student", 0)["snippets"] == 32
    assert plan.train("charades", "fast", 0)["snippets"] == 64
    changed = Plan(merge(plan.config, {"datasets": {"charades": {"train": {"snippets": 9}}}}))
    assert changed.train("charades", "fast", 0)["snippets"] == 64
    assert [changed.snippets("charades", model) for model in ("student", "fast", "map2d")] == [9, 64, 256]


def test_pseudo_models_need_the_model_of_their_labels(plan: Plan) -> None:
    assert plan.with_teachers(["fast"]) == ["fast"]
    assert plan.with_teachers(["fast-pseudo"]) == ["fast-pseudo", "teacher"]
    assert plan.labels("demo", "fast-pseudo") == "results/demo/teacher/seed-{seed}/pseudo_labels.parquet"
    assert plan.labels("demo", "fast") is None
    assert plan.train("demo", "fast-pseudo", 0)["labels"] == "teacher"


def test_a_student_of_emtm_reads_the_maps_of_its_teachers_in_their_order(plan: Plan) -> None:
    elsewhere = {"name": "other", "activation_maps": "m-{seed}.parquet"}
    config = merge(plan.config, {"models": {"emtm": {"teachers": ["seqpan", elsewhere, "teacher"]}}})
    maps = [f"results/demo/{name}/seed-{{seed}}/activation_maps.parquet" for name in ("seqpan", "teacher")]
    assert Plan(config).tables_of_teachers("demo", "emtm") == {
        "activation_maps": [maps[0], "m-{seed}.parquet", maps[1]]
    }
    assert plan.tables_of_teachers("demo", "fast") == {}


def test_a_run_ends_with_the_sentences(tmp_path: Path) -> None:
    outcome = run(tmp_path, changes={"device": "gpu", "sed": [1], "datasets": {2024: {}}}, dry=True)
    assert outcome.status == 1
    assert [error.partition(": ")[0] for error in outcome.errors] == ["configuration, datasets"]
    outcome = run(tmp_path, changes={"device": "gpu", "sed": [1]}, dry=True)
    assert outcome.status == 1
    assert sorted(error.partition(": ")[0] for error in outcome.errors) == [
        "configuration, device",
        "configuration, the top level",
    ]
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
    assert reports.figures(plan, "charades", "emtm")["exported"] == ["emtm", "map2d", "teacher", "seqpan"]
    pseudo = reports.figures(plan, "charades", "fast-pseudo")  # with the model of its labels
    assert (pseudo["teachers"], pseudo["exported"]) == (["teacher"], ["fast-pseudo", "teacher"])


@pytest.mark.parametrize(
    ("emtm", "message"),
    [
        ({"student": {"dim": 20}}, "8 heads do not divide emtm.student.dim 20; use another number of heads."),
        ({"words": 90}, "emtm.words 90 is above emtm.snippets 64; lower it."),
    ],
)
def test_settings_that_do_not_fit_each_other_are_said_before_a_run(plan: Plan, emtm: Any, message: str) -> None:
    wrong = Plan(merge(plan.config, {"datasets": {"charades": {"emtm": emtm}}}))
    assert needs.lacks(wrong, "charades", ["fast", "student"]) == [f"configuration, fast on charades: {message}"]
    assert not any("configuration" in line for line in needs.lacks(plan, "charades", ["fast", "student"]))


def test_a_stream_that_a_collection_lacks_is_named(plan: Plan) -> None:
    del plan.collections["charades"]["streams"]["flow"]
    with pytest.raises(UserError, match=r"collection 'charades' lacks; .* datasets\.charades\.streams\.flow"):
        plan.stream("charades", "flow")


@pytest.mark.parametrize("name", ["cpl", "vslnet", "deepmind-rgb", "deepmind-flow", "activitynet-c3d"])
def test_a_recipe_says_what_is_uncertain_and_is_what_its_stage_takes(config: dict[str, Any], name: str) -> None:
    from vidistill.settings.decode import DecodeSettings
    from vidistill.settings.extract import C3DSettings, I3DSettings

    assert "Uncertain: " in config["recipes"][name]["about"]
    config = merge(config, {"collections": {"charades": {"streams": {"made": {"recipe": name, "batch": 3}}}}})
    plan = Plan(complete(config))
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


def test_a_misspelt_key_of_another_section_is_named_with_its_section(config: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"the key 'los' is unknown; did you mean 'mmdist\.loss' or 'emtm\.loss'"):
        complete(merge(config, {"train": {"los": {}}}))
