"""Features by CLIP models: those of open_clip itself, by file, by tag and from the hub."""

import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from test_extract import FPS, LENGTHS, moving, write_frames

import small_clip
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.features import clip, extract, options
from vidistill.features.clip_images import pooled
from vidistill.features.windows import Grid
from vidistill.video import frames

torch.set_num_threads(2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return small_clip.write(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    write_frames(tmp_path / "frames.h5", {video_id: moving(count) for video_id, count in LENGTHS.items()})
    return tmp_path / "frames.h5"


@pytest.fixture
def run(config: dict[str, Any], tmp_path: Path) -> Callable[..., h5py.File]:
    """The stage by its command line; its output, open."""

    def called(path: Path, **changes: Any) -> h5py.File:
        settings = {**config["clip"], "extractor": "clip", "input": "frames", "device": "cpu", **changes}
        output = tmp_path / "features" / "0.h5"
        command = ["--settings", json.dumps(settings), "--input", str(path), "--output", str(output)]
        extract.main([*command, "--work", str(tmp_path / "work")])
        return h5py.File(output)

    return called


def settings(**changes: Any) -> Any:
    return options.read(json.dumps({"extractor": "clip", "input": "frames", "device": "cpu", **changes}))


@pytest.mark.parametrize("resize_mode", ["shortest", "squash", "longest"])
def test_features_are_those_of_open_clip(
    run: Callable[..., h5py.File], shard: Path, tmp_path: Path, resize_mode: str
) -> None:
    from PIL import Image

    files = small_clip.write(tmp_path / "model", resize_mode=resize_mode)
    network, _, preprocess = small_clip.open_clip().create_model_and_transforms(f"local-dir:{tmp_path / 'model'}")
    images = torch.stack([preprocess(Image.fromarray(image)) for image in moving(LENGTHS["a"])])
    with torch.inference_mode():
        expected = network.eval().encode_image(images).numpy()
    with run(shard, **files, batch=7) as file:
        np.testing.assert_allclose(file["a"]["features"][:], expected, rtol=1e-4, atol=1e-5)
        starts = np.arange(LENGTHS["a"]) / FPS
        np.testing.assert_allclose(file["a"]["times"][:], np.stack([starts, starts + 1 / FPS], 1))
        assert file["c"].attrs["status"] == "partial"
        assert not list(file["broken"])
        provenance = json.loads(file.attrs["provenance"])
        assert json.loads(file.attrs["files"]) == files
    assert provenance["pretrained"] is True
    assert provenance["weights_sha256"] == store.file_digest(files["weights"])
    assert provenance["config_sha256"] == store.file_digest(files["config"])
    assert provenance["preparation"]["resize_mode"] == resize_mode
    assert {"torch", "open_clip_torch", "torchvision"} <= provenance["versions"].keys()


def test_windows_pool_frames(run: Callable[..., h5py.File], shard: Path, files: dict[str, str]) -> None:
    with run(shard, **files, normalise=True) as file:
        single = file["a"]["features"][:]
        np.testing.assert_allclose(np.linalg.norm(single, axis=1), 1, rtol=1e-5)
    with run(shard, **files, normalise=True, window=4, stride=2) as file:
        found, times = file["a"]["features"][:], file["a"]["times"][:]
        assert file["b%2E1"]["features"].shape == (1, small_clip.WIDTH)  # of one frame, repeated
    np.testing.assert_allclose(found[3], single[6:10].mean(0), rtol=1e-5)
    assert times[3].tolist() == [6 / FPS, 10 / FPS]
    np.testing.assert_allclose(found[-1], single[42:].mean(0), rtol=1e-5)
    assert times[-1].tolist() == [42 / FPS, 45 / FPS]


def test_pooling_takes_the_mean_or_the_largest() -> None:
    vectors = np.array([[0.0, 3], [2, 1], [4, -1], [6, 5]])
    assert pooled(vectors, Grid(2, 1), "mean").tolist() == [[1, 2], [5, 2]]
    assert pooled(vectors, Grid(2, 1), "max").tolist() == [[2, 3], [6, 5]]
    assert pooled(vectors, Grid(1, 1), "max") is vectors


def test_frames_are_read_once_and_in_batches(
    run: Callable[..., h5py.File], shard: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths, read = [], frames.read

    def watched(group: h5py.Group, start: int, stop: int, *others: Any) -> np.ndarray:
        lengths.append(stop - start)
        return read(group, start, stop, *others)

    monkeypatch.setattr(frames, "read", watched)
    with run(shard, **files, window=4, stride=1, batch=4) as file:
        assert len(file["a"]["features"]) == 42
    assert max(lengths) == 4
    assert sum(lengths) == sum(LENGTHS.values())


def test_bf16_is_near_fp32(run: Callable[..., h5py.File], shard: Path, files: dict[str, str]) -> None:
    with run(shard, **files) as file:
        fp32 = file["a"]["features"][:]
    with run(shard, **files, precision="bf16") as file:
        bf16 = file["a"]["features"][:]
    cosine = (fp32 * bf16).sum(1) / np.linalg.norm(fp32, axis=1) / np.linalg.norm(bf16, axis=1)
    assert 0.99 < cosine.min() < cosine.max() <= 1
    assert not np.array_equal(fp32, bf16)


def test_random_weights_tell_frames_apart(
    run: Callable[..., h5py.File], shard: Path, files: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), run(shard, config=files["config"]) as file:
        first = file["a"]["features"][:]
        assert json.loads(file.attrs["provenance"])["pretrained"] is False
    assert "random weights" in caplog.text
    cosines = np.corrcoef(first)
    assert cosines[0, 1:].min() < 0.9
    with run(shard, config=files["config"]) as file:
        np.testing.assert_array_equal(file["a"]["features"][:], first)
    with run(shard, config=files["config"], seed=1) as file:
        assert not np.allclose(file["a"]["features"][:], first)


def test_a_model_of_the_hub(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., h5py.File], shard: Path
) -> None:
    from huggingface_hub import constants

    small_clip.open_clip()
    place = tmp_path / "hub" / "models--someone--small"
    commit = "0" * 40
    (place / "snapshots" / commit).mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    for path in files.values():
        shutil.copy(path, place / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with run(shard, **files) as file:
        expected = file["a"]["features"][:]
    with run(shard, model="hf-hub:someone/small") as file:
        np.testing.assert_array_equal(file["a"]["features"][:], expected)
        provenance, recorded = json.loads(file.attrs["provenance"]), json.loads(file.attrs["files"])
    assert {name: Path(path).name for name, path in recorded.items()} == {n: Path(p).name for n, p in files.items()}
    assert provenance["weights_sha256"] == store.file_digest(files["weights"])
    with pytest.raises(UserError, match=r"someone/none.*hub"):
        clip.load(settings(model="hf-hub:someone/none"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "ViT-B-31"}, r"no model 'ViT-B-31'"),
        ({"model": "ViT-B-32", "pretrained": "nobody"}, r"no weights 'nobody' of ViT-B-32.*openai"),
        ({"model": "ViT-B-32", "pretrained": "openai"}, r"model: ViT-B-32-quickgelu"),
        ({"model": "ViT-L-14", "weights": "large.pt"}, r"prepared differently.*pretrained"),
        ({"config": "absent.json"}, r"absent\.json"),
    ],
)
def test_what_does_not_fit_is_said(changes: dict[str, Any], said: str) -> None:
    small_clip.open_clip()
    with pytest.raises(UserError, match=said):
        clip.load(settings(**changes))


@pytest.mark.parametrize("name", ["weights", "weights.pt", "state.bin"])
def test_weights_are_recognised_by_content(files: dict[str, str], tmp_path: Path, name: str) -> None:
    expected = clip.load(settings(**files)).network.state_dict()
    if name == "state.bin":
        torch.save({"state_dict": expected}, tmp_path / name)
    else:
        shutil.copy(files["weights"], tmp_path / name)
    found = clip.load(settings(config=files["config"], weights=str(tmp_path / name))).network.state_dict()
    torch.testing.assert_close(found, expected)


def test_weights_of_another_model_are_refused(files: dict[str, str], tmp_path: Path) -> None:
    content = json.loads(Path(files["config"]).read_text())
    content["model_cfg"]["vision_cfg"]["layers"] = 3
    (tmp_path / "other.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"open_clip_model\.safetensors has no weights of"):
        clip.load(settings(config=str(tmp_path / "other.json"), weights=files["weights"]))
    (tmp_path / "cut.safetensors").write_bytes(Path(files["weights"]).read_bytes()[:1000])
    with pytest.raises(UserError, match=r"cut\.safetensors"):
        clip.load(settings(config=files["config"], weights=str(tmp_path / "cut.safetensors")))


@pytest.mark.parametrize("changes", [{"input": "flow"}, {"window": 5, "stride": 2}, {"window": 1, "stride": 2}])
def test_contradictions_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"clip"):
        settings(**changes)


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(UserError, match=r"vidistill\[clip\]"):
        clip.load(settings())
