"""The ONNX file of a model computes what PyTorch does, whatever the batch and the sentences' lengths."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import small
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.commands import onnx as command
from vidistill.commands import trained
from vidistill.commands.onnx import Grounding
from vidistill.commands.trained import Trained
from vidistill.mmdist import masking
from vidistill.mmdist import train as train_stage

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.whole_run  # exporting takes a minute
RTOL, ATOL = 1e-4, 1e-5
LONGEST = 20  # words


@pytest.fixture(scope="module")
def folder(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small models trained by the stage, and their ONNX files."""
    found = small.write(tmp_path_factory.mktemp("small"))
    for model, changes in {"baseline": {}, "teacher": {}, "alone": {"loss": {"local_learning": False}}}.items():
        section = small.train_section(config, "teacher" if model == "teacher" else "baseline", **changes)
        training = ["--settings", json.dumps(section), *small.inputs(found)]
        for output in ("history", "predictions", "work"):
            training += [f"--{output}", str(found / f"{model}-{output}")]
        train_stage.main([*training, "--model", str(found / f"{model}.safetensors")])
        command.main([str(found / f"{model}.safetensors"), str(found / f"{model}.onnx")])
    return found


def batch(model: Trained, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random features and sentences of these lengths."""
    random = np.random.default_rng(len(lengths))
    width, words = sum(model.network.feature_dims), len(model.vocabulary.words)
    tokens = np.zeros((len(lengths), LONGEST), np.int64)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = random.integers(1, words + 1, length)
    keys = masking.query_keys([str(i) for i in range(len(lengths))])
    masked = masking.masked_words(keys, (tokens > 0) * 1.0, 0, masking.EVALUATION)
    features = random.normal(size=(len(lengths), model.settings.snippets, width)).astype(np.float32)
    return torch.from_numpy(features), torch.from_numpy(tokens), torch.from_numpy(masked)


@pytest.mark.parametrize("lengths", [[1], [5], [20], [3, 20], [2, 9, 4, 1, 20, 7, 11]], ids=str)
@pytest.mark.parametrize("name", ["baseline", "teacher", "alone"])
def test_the_file_computes_what_pytorch_does(folder: Path, name: str, lengths: list[int]) -> None:
    model = trained.load(folder / f"{name}.safetensors")
    inputs = batch(model, lengths)
    with torch.no_grad():
        expected = Grounding(model).eval()(*inputs)
        # Without the padding: sentences in a batch of their own length.
        longest = max(lengths)
        cut = Grounding(model).eval()(inputs[0], inputs[1][:, :longest], inputs[2][:, :longest])
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx")
    names = [output.name for output in session.get_outputs()]
    assert names == command.outputs(model)
    assert ("activation_map" in names) == (name != "alone")
    feed = dict(zip(command.INPUTS, (x.numpy() for x in inputs), strict=True))
    for output, found, wanted, unpadded in zip(names, session.run(None, feed), expected, cut, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=RTOL, atol=ATOL, err_msg=output)
        np.testing.assert_allclose(found, unpadded.numpy(), rtol=RTOL, atol=ATOL, err_msg=output)


def test_the_file_says_how_to_make_its_inputs(folder: Path) -> None:
    model = trained.load(folder / "baseline.safetensors")
    about = {entry.key: entry.value for entry in onnx.load(folder / "baseline.onnx").metadata_props}
    assert json.loads(about["vocabulary"]) == list(model.vocabulary.words)
    assert json.loads(about["features"]) == model.features
    assert about["snippets"] == "12"
    assert about["sha256"] == store.file_digest(folder / "baseline.safetensors")


def test_missing_packages_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "NEEDED", ("onnx", "no_such_package"))
    with pytest.raises(UserError, match=r"^no_such_package cannot be imported; .*vidistill\[onnx\]"):
        command.export(trained.load(folder / "baseline.safetensors"), folder / "other.onnx")
    assert not (folder / "other.onnx").exists()


@pytest.mark.parametrize("name", ["folder", "absent/a.onnx", "baseline.safetensors"])
def test_a_file_that_cannot_be_written_is_said_before_the_export(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "export", lambda *args: pytest.fail("the model was exported"))
    (folder / "folder").mkdir(exist_ok=True)
    with pytest.raises(SystemExit, match=f"^error: .*{name} "):
        command.main([str(folder / "baseline.safetensors"), str(folder / name)])
    assert not (folder / "absent").exists()
