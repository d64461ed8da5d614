"""C3D: shapes, the arithmetic before and behind the network, files that a user names. No published number is known."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vidistill.base.stage import UserError
from vidistill.features import c3d, random_weights, weights

torch.set_num_threads(2)


def test_layers_have_the_published_sizes() -> None:
    with torch.device("meta"):
        network = c3d.C3D("fc7")
        found = network(torch.empty(2, 3, 16, 112, 112))
    assert found.shape == (2, 1, 4096)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes["conv1.weight"] == (64, 3, 3, 3, 3)
    assert shapes["conv5b.weight"] == (512, 512, 3, 3, 3)
    assert shapes["fc6.weight"] == (4096, 8192)
    assert shapes["fc7.weight"] == (4096, 4096)
    # Counted by hand from Tran et al., without fc8.
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 27_655_936 + 33_558_528 + 16_781_312
    assert "fc7.weight" not in dict(c3d.C3D("fc6").named_parameters())


def test_a_file_gives_what_its_names_say(tmp_path: Path) -> None:
    """One filter that passes blue on, and an fc6 that picks single places: the order of axes and of pooling shows."""
    network = c3d.C3D("fc6").requires_grad_(False)
    state = {name: torch.zeros_like(tensor) for name, tensor in network.state_dict().items()}
    for name in c3d.CONVOLUTIONS:
        state[f"{name}.weight"][0, 0, 1, 1, 1] = 1
    state["fc6.weight"].reshape(4096, 512, 1, 4, 4)[0, 0, 0, 0, 3] = 1
    state["fc6.weight"].reshape(4096, 512, 1, 4, 4)[1, 0, 0, 3, 0] = 1
    save_file({**state, "fc8.weight": torch.zeros(487, 4096)}, tmp_path / "c3d.safetensors")
    weights.load_into(network, tmp_path / "c3d.safetensors")
    x = torch.zeros(1, 3, 16, 112, 112)
    x[0, 0, 5, :10, -10:] = 7  # top right, blue
    x[0, 0, 9, -10:, :10] = 5  # bottom left
    x[0, 1] = 99  # green goes nowhere
    assert network(x)[0, 0, :3].tolist() == [7, 5, 0]


def test_frames_are_squeezed_then_cropped_then_bgr() -> None:
    image = np.zeros((128, 171, 3), np.uint8)
    image[8, 29] = (10, 20, 30)
    prepared = c3d.prepare(np.stack([image, image]))
    assert prepared.shape == (2, 112, 112, 3)
    assert prepared[0, 0, 0].tolist() == [30, 20, 10]
    assert prepared[0].sum() == 60
    wide = np.repeat(np.linspace(0, 255, 684)[None, :, None], 256, axis=0).repeat(3, axis=2).astype(np.uint8)
    row = c3d.prepare(wide[None])[0, 0, :, 0]
    assert row[0] == pytest.approx(255 * 29.5 / 171, abs=2)  # all of the width counts, not its centre alone
    assert row[-1] == pytest.approx(255 * (171 - 30.5) / 171, abs=2)


@pytest.mark.parametrize("form", ["channels first", "channels last", "as in Caffe", "per channel"])
def test_accepted_forms_of_the_mean(tmp_path: Path, form: str) -> None:
    cube = np.random.default_rng(0).uniform(80, 120, (3, 16, 128, 171)).astype(np.float32)
    forms = {
        "channels first": cube,
        "channels last": cube.transpose(1, 2, 3, 0),
        "as in Caffe": cube[None],
        "per channel": np.array([90, 98, 102]),
    }
    np.save(tmp_path / "mean.npy", forms[form])
    mean = c3d.read_mean(tmp_path / "mean.npy")
    if form == "per channel":
        assert mean.flatten().tolist() == [90, 98, 102]
        assert mean.shape == (3, 1, 1, 1)
    else:
        np.testing.assert_array_equal(mean, cube[:, :, 8:120, 29:141])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((16, 112, 112, 3)), "has the shape (16, 112, 112, 3)"),
        (np.full(3, np.nan), "outside 0 to 255"),
        (np.array([-1.0, 0, 1]), "outside 0 to 255"),
        (np.array([{}, {}, {}]), "is not a .npy file"),
    ],
)
def test_a_wrong_mean_is_one_sentence(tmp_path: Path, value: np.ndarray, said: str) -> None:
    np.save(tmp_path / "mean.npy", value, allow_pickle=True)
    with pytest.raises(UserError, match=re.escape(said)):
        c3d.read_mean(tmp_path / "mean.npy")


def write_pca(path: Path, mean: np.ndarray, components: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["data/x_mean"], file["data/U"] = mean, components


def test_the_pca_is_that_of_activitynet(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x, mean, components = draw.normal(size=(5, 4096)), draw.normal(size=(1, 4096)), draw.normal(size=(4096, 600))
    write_pca(tmp_path / "pca.hdf5", mean, components)
    reduced = c3d.reduce(x, *c3d.read_pca(tmp_path / "pca.hdf5", 500))
    assert reduced.shape == (5, 500)
    np.testing.assert_allclose(reduced, ((x - mean) @ components)[:, :500], rtol=1e-4, atol=1e-3)


def test_a_wrong_pca_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "pca.hdf5"
    write_pca(path, np.zeros(4096), np.zeros((4096, 400)))
    with pytest.raises(UserError, match=r"shape \(4096, 400\); .*\(4096, 500 or more\)"):
        c3d.read_pca(path, 500)
    with h5py.File(path, "w") as file:
        file["data/U"] = np.zeros(3)
    with pytest.raises(UserError, match=r"no data/x_mean and data/U"):
        c3d.read_pca(path, 500)
    path.write_bytes(b"no HDF5")
    with pytest.raises(UserError, match=r"no data/x_mean and data/U"):
        c3d.read_pca(path, 500)


def test_random_weights_keep_their_scale_down_to_the_last_layer() -> None:
    network = c3d.C3D("fc6")
    random_weights.initialise(network, 0)
    x = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = network(x)
    assert 0.05 < float(found.square().mean().sqrt()) < 5
