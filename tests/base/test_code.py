"""Which code each stage reaches: the digest that reruns it, and the proof that training cannot read moments."""

import hashlib
import re
from pathlib import Path

import pytest

from vidistill.base import code

ROOT = Path(__file__).resolve().parents[2]
STAGES = {
    "vidistill.data.demo.demo": {"vidistill.data.demo.scenes", "vidistill.data.demo.drawing"},
    "vidistill.data.queries": {"vidistill.data.annotations.sources", "vidistill.data.rows", "vidistill.video.source"},
    "vidistill.data.moments": {"vidistill.data.annotations.sources", "vidistill.data.rows"},
    "vidistill.data.downloads.download": {"vidistill.data.downloads.transfer", "vidistill.data.downloads.unpack"},
    "vidistill.data.vocabulary": {"vidistill.data.text", "vidistill.data.glove"},
    "vidistill.video.decode": {"vidistill.video.source", "vidistill.video.frames"},
    "vidistill.video.flow": {
        "vidistill.video.tvl1.parameters",
        "vidistill.video.frames",
        "vidistill.video.tvl1.kernels",
    },
    "vidistill.features.extract": {"vidistill.features.i3d", "vidistill.features.c3d", "vidistill.features.weights"},
    "vidistill.features.flow_features": {
        "vidistill.features.extract",
        "vidistill.video.flow",
        "vidistill.features.i3d",
    },
    "vidistill.features.external": set(),
    "vidistill.features.availability": {"vidistill.features.states"},
    "vidistill.mmdist.train": {
        "vidistill.mmdist.losses",
        "vidistill.mmdist.objective",
        "vidistill.training.samples",
        "vidistill.mmdist.masking",
        "vidistill.mmdist.network",
    },
    "vidistill.mmdist.export": {
        "vidistill.mmdist.predict",
        "vidistill.training.samples",
        "vidistill.mmdist.network",
    },
    "vidistill.evaluation.evaluate": {"vidistill.evaluation.metrics", "vidistill.evaluation.bootstrap"},
    "vidistill.evaluation.tables": {"vidistill.evaluation.published"},
    "vidistill.report.overview": {"vidistill.report.page"},
    "vidistill.report.figures": {
        "vidistill.report.style",
        "vidistill.evaluation.tables",
        "vidistill.video.flow",
        "vidistill.video.decode",
    },
}
# Floor by floor, a folder each: a module imports from its own folder and from floors below, never beside or above.
FLOORS = (
    ("base",),
    ("video",),
    ("data",),
    ("features",),
    ("training", "planning"),
    ("mmdist",),
    ("evaluation",),
    ("report", "commands"),
    ("__main__",),
)
TVL1_BY_TORCH = {f"vidistill.video.tvl1.{name}" for name in ("by_torch", "images", "kernels", "fused")}
BEFORE_NETWORKS = {
    "vidistill.data.demo.demo",
    "vidistill.data.queries",
    "vidistill.video.decode",
    "vidistill.video.flow",
}


def folder(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def modules() -> list[str]:
    package = ROOT / "workflow" / "vidistill"
    paths = [path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py")]
    return sorted({".".join(path.parts).removesuffix(".__init__") for path in paths})


def above_or_beside(module: str) -> list[str]:
    """The folders that a module must not reach."""
    own = folder(module)
    floor = next((number for number, folders in enumerate(FLOORS) if own in folders), -1)
    below = {name for folders in FLOORS[:floor] for name in folders}
    return sorted({folder(name) for name in code.closure(module)} - below - {own, ""})


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reaches_what_it_is_made_of(stage: str) -> None:
    assert {stage, *STAGES[stage]} <= set(code.closure(stage))


@pytest.mark.parametrize("module", modules())
def test_a_folder_is_a_wall(module: str) -> None:
    assert above_or_beside(module) == []


@pytest.mark.parametrize("stage", ["vidistill.mmdist.train", "vidistill.mmdist.export", "vidistill.data.vocabulary"])
def test_what_learns_reaches_no_code_that_reads_moments(stage: str) -> None:
    reached = set(code.closure(stage))
    readers = {name for name in modules() if re.search(r"--moments|read_moments|\bAnnotation\b", source(name))}
    assert "vidistill.data.queries" in readers
    assert "vidistill.evaluation.evaluate" in readers
    assert reached & readers == set()


@pytest.mark.parametrize(
    "stage", [f"vidistill.{name}" for name in ("video.decode", "video.flow", "data.queries", "data.demo.demo")]
)
def test_what_comes_before_features_reaches_no_network(stage: str) -> None:
    reached = code.closure(stage)
    assert not [name for name in reached if re.match(r"vidistill\.(mmdist|training|features)", name)]
    by_torch = {name for name in reached if re.search(r"^(import|from) (torch|triton)\b", source(name), re.MULTILINE)}
    assert by_torch == (TVL1_BY_TORCH if stage == "vidistill.video.flow" else set())
    others = "".join(source(name) for name in reached if name not in by_torch)
    assert not re.search(r"^(import|from) .*tvl1.*\b(by_torch|images|kernels|fused)\b", others, re.MULTILINE)


@pytest.mark.parametrize("module", [name for name in modules() if folder(name) == "planning"])
def test_what_the_rules_import_is_light(module: str) -> None:
    heavy = r"^\s*(import|from) (torch|pandas|numpy|h5py|pyarrow|av|cv2|safetensors)\b"
    assert not [name for name in code.closure(module) if re.search(heavy, source(name), re.MULTILINE)]


def test_every_stage_of_the_rules_is_here() -> None:
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    digests, modules_run = re.findall(r'reads\("([\w.]+)"', rules), re.findall(r"-m (vidistill[\w.]+)", rules)
    assert set(digests) == set(modules_run) == set(STAGES)


def source(module: str) -> str:
    """A module's code without comments and docstrings."""
    return code._normalised(module)


def test_what_travels_with_results_leaves_out_what_computes_nothing() -> None:
    """A better message does not make a model's features those of other code; what is rerun is another matter."""
    assert set(modules()) > code.CARRIERS
    whole = code.digests("vidistill.features.extract")
    assert code.CARRIERS & whole.keys()
    listed = "".join(f"{name} {value}\n" for name, value in whole.items() if name not in code.CARRIERS)
    assert code.digest("vidistill.features.extract") == hashlib.sha256(listed.encode()).hexdigest()
