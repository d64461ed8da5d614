"""The configuration: what counts over what, what models inherit and need, and that all its copies agree."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_sets import IDS, actions_tree
from vidistill.base.settings import parse
from vidistill.base.stage import UserError
from vidistill.planning import document, needs
from vidistill.planning import report as reports
from vidistill.planning.config import PARTIAL, Config, complete, merge
from vidistill.planning.inventory import Inventory
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


def test_seeds_may_be_ranges_and_predictions_from_elsewhere_have_their_own(config: dict[str, Any]) -> None:
    models = {
        name: {"predictions": f"{{dataset}}/{name}{path}"} for name, path in (("one", ".jsonl"), ("all", "-{seed}"))
    }
    changed = Plan(complete(merge(config, {"seeds": [7, "0..2"], "models": models})))
    assert changed.seeds("demo") == [7, 0, 1, 2]
    assert [changed.evaluate("demo", name)["seeds"] for name in ("one", "all")] == [[7], [7, 0, 1, 2]]
    assert changed.external_file("demo", "all", 2) == "demo/all-2"
    assert changed.trained("one") == ["one"]
    assert changed.roles(["one"]) == []


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
    from vidistill.settings import efficiency, emtm, mmdist, mmsd
    from vidistill.settings.decode import DecodeSettings
    from vidistill.settings.demo import DemoSettings
    from vidistill.settings.downloads import DownloadSettings
    from vidistill.settings.export import ExportSettings
    from vidistill.settings.external import ExternalSettings
    from vidistill.settings.extract import C3DSettings, I3DSettings
    from vidistill.settings.flow import FlowSettings
    from vidistill.settings.localisation import LocalisationSettings
    from vidistill.settings.localise import LocaliseSettings
    from vidistill.settings.queries import QueriesSettings, TrainingMomentsSettings
    from vidistill.settings.retrieve import RetrieveSettings
    from vidistill.settings.vocabulary import VocabularySettings

    given: list[tuple[type, dict[str, Any]]] = [(DemoSettings, plan.config["demo"])]
    given += [(ExportSettings, plan.export(model)) for model in plan.models]
    for dataset in plan.datasets:
        given += [(QueriesSettings, plan.queries(dataset)), (VocabularySettings, plan.vocabulary(dataset))]
        given += [(TablesSettings, plan.tables(dataset)), (TrainingMomentsSettings, plan.training_rows(dataset))]
        given += [(efficiency.EfficiencySettings, plan.efficiency(dataset, plan.models))]
        for model in plan.models:
            kind = {"mmdist": mmdist, "emtm": emtm, "mmsd": mmsd}[plan.method(model)].TrainSettings
            given += [(kind, plan.train(dataset, model, 0)), (EvaluateSettings, plan.evaluate(dataset, model))]
            given += [(LocaliseSettings, plan.localise(dataset, model))]
            given += [(RetrieveSettings, plan.retrieve(dataset, model))]
            given += [(LocalisationSettings, plan.localisation(dataset, model))]
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
    assert [plan.snippets(name, "mmsd") for name in ("thumos14", "activitynet-1.3")] == [None, 75]


def test_each_kind_of_annotations_has_its_keys(plan: Plan) -> None:
    thumos, charades = plan.queries("thumos14"), plan.queries("charades")
    assert (thumos["subsets"], thumos["labels"]) == ({"train": "validation", "test": "test"}, "file")
    assert (thumos["beyond_duration"], charades["beyond_duration"]) == ("keep", "clamp")
    assert not {"subsets", "labels"} & charades.keys()
    assert plan.localise("activitynet-1.3", "mmsd")["id_prefix"] == "v_"


def test_a_model_of_actions_has_its_own_thresholds_and_the_data_set_before_it(plan: Plan) -> None:
    own = {"localise": {"class_threshold": 0.3, "overlap": 0.1}}
    changed = Plan(merge(plan.config, {"models": {"few": {"parent": "mmsd", **own}}}))
    assert [changed.localise("thumos14", "few")[key] for key in ("class_threshold", "overlap")] == [0.3, 0.1]
    assert [changed.localise("demo-actions", "few")[key] for key in ("class_threshold", "overlap")] == [0.05, 0.1]


def test_features_of_native_length_are_estimated_by_durations(plan: Plan, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    actions_tree(tmp_path, "thumos14")
    rows = len(IDS) * 9.5 * 25 / 16  # one for 16 frames
    found = Inventory(plan).feature_bytes("thumos14", "mmsd", lambda *_: 0)
    assert found == pytest.approx(2 * 1024 * 4 * rows, rel=0.01)


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


def test_several_seeds_of_a_model_are_several_teachers_of_each_student(plan: Plan) -> None:
    files = [f"results/demo/teacher/seed-{seed}/{{}}.parquet" for seed in (0, 1, 2)]
    expected = {table: [file.format(table) for file in files] for table in ("pseudo_labels", "activation_maps")}
    assert plan.tables_of_teachers("demo", "student-voting") == expected
    assert plan.train("demo", "student-voting", 7)["teachers"] == ["teacher:0", "teacher:1", "teacher:2"]
    assert plan.with_teachers(["student-voting"]) == ["student-voting", "teacher"]
    about = reports.figures(plan, "demo", "student-voting")
    assert (about["teachers"], about["exported"]) == (["teacher"], ["student-voting", "teacher"])
    # Without maps as targets, they are still needed to choose among pseudo labels.
    levels = {"models": {"student-voting": {"mmdist": {"distillation": {"local_level": False}}}}}
    assert Plan(merge(plan.config, levels)).tables_of_teachers("demo", "student-voting") == expected


def test_students_of_mmsd_read_its_tables(plan: Plan) -> None:
    folder = "results/demo-actions/mmsd/seed-{seed}"
    assert plan.tables_of_teachers("demo-actions", "mmsd-student") == {
        "activation_maps": [f"{folder}/activation_maps.parquet"]
    }
    tables = ("pseudo_labels", "activation_maps")
    assert plan.tables_of_teachers("demo-actions", "student-mmsd") == {t: [f"{folder}/{t}.parquet"] for t in tables}
    assert needs.lacks(plan, "demo-actions", plan.with_teachers(["student-mmsd", "mmsd-student"])) == []
    (message,) = needs.lacks(plan, "demo", plan.with_teachers(["student-mmsd"]))
    assert message.startswith("configuration, mmsd on demo: ")
    assert "from labels, and the data set has sentences" in message
    about = reports.action_figures(plan, "demo-actions", "mmsd")
    assert about["localisation"]["tious"] == [0.3, 0.4, 0.5, 0.6, 0.7]
    assert about["flow"] == {**plan.flow("demo"), "device": "cpu"}
    assert reports.action_figures(plan, "demo-actions", "mmsd-student")["flow"] is None


def test_several_teachers_of_mmdist_must_be_aggregated(plan: Plan) -> None:
    several = {"models": {"student": {"teachers": ["teacher", "baseline"]}}}
    (message,) = needs.lacks(Plan(merge(plan.config, several)), "demo", ["student"])
    assert message.startswith("configuration, student on demo: mmdist.distillation.aggregation single takes one")
    assert "2 teachers and 1 streams" in message


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


@pytest.mark.parametrize(
    "name", ["cpl", "vslnet", "deepmind-rgb", "deepmind-flow", "activitynet-c3d", "wtal-rgb", "wtal-flow"]
)
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
