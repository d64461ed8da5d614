"""A model's features again, of another place's files: pretrained weights are found by their content."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from video import clips
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.commands import one_video, recipe
from vidistill.commands.recipe import Recipe
from vidistill.features import extract, i3d, networks
from vidistill.video import decode

THREADS = 2


class Made(NamedTuple):
    """A video's features by the stages, and the files that they came from."""

    video: Path
    weights: Path
    features: np.ndarray
    provenance: dict[str, Any]
    files: dict[str, str]

    def recipe(self, *given: Path, **changes: Any) -> Recipe:
        provenance, files = changes.get("provenance", self.provenance), changes.get("files", self.files)
        return recipe.recipe("rgb", provenance, files, given, device="cpu", threads=THREADS, any_code=False)


@pytest.fixture
def made(config: dict[str, Any], tmp_path: Path) -> Made:
    video, weights = tmp_path / "v.1.mp4", tmp_path / "weights.safetensors"
    clips.write(video, [clips.numbered(n, 80, 48) for n in range(20)], rate=10)
    network = i3d.I3D(3, "Mixed_3b")
    torch.manual_seed(1)
    for tensor in network.parameters():
        torch.nn.init.normal_(tensor, std=0.05)
    save_file(network.state_dict(), weights)
    decoding = {**config["decode"], "fps": 5.0, "short_side": 32}
    settings = {**config["i3d"], "extractor": "i3d", "input": "frames", "device": "cpu", "threads": THREADS}
    settings |= {"endpoint": "Mixed_3b", "weights": str(weights)}
    for stage, options, more in (
        (decode, decoding, ["--videos", str(video), "--output", str(tmp_path / "frames.h5")]),
        (extract, settings, ["--input", str(tmp_path / "frames.h5"), "--output", str(tmp_path / "features.h5")]),
    ):
        command = ["--settings", json.dumps(options), "--work", str(tmp_path / "work"), *more]
        stage.main(command)
    with h5py.File(tmp_path / "features.h5") as file:
        features = file[store.group_name("v.1")]["features"][:]
        attributes = (json.loads(file.attrs[name]) for name in ("provenance", "files"))
        return Made(video, weights, features, *attributes)


def again(made: Made, recipe: Recipe, work: Path) -> np.ndarray:
    extractors = {"rgb": networks.build(recipe.extract, torch.device("cpu"))}
    watched = one_video.make(made.video, {"rgb": recipe}, extractors, work, place="cpu", pictures=3)
    assert [round(seconds, 6) for seconds, _ in watched.pictures] == [0.2, 1.0, 1.6]
    assert watched.video_id == "v.1"
    return watched.features["rgb"]


def test_weights_are_found_where_they_were(made: Made, tmp_path: Path) -> None:
    assert made.files == {"weights": str(made.weights)}
    np.testing.assert_array_equal(again(made, made.recipe(), tmp_path), made.features)


def test_weights_are_found_among_given_files(made: Made, tmp_path: Path) -> None:
    moved = made.weights.rename(tmp_path / "moved.safetensors")
    (tmp_path / "another").write_text("of another stream")
    recipe = made.recipe(tmp_path / "another", moved)
    assert recipe.extract.weights == str(moved)
    np.testing.assert_array_equal(again(made, recipe, tmp_path), made.features)


def test_weights_that_are_absent_or_others_are_named(made: Made, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")
    with pytest.raises(UserError, match=r"--weights .*the file `weights`.*other\.safetensors \(\w{12}\.\.\.\)"):
        made.recipe(other)
    with pytest.raises(UserError, match=r"absent does not exist"):
        made.recipe(tmp_path / "absent")
    made.weights.write_bytes(b"changed")
    with pytest.raises(UserError, match=r"weights\.safetensors has changed.*the file `weights`"):
        made.recipe()
    made.weights.unlink()
    with pytest.raises(UserError, match=r"the file `weights`.* not at .*weights\.safetensors; give it with --weights"):
        made.recipe()
    with pytest.raises(UserError, match=r"^the file `weights`.* needed; give it with --weights"):
        made.recipe(files={})


def test_differences_are_named_by_their_keys(made: Made) -> None:
    other = json.loads(json.dumps(made.provenance))
    assert recipe.differences(made.provenance, other) == []
    other["code"], other["weights_sha256"], other["settings"]["chunk"] = "other", None, 8
    found = recipe.differences(made.provenance, other)
    assert found[0] == "settings.chunk 384, not 8"
    assert found[1].startswith('weights_sha256 "')
    assert len(found) == 2
