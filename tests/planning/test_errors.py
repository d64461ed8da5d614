"""What is refused in a configuration, and how it is said."""

import datetime
from typing import Any

import pytest

from vidistill.base.stage import UserError
from vidistill.planning.config import complete, merge
from vidistill.planning.plan import Plan

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
    (
        {"models": {"b": {"parent": "student-mean", "teachers": [{"model": "c", "seeds": [0]}]}}},
        "models.b.teachers",
        "there is no 'c' in models",
    ),
    (
        {"models": {"b": {"parent": "student-mean", "teachers": ["teacher", {"model": "teacher", "seeds": [0]}]}}},
        "models.b.teachers",
        "'teacher' is named twice",
    ),
    ({"models": {"student-mean": {"teachers": [{"model": "teacher"}]}}}, "models.student-mean.teachers.0", "'seeds'"),
    (
        {"models": {"student-mean": {"mmdist": {"distillation": {"reliable": 0.5}}}}},
        "models.student-mean.mmdist.distillation.reliable",
        "aggregation is mean",
    ),
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
    ({"models": {"mmsd": {"train": {"snippets": 9}}}}, "models.mmsd.train.snippets", "read mmsd.snippets"),
    ({"models": {"mmsd-base": {"supervision": "full"}}}, "models.mmsd-base.supervision", "supported values are weak"),
    ({"models": {"mmsd": {"export": {"threads": 1}}}}, "models.mmsd.export", "tables while they train"),
    ({"models": {"mmsd": {"mmsd": {"distillation": {}}}}}, "models.mmsd.mmsd.distillation", "has no teachers"),
    ({"models": {"fast": {"localise": {"overlap": 0.5}}}}, "models.fast.localise", "emtm find no segments"),
    (
        {"models": {"mmsd-fused": {"mmsd": {"loss": {"temperature": 0.5}}}}},
        "models.mmsd-fused.mmsd.loss.temperature",
        "teach each other",
    ),
    (
        {"models": {"mmsd-fused": {"mmsd": {"pseudo_labels": {"voting": False}}}}},
        "models.mmsd-fused.mmsd.pseudo_labels.voting",
        "no streams that vote",
    ),
    (
        {"models": {"mmsd-no-mkd": {"mmsd": {"loss": {"temperature": 0.5}}}}},
        "models.mmsd-no-mkd.mmsd.loss.temperature",
        "distillation_weight is 0",
    ),
    (
        {"models": {"mmsd-no-voting": {"mmsd": {"pseudo_labels": {"margin": 0.5}}}}},
        "models.mmsd-no-voting.mmsd.pseudo_labels.margin",
        "voting is false",
    ),
    (
        {"models": {"mmsd-no-pseudo": {"mmsd": {"pseudo_labels": {"memory": False}}}}},
        "models.mmsd-no-pseudo.mmsd.pseudo_labels.memory",
        "pseudo_label_weight is 0",
    ),
    (
        {"models": {"mmsd": {"compare_with": ["mmsd-base", "student"]}}},
        "models.mmsd.compare_with",
        "mmsd finds segments of labels and student moments of sentences",
    ),
    ({"tables": {"x": ["student", "mmsd"]}}, "tables.x", "cannot be compared"),
    ({"models": {"mine": {"predictions": "a.jsonl", "streams": ["rgb"]}}}, "models.mine.streams", "made elsewhere"),
    (
        {"models": {"mine": {"predictions": "a.jsonl"}, "x": {"parent": "student", "teachers": ["mine"]}}},
        "models.x",
        "cannot learn from mine",
    ),
    ({"models": {"x": {"parent": "student", "task": "grounding"}}}, "models.x.task", "no effect without predictions"),
    ({"seeds": ["5..a"]}, "seeds.0", "'5..a' should be a valid integer"),
    ({"datasets": {"demo": {"labels": "file"}}}, "datasets.demo.labels", "no effect with format: table"),
    ({"datasets": {"demo": {"format": "activitynet13"}}}, "datasets.demo", "set task: localization"),
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
    assert "the key 'loss' is unknown; did you mean 'mmdist.loss' or 'emtm.loss' or 'mmsd.loss'?" in str(caught.value)
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


def test_a_misspelt_key_of_another_section_is_named_with_its_section(config: dict[str, Any]) -> None:
    meant = r"the key 'los' is unknown; did you mean 'mmdist\.loss' or 'emtm\.loss' or 'mmsd\.loss'"
    with pytest.raises(UserError, match=meant):
        complete(merge(config, {"train": {"los": {}}}))
