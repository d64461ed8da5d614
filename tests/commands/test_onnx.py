"""The ONNX file of a model computes what PyTorch does, whatever the batch and the sentences' lengths."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import emtm_runs
import small
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.commands import exportable, trained
from vidistill.commands import onnx as command
from vidistill.commands.trained import MMDistModel
from vidistill.emtm import characters
from vidistill.mmdist import masking
from vidistill.mmdist import train as train_stage
from vidistill.training import samples

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.whole_run  # exporting takes a minute
RTOL, ATOL = 1e-4, 1e-5
LONGEST = 20  # words


@pytest.fixture(scope="module")
def folder(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small models trained by the stage."""
    found = small.write(tmp_path_factory.mktemp("small"))
    for model, changes in {
        "baseline": {"masks": 2},
        "teacher": {},
        "alone": {"loss": {"local_learning": False}},
    }.items():
        section = small.train_section(config, "teacher" if model == "teacher" else "baseline", **changes)
        training = ["--settings", json.dumps(section), *small.inputs(found)]
        for output in ("history", "predictions", "work"):
            training += [f"--{output}", str(found / f"{model}-{output}")]
        train_stage.main([*training, "--model", str(found / f"{model}.safetensors")])
    return found


def exported(model: Path) -> Path:
    """The ONNX file of a model, made once."""
    made = model.with_suffix(".onnx")
    if not made.exists():
        command.main([str(model), str(made)])
    return made


def batch(model: MMDistModel, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random features and sentences of these lengths."""
    random = np.random.default_rng(len(lengths))
    width, words = sum(model.network.feature_dims), len(model.vocabulary.words)
    tokens = np.zeros((len(lengths), LONGEST), np.int64)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = random.integers(1, words + 1, length)
    masked = masking.draws(masking.keys_of(tokens), (tokens > 0) * 1.0, 0, model.settings.masks)
    features = random.normal(size=(len(lengths), model.settings.snippets, width)).astype(np.float32)
    return torch.from_numpy(features), torch.from_numpy(tokens), torch.from_numpy(masked)


@pytest.mark.parametrize("lengths", [[1], [5], [20], [3, 20], [2, 9, 4, 1, 20, 7, 11]], ids=str)
@pytest.mark.parametrize("name", ["baseline", "teacher", "alone"])
def test_the_file_computes_what_pytorch_does(folder: Path, name: str, lengths: list[int]) -> None:
    model = trained.load(folder / f"{name}.safetensors")
    assert isinstance(model, MMDistModel)
    inputs, made = batch(model, lengths), exportable.of(model)
    with torch.no_grad():
        expected = made.module(*inputs)
        # Without the padding: sentences in a batch of their own length.
        longest = max(lengths)
        cut = made.module(inputs[0], inputs[1][:, :longest], inputs[2][..., :longest])
    session = onnxruntime.InferenceSession(exported(folder / f"{name}.safetensors"))
    names = [output.name for output in session.get_outputs()]
    assert names == made.outputs
    assert ("activation_map" in names) == (name != "alone")
    feed = dict(zip(made.inputs, (x.numpy() for x in inputs), strict=True))
    for output, found, wanted, unpadded in zip(names, session.run(None, feed), expected, cut, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=RTOL, atol=ATOL, err_msg=output)
        np.testing.assert_allclose(found, unpadded.numpy(), rtol=RTOL, atol=ATOL, err_msg=output)


@pytest.fixture(scope="module")
def emtm(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small models of EMTM."""
    return emtm_runs.write(config, tmp_path_factory.mktemp("emtm"))


@pytest.mark.parametrize("lengths", [[1], [10], [3, 10, 1, 7]], ids=str)
@pytest.mark.parametrize("name", ["student", "map2d", pytest.param("seqpan", marks=pytest.mark.long)])
def test_the_file_answers_as_a_model_of_emtm_does(emtm: Path, name: str, lengths: list[int]) -> None:
    path = emtm / name / "model.safetensors"
    model, made = trained.load(path), exported(path)
    random = np.random.default_rng(len(lengths))
    sentences = [" ".join(random.choice([*small.WORDS, "zeppelin"], size=length)) for length in lengths]
    session = onnxruntime.InferenceSession(made)
    rows = [int(random.integers(1, 30)) for _ in sentences]
    features = [random.normal(size=(count, small.DIMS["rgb"])).astype(np.float32) for count in rows]
    # What a user of the file does, by its metadata and docs/ground.md.
    about = {entry.key: entry.value for entry in onnx.load(made).metadata_props}
    words, size = json.loads(about["vocabulary"]), int(about["snippets"])
    longest = {entry.name: entry.shape for entry in session.get_inputs()}["tokens"][1]
    tokens = np.zeros((len(sentences), longest), np.int64)
    for row, sentence in zip(tokens, sentences, strict=True):
        ids = [words.index(word) + 1 if word in words else len(words) + 1 for word in sentence.split()]
        row[: len(ids)] = ids
    feed = {"tokens": tokens}
    if name == "map2d":
        feed["features"] = np.stack([samples.resample(x, size, about["normalise"]) for x in features])
    else:
        counts = [min(count, size) for count in rows]
        cut = [samples.resample(x, n, about["normalise"]) for x, n in zip(features, counts, strict=True)]
        feed["features"] = np.stack([np.pad(x, ((0, size - len(x)), (0, 0))) for x in cut])
        feed["snippets"] = np.arange(size) < np.array(counts)[:, None]
        known = json.loads(about["characters"])
        padded = [sentence.split() + [""] * (longest - len(sentence.split())) for sentence in sentences]
        feed["spelling"] = np.stack([characters.spell(words, known) for words in padded])
    moments, scores = session.run(["moments", "scores"], feed)
    for row, (sentence, values) in enumerate(zip(sentences, features, strict=True)):
        (found,) = model.ask(model.snippets({"rgb": values}), [sentence], torch.device("cpu"))
        count = len(found.score)
        np.testing.assert_allclose(moments[row, :count], found.moments, atol=1e-5)
        np.testing.assert_allclose(scores[row, :count], found.score, rtol=1e-3)
        assert (scores[row, count:] == 0).all()


def test_the_file_says_how_to_make_its_inputs(folder: Path) -> None:
    model = trained.load(folder / "baseline.safetensors")
    about = {entry.key: entry.value for entry in onnx.load(exported(folder / "baseline.safetensors")).metadata_props}
    assert json.loads(about["vocabulary"]) == list(model.vocabulary.words)
    assert json.loads(about["features"]) == model.features
    assert about["snippets"] == "12"
    assert about["sha256"] == store.file_digest(folder / "baseline.safetensors")


def test_missing_packages_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "NEEDED", ("onnx", "no_such_package"))
    with pytest.raises(UserError, match=r"^no_such_package cannot be imported; .*vidistill\[onnx\]"):
        command.export(exportable.of(trained.load(folder / "baseline.safetensors")), folder / "other.onnx")
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
