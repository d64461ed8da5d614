"""Which code each stage reaches: the digest that reruns it, and the proof that training cannot read moments."""

import hashlib
import re
from pathlib import Path

import pytest

from mmdist import code

ROOT = Path(__file__).resolve().parent.parent
GROUND = {"mmdist.settings", "mmdist.shards", "mmdist.stage", "mmdist.store", "mmdist.code"}
STAGES = {
    "mmdist.data.demo": {"mmdist.data.demo_plan", "mmdist.data.demo_render"},
    "mmdist.data.queries": {"mmdist.data.sources", "mmdist.data.rows", "mmdist.video.source"},
    "mmdist.data.moments": {"mmdist.data.sources", "mmdist.data.rows"},
    "mmdist.data.download": {"mmdist.data.transfer", "mmdist.data.unpack"},
    "mmdist.data.vocabulary": {"mmdist.data.text", "mmdist.data.glove"},
    "mmdist.video.decode": {"mmdist.video.source", "mmdist.video.frames"},
    "mmdist.video.flow": {"mmdist.video.tvl1", "mmdist.video.frames", "mmdist.video.tvl1_kernels"},
    "mmdist.features.extract": {"mmdist.features.i3d", "mmdist.features.c3d", "mmdist.features.weights"},
    "mmdist.features.flow_features": {"mmdist.features.extract", "mmdist.video.flow", "mmdist.features.i3d"},
    "mmdist.features.external": set(),
    "mmdist.videos": {"mmdist.streams"},
    "mmdist.train": {"mmdist.losses", "mmdist.objective", "mmdist.samples", "mmdist.masking", "mmdist.model.network"},
    "mmdist.export": {"mmdist.predict", "mmdist.samples", "mmdist.model.network"},
    "mmdist.evaluate": {"mmdist.evaluation.metrics", "mmdist.evaluation.bootstrap"},
    "mmdist.tables": {"mmdist.evaluation.published"},
    "mmdist.figures.overview": {"mmdist.figures.page"},
    "mmdist.figures.figures": {"mmdist.figures.style", "mmdist.tables", "mmdist.video.flow", "mmdist.video.decode"},
}
# Floor by floor: a module imports from its own and from those below, never from above.
FLOORS = (
    r"(settings|code|shards|store|stage|device|gpus|machine|pace|clock|files|wording|fingerprints|__init__)",
    r"(spelling|video(\..*)?)",
    r"data(\..*)?",
    r"features(\..*)?",
    r"model(\..*)?",
    r"(videos|streams|train|trained|export|losses|objective|samples|masking|lessons|predict|progress|words)",
    r"(evaluate|evaluation(\..*)?)",
    r"(ground|ground_command|command_line|onnx_export|plots|colours|tables|figures(\..*)?|__main__)",
)
TVL1_BY_TORCH = {f"mmdist.video.tvl1_{name}" for name in ("torch", "images", "kernels", "triton")}
BEFORE_NETWORKS = {"mmdist.data.demo", "mmdist.data.queries", "mmdist.video.decode", "mmdist.video.flow"}
FOR_THE_RULES = tuple(
    f"mmdist.{name}"
    for name in ("plan", "inventory", "needs", "downloads", "shown", "unknown", "complaints", "fingerprints")
)  # no stage's code


def floor(module: str) -> int:
    name = module.removeprefix("mmdist").removeprefix(".") or "__init__"
    return next(number for number, pattern in enumerate(FLOORS) if re.fullmatch(pattern, name))


def modules() -> list[str]:
    package = ROOT / "workflow" / "mmdist"
    paths = [path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py")]
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    return sorted(names - set(FOR_THE_RULES))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reaches_what_it_is_made_of(stage: str) -> None:
    assert {stage, *STAGES[stage]} <= set(code.closure(stage))


@pytest.mark.parametrize("module", modules())
def test_imports_run_downwards(module: str) -> None:
    above = [name for name in code.closure(module) if floor(name) > floor(module)]
    assert above == []


@pytest.mark.parametrize("stage", ["mmdist.train", "mmdist.export", "mmdist.data.vocabulary"])
def test_what_learns_reaches_no_code_that_reads_moments(stage: str) -> None:
    reached = set(code.closure(stage))
    readers = {name for name in modules() if re.search(r"--moments|read_moments|\bAnnotation\b", source(name))}
    assert "mmdist.data.queries" in readers
    assert "mmdist.evaluate" in readers
    assert reached & readers == set()


@pytest.mark.parametrize(
    "stage", [f"mmdist.{name}" for name in ("video.decode", "video.flow", "data.queries", "data.demo")]
)
def test_what_comes_before_features_reaches_no_network(stage: str) -> None:
    reached = code.closure(stage)
    assert not [name for name in reached if re.match(r"mmdist\.(model|train|features|losses)", name)]
    by_torch = {name for name in reached if re.search(r"^(import|from) (torch|triton)\b", source(name), re.MULTILINE)}
    assert by_torch == (TVL1_BY_TORCH if stage == "mmdist.video.flow" else set())
    others = "".join(source(name) for name in reached if name not in by_torch)
    assert not re.search(r"^(import|from) .*tvl1_(torch|images|kernels|triton)", others, re.MULTILINE), (
        "only when needed"
    )


@pytest.mark.parametrize("module", FOR_THE_RULES)
def test_what_the_rules_import_is_light(module: str) -> None:
    heavy = r"^\s*(import|from) (torch|pandas|numpy|h5py|pyarrow|av|cv2|safetensors)\b"
    assert not [name for name in code.closure(module) if re.search(heavy, source(name), re.MULTILINE)]


def test_every_stage_of_the_rules_is_here() -> None:
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    digests, modules_run = re.findall(r'reads\("([\w.]+)"', rules), re.findall(r"-m (mmdist[\w.]+)", rules)
    assert set(digests) == set(modules_run) == set(STAGES)


def source(module: str) -> str:
    """A module's code without comments and docstrings."""
    return code._normalised(module)


def test_what_travels_with_results_leaves_out_what_computes_nothing() -> None:
    """A better message does not make a model's features those of other code; what is rerun is another matter."""
    assert {name.removeprefix("mmdist.") for name in code.CARRIERS} == set(FLOORS[0][1:-1].split("|")) - {"__init__"}
    whole = code.digests("mmdist.features.extract")
    assert code.CARRIERS & whole.keys()
    listed = "".join(f"{name} {value}\n" for name, value in whole.items() if name not in code.CARRIERS)
    assert code.digest("mmdist.features.extract") == hashlib.sha256(listed.encode()).hexdigest()
