"""docs/emtm.md and docs/outputs.md beside the code."""

import importlib
import re

import pandas as pd
import pytest

import emtm_runs
import small_emtm
from conftest import ROOT


def section(page: str, title: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    "name", re.findall(r"`((?!vidistill)[a-z0-9_]+\.[A-Za-z0-9_]+)`", section("emtm.md", "Where it is"))
)
def test_every_function_that_is_named_exists(name: str) -> None:
    module, _, function = name.partition(".")
    assert hasattr(importlib.import_module(f"vidistill.emtm.{module}"), function)


def test_every_model_that_is_named_exists_and_every_setting(config) -> None:
    rows = re.findall(r"^\| (`.*?) \|", section("emtm.md", "Models"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)}
    assert named == {m for m, about in config["models"].items() if "emtm" in m or m in ("fast", "seqpan", "map2d")} - {
        "emtm-pseudo"
    }
    for key in re.findall(r"`([a-z0-9_.]+)` \|$|`([a-z0-9_.]+)`, ", section("emtm.md", "Decisions"), re.MULTILINE):
        path = "".join(key).split(".")
        part = config if path[0] in config else config["emtm"]
        for step in path:
            part = part[step]


def test_the_loss_terms_that_are_described_are_those_of_a_student_with_teachers(config, tmp_path) -> None:
    folder = small_emtm.write(tmp_path)
    section = small_emtm.train_section(config, teachers=["first"], held_out=0.3)
    given = ["--training-moments", folder / "training_moments.parquet"]
    model = emtm_runs.train(folder, section, *given, "--activation-maps", folder / "first/activation_maps.parquet")
    text = (ROOT / "docs/outputs.md").read_text(encoding="utf-8")
    paragraph = (
        text.partition("Of EMTM's models, `history.parquet` has")[2].partition("\n\n")[0].partition("`map2d`")[0]
    )
    assert set(re.findall(r"`([a-z_]+)`", paragraph)) == set(pd.read_parquet(model.with_name("history.parquet")))
