"""Which code each stage reaches: the digest that reruns it, and the proof that training cannot read moments."""

import ast
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vidistill.base import code

ROOT = Path(__file__).resolve().parents[2]
STAGES = {
    "vidistill.data.demo.demo": {"vidistill.data.demo.scenes", "vidistill.data.demo.drawing"},
    "vidistill.data.demo.actions": {"vidistill.data.demo.scenes"},
    "vidistill.data.queries": {"vidistill.data.annotations.sources", "vidistill.data.rows", "vidistill.video.source"},
    "vidistill.data.moments": {"vidistill.data.annotations.sources", "vidistill.data.rows"},
    "vidistill.data.training_moments": {"vidistill.data.moments", "vidistill.data.annotations.sources"},
    "vidistill.data.training_labels": {"vidistill.data.annotations.sources", "vidistill.data.rows"},
    "vidistill.data.downloads.download": {"vidistill.data.downloads.transfer", "vidistill.data.downloads.unpack"},
    "vidistill.data.words": {"vidistill.data.text"},
    "vidistill.data.vocabulary": {"vidistill.data.text", "vidistill.data.glove", "vidistill.data.encoded_words"},
    "vidistill.video.decode": {"vidistill.video.source", "vidistill.video.frames"},
    "vidistill.video.flow": {
        "vidistill.video.tvl1.parameters",
        "vidistill.video.frames",
        "vidistill.video.tvl1.kernels",
    },
    "vidistill.features.extract": {
        *("vidistill.features.i3d", "vidistill.features.c3d", "vidistill.features.clip"),
        "vidistill.features.weights",
    },
    "vidistill.features.encode_words": {"vidistill.features.clip", "vidistill.features.clip_words"},
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
    "vidistill.emtm.train": {
        "vidistill.emtm.losses",
        "vidistill.emtm.objective",
        "vidistill.training.boundaries",
        "vidistill.emtm.map2d",
        "vidistill.emtm.span",
    },
    "vidistill.emtm.export": {"vidistill.emtm.predict", "vidistill.training.boundaries", "vidistill.emtm.map2d"},
    "vidistill.mmdist.retrieve": {"vidistill.mmdist.fit", "vidistill.training.retrieval"},
    "vidistill.emtm.retrieve": {"vidistill.emtm.predict", "vidistill.training.retrieval"},
    "vidistill.mmsd.train": {"vidistill.mmsd.losses", "vidistill.mmsd.rounds", "vidistill.training.voting"},
    "vidistill.mmsd.localise": {"vidistill.mmsd.segments", "vidistill.mmsd.predict"},
    "vidistill.evaluation.localisation": {"vidistill.evaluation.average_precision", "vidistill.evaluation.wtalc"},
    "vidistill.evaluation.evaluate": {"vidistill.evaluation.metrics", "vidistill.evaluation.bootstrap"},
    "vidistill.evaluation.efficiency": {"vidistill.training.efficiency"},
    "vidistill.evaluation.external_predictions": {"vidistill.evaluation.submission", "vidistill.evaluation.toolkit"},
    "vidistill.evaluation.tables": {"vidistill.evaluation.published"},
    "vidistill.report.overview": {"vidistill.report.page"},
    "vidistill.report.action_figures": {
        "vidistill.evaluation.localisation",
        "vidistill.mmsd.predict",
        "vidistill.report.actions.videos",
        "vidistill.video.decode",
    },
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
    ("settings",),
    ("video",),
    ("data",),
    ("features",),
    ("training", "planning"),
    ("mmdist", "emtm", "mmsd"),
    ("evaluation",),
    ("report", "commands"),
    ("__main__",),
)
METHODS = {
    "mmdist": ("train", "export", "retrieve"),
    "emtm": ("train", "export", "retrieve"),
    "mmsd": ("train", "localise"),
}
TVL1_BY_TORCH = {f"vidistill.video.tvl1.{name}" for name in ("by_torch", "images", "kernels", "fused")}


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


@pytest.mark.parametrize(
    "stage",
    [
        *("vidistill.mmdist.train", "vidistill.mmdist.export", "vidistill.data.vocabulary"),
        *("vidistill.emtm.export", "vidistill.mmsd.train", "vidistill.mmsd.localise"),
        *("vidistill.mmdist.retrieve", "vidistill.emtm.retrieve"),
    ],
)
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
    digests, modules_run = re.findall(r'reads\("([\w.]+)"', rules), re.findall(r"-m (vidistill[\w.]+\w)", rules)
    of_method, of_method_run = (
        re.findall(r'method_stage\("(\w+)"', rules),
        re.findall(r"\{params.method}\.(\w+)", rules),
    )
    assert set(of_method) == set(of_method_run) == {"train", "export", "localise", "retrieve"}
    shared = {stage for stage in STAGES if stage.split(".")[1] not in METHODS}
    gate = {"vidistill.features.availability"}  # whose code decides about nothing that is trained
    of_several = {"vidistill.evaluation.efficiency"}  # whose digests include those of the methods that it measures
    assert set(digests) | gate | of_several == set(modules_run) == shared
    assert {f"vidistill.{method}.{name}" for method, names in METHODS.items() for name in names} == set(STAGES) - shared


def source(module: str) -> str:
    """A module's code without comments and docstrings."""
    tree = ast.parse(code._file(module).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(...)
    return ast.unparse(tree)


@pytest.fixture
def digest_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """The digest of a stage that consists of some code."""
    cached = (code.digests, code.closure, code._read)
    monkeypatch.setattr(code, "PACKAGE", tmp_path / "vidistill")
    (tmp_path / "vidistill" / "data").mkdir(parents=True)
    for path in ("__init__.py", "data/__init__.py"):
        (tmp_path / "vidistill" / path).touch()

    def digest(text: str) -> str:
        (tmp_path / "vidistill" / "data" / "made.py").write_text(text)
        for function in cached:
            function.cache_clear()
        return code.digest("vidistill.data.made")

    yield digest
    for function in cached:
        function.cache_clear()


BEFORE = """
log = logging.getLogger(__name__)

class Halving(Section):
    by: int = Field(2, ge=1, description="The divisor.")

def halves(x):
    parser.add_argument("--x", help="a number")
    if x < 0:
        raise UserError(f"{x} is negative; give a larger one.")
    log.info("halving %s", x)
    return x / 2
"""
AFTER = """
log = logging.getLogger(__name__)

class Halving(Section):
    by: int = Field(2, ge=1, description="What is divided by.")

def halves(x):
    'A half.'
    parser.add_argument("--x", help="the number")
    if x < 0:
        raise UserError(f"{x} is below 0.")
    return x / 2  # a comment
"""


def test_words_for_people_are_not_part_of_a_digest(digest_of: Callable[[str], str]) -> None:
    assert digest_of(BEFORE) == digest_of(AFTER)


@pytest.mark.parametrize(
    ("old", "new"),
    [("x / 2", "x / 3"), ("x < 0", "x <= 0"), ("return", "yield"), ("(x)", "(y)"), ("/ 2", "/ 2.0"), ("ge=1", "ge=2")],
)
def test_what_can_change_a_number_is_part_of_a_digest(digest_of: Callable[[str], str], old: str, new: str) -> None:
    assert digest_of(BEFORE) != digest_of(BEFORE.replace(old, new))


def test_neither_the_version_nor_what_carries_files_is_part_of_a_digest() -> None:
    names = code.digests("vidistill.features.extract").keys()
    assert not {"vidistill", "vidistill.base.store", "vidistill.base.stage"} & names
    assert {"vidistill.features.i3d", "vidistill.features.extract"} <= names
    assert "vidistill.base.spelling" in code.digests("vidistill.data.queries")


@pytest.mark.parametrize("python", ["python3.12", "python3.13", "python3.14"])
def test_digests_are_equal_under_every_python(python: str) -> None:
    found = shutil.which(python)
    if not found or subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"there is no {python}")
    script = f"from vidistill.base import code; print(*map(code.digest, {sorted(STAGES)}))"
    command = [found, "-B", "-c", script]
    done = subprocess.run(command, cwd=ROOT / "workflow", capture_output=True, text=True, check=False)
    assert done.stdout.split() == [code.digest(stage) for stage in sorted(STAGES)], done.stderr
