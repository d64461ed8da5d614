"""Which settings of a result differ from the defaults."""

from typing import Any

import pytest

from vidistill.planning import differences
from vidistill.planning.config import complete, merge
from vidistill.planning.plan import Plan


def of(config: dict[str, Any], dataset: str, model: str, **changes: Any) -> list[str]:
    return differences.of_result(Plan(complete(merge(config, changes))), dataset, model)


def test_every_layer_of_a_result_is_looked_into(config: dict[str, Any]) -> None:
    found = of(config, "demo", "student")
    for line in (
        "decode.fps 8.0 (default 25.0)",
        "flow.warps 2 (default 5)",
        "i3d.flow.crop null (default 224)",
        "vocabulary.dimension 64 (default 300)",
        "train.snippets 32 (default 200)",
        "mmdist.network.dim 64 (default 256)",
    ):
        assert line in found
    changed = of(config, "demo", "student", evaluate={"confidence": 0.9}, seeds=[7])
    assert set(changed) - set(found) == {"evaluate.confidence 0.9 (default 0.95)", "seeds [7] (default [0, 1, 2])"}


def test_what_differs_for_one_model_names_it(config: dict[str, Any]) -> None:
    found = of(config, "charades", "student")
    assert "teacher: train.optimisation.learning_rate 0.00035 (default 0.0004)" in found
    assert "student: train.optimisation.learning_rate 0.0005 (default 0.0004)" in found
    assert not any("baseline" in line for line in found)
    assert not any("i3d.flow" in line for line in of(config, "charades", "baseline"))


@pytest.mark.parametrize(("model", "dataset"), [("emtm", "demo"), ("map2d", "demo"), ("mmsd", "demo-actions")])
def test_a_setting_is_the_one_that_the_training_reads(config: dict[str, Any], model: str, dataset: str) -> None:
    plan = Plan(complete(config))
    for name in plan.with_teachers([model]):
        trained = plan.train(dataset, name, 0)
        for line in of(config, dataset, model):
            key, *value = line.removeprefix(f"{name}: ").split(" (default")[0].split(" ", 1)
            section, _, path = key.partition(".")
            if section not in ("train", plan.method(name)) or (": " in line and not line.startswith(f"{name}: ")):
                continue
            read: Any = trained
            for part in path.split("."):
                read = read[part]
            assert differences._text(read) == value[0], line


def test_the_defaults_have_no_differences(config: dict[str, Any]) -> None:
    plan = Plan(complete(config))
    for dataset in plan.datasets.values():
        for section in ("train", "mmdist", "vocabulary"):
            dataset.pop(section, None)
    plan.collections["demo"] |= {"decode": {}, "flow": {}, "streams": {"rgb": {"extractor": "i3d", "input": "frames"}}}
    assert differences.of_result(plan, "demo", "baseline") == []
