"""Weights of any origin end in the same network; whatever is wrong with a file is one sentence that names it."""

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from conftest import data
from vidistill.base.stage import UserError
from vidistill.features import random_weights, weights
from vidistill.features.i3d import I3D

ENDPOINT = "Mixed_3b"  # every kind of tensor, and quick


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """What a file of weights for `ENDPOINT` holds."""
    network = I3D(3, ENDPOINT)
    random_weights.initialise(network, 7)
    return {
        name: tensor.clone() + (0.5 if "running_var" in name else 0) for name, tensor in network.state_dict().items()
    }


def loaded(path: Path, endpoint: str = ENDPOINT, channels: int = 3) -> dict[str, Tensor]:
    network = I3D(channels, endpoint)
    weights.load_into(network, path, weights.i3d_name)
    return network.state_dict()


def hassony2(name: str) -> str:
    """The reverse of `weights.i3d_name`, written out."""
    name = name.replace(".bn.", ".batch3d.").replace("Conv3d", "conv3d").replace("Mixed", "mixed")
    for ours, theirs in {"b0": "branch_0", "b1a": "branch_1.0", "b1b": "branch_1.1", "b3b": "branch_3.1"}.items():
        name = name.replace(f".{ours}.", f".{theirs}.")
    return name.replace(".b2a.", ".branch_2.0.").replace(".b2b.", ".branch_2.1.")


WRITERS: dict[str, Callable[[dict[str, Tensor], Path], object]] = {
    "piergiaj": torch.save,
    "piergiaj, old format": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "hassony2": lambda state, path: torch.save({hassony2(name): x for name, x in state.items()}, path),
    "safetensors": save_file,
    "half precision": lambda state, path: save_file({name: x.half() for name, x in state.items()}, path),
    "wrapped, from several GPUs": lambda state, path: torch.save(
        {"state_dict": {f"module.{name}": x for name, x in state.items()}, "epoch": 3}, path
    ),
    "with what inference does not need": lambda state, path: torch.save(
        {**state, "Conv3d_1a_7x7.bn.num_batches_tracked": torch.tensor(3), "logits.conv3d.bias": torch.zeros(400)}, path
    ),
    "without scales": lambda state, path: save_file(
        {n: x for n, x in state.items() if not n.endswith("bn.weight")}, path
    ),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_form_of_file_is_read(state: dict[str, Tensor], tmp_path: Path, writer: str) -> None:
    path = tmp_path / "weights"  # the suffix tells nothing
    WRITERS[writer](state, path)
    found = loaded(path)
    assert found.keys() == state.keys()
    tolerance = 1e-3 if writer == "half precision" else 0
    assert all(torch.allclose(found[name], state[name], atol=tolerance) for name in state)


class _Malicious:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def spoilt(state: dict[str, Tensor], path: Path, how: str) -> None:
    """Write a file that is wrong in one way."""
    changed = dict(state)
    match how:
        case "truncated":
            torch.save(state, path)
            path.write_bytes(path.read_bytes()[:-20_000])
        case "truncated safetensors":
            save_file(state, path)
            path.write_bytes(path.read_bytes()[:-20_000])
        case "empty":
            path.touch()
        case "a web page":
            path.write_text("<!DOCTYPE html><html>Not Found</html>")
        case "code in a pickle":
            torch.save({**state, "x": _Malicious(path.with_name("hacked"))}, path)
        case "code in a bare pickle":
            path.write_bytes(pickle.dumps(_Malicious(path.with_name("hacked")), protocol=2))
        case "no tensors by name":
            torch.save([1, 2], path)
        case "numbers":
            torch.save({"epoch": 3}, path)
        case "one missing":
            del changed["Mixed_3b.b2a.conv3d.weight"]
            torch.save(changed, path)
        case "renamed":
            torch.save({f"net.{name}": tensor for name, tensor in state.items()}, path)
        case "another shape":
            changed["Conv3d_2b_1x1.conv3d.weight"] = torch.zeros(64, 32, 1, 1, 1)
            save_file(changed, path)
        case "not finite":
            changed["Mixed_3b.b0.bn.running_mean"] = torch.full((64,), float("nan"))
            save_file(changed, path)
        case "negative variance":
            changed["Mixed_3b.b0.bn.running_var"] = torch.full((64,), -1.0)
            save_file(changed, path)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("truncated", "not a complete file of PyTorch"),
        ("truncated safetensors", "not a complete safetensors file"),
        ("empty", "not a complete file of PyTorch"),
        ("a web page", "damaged"),
        ("code in a pickle", "could run code"),
        ("code in a bare pickle", "could run code"),
        ("no tensors by name", "holds a list"),
        ("numbers", "'epoch' is a int"),
        ("one missing", "no tensor 'Mixed_3b.b2a.conv3d.weight' (1 are missing)"),
        ("renamed", "first tensor is 'net.Conv3d_1a_7x7.conv3d.weight'"),
        (
            "another shape",
            "'Conv3d_2b_1x1.conv3d.weight' has the shape (64, 32, 1, 1, 1) instead of (64, 64, 1, 1, 1)",
        ),
        ("not finite", "'Mixed_3b.b0.bn.running_mean' has impossible values"),
        ("negative variance", "'Mixed_3b.b0.bn.running_var' has impossible values"),
    ],
)
def test_a_wrong_file_is_one_sentence(state: dict[str, Tensor], tmp_path: Path, how: str, said: str) -> None:
    path = tmp_path / "weights.pt"
    spoilt(state, path, how)
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        loaded(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "hacked").exists()


def test_an_absent_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.pt cannot be read \(No such file"):
        loaded(tmp_path / "absent.pt")


def test_weights_for_rgb_are_refused_for_flow(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "rgb.pt")
    with pytest.raises(UserError, match=r"for this input \(frames or flow\)"):
        loaded(tmp_path / "rgb.pt", channels=2)


@pytest.mark.parametrize(("kind", "channels"), [("rgb", 3), ("flow", 2)])
def test_the_endpoint_decides_what_a_file_must_have(kind: str, channels: int) -> None:
    """DeepMind's real weights, which are at hand up to Mixed_4d."""
    path = data("i3d", f"i3d_{kind}_imagenet.to_Mixed_4d.safetensors")
    file = load_file(path)
    for endpoint in ("Mixed_3c", "Mixed_4d"):
        found = loaded(path, endpoint, channels)
        assert all(torch.equal(tensor, file[name]) for name, tensor in found.items())
    assert len(found) == len(file)
    with pytest.raises(UserError, match=r"no tensor 'Mixed_4e.b0.conv3d.weight' \(.* an endpoint before"):
        loaded(path, "features", channels)
