"""I3D: padding and pooling against TensorFlow's formula, shapes, and DeepMind's real weights where they are at hand."""

import json
import math

import av
import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from conftest import data
from vidistill.features import i3d, random_weights, weights
from vidistill.features.i3d import ENDPOINTS, I3D, LOGITS, TRUNK, grid, max_pool, same_padding

torch.set_num_threads(2)


def tf_same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """As TensorFlow's documentation has it."""
    total = max(kernel - stride, 0) if size % stride == 0 else max(kernel - size % stride, 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (2, 2), (3, 1), (3, 2), (7, 2)])
def test_same_padding_is_tensorflows(kernel: int, stride: int) -> None:
    for size in range(1, 300):
        assert same_padding(size, kernel, stride) == tf_same(size, kernel, stride)
    assert same_padding(224, 7, 2) == (2, 3)


@pytest.mark.parametrize(("kernel", "stride"), [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2))])
def test_pooling_pads_without_counting_the_padding(kernel: i3d.Size, stride: i3d.Size) -> None:
    generator = torch.Generator().manual_seed(0)
    for time in range(1, 9):
        for side in (1, 2, 3, 6, 7, 12, 13):
            x = torch.randn(1, 2, time, side, side + 1, generator=generator) - 5  # all below zero: a zero would win
            pads = [tf_same(n, k, s) for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
            padded = F.pad(x, [p for pad in reversed(pads) for p in pad], value=-math.inf)
            assert torch.equal(max_pool(x, kernel, stride), F.max_pool3d(padded, kernel, stride))


def random_i3d(channels: int, endpoint: str) -> I3D:
    network = I3D(channels, endpoint)
    random_weights.initialise(network, 0)
    return network.requires_grad_(False)


@pytest.mark.parametrize("endpoint", ["Conv3d_1a_7x7", "Mixed_3c", "Mixed_4d", "Mixed_5c", "features"])
def test_the_grid_counts_the_vectors_of_any_number_of_frames(endpoint: str) -> None:
    network = random_i3d(2, endpoint)
    for frames in (1, 7, 8, 9, 17):
        features = network(torch.zeros(1, 2, frames, 3, 5))
        assert features.shape == (1, grid(endpoint).count(frames), network.dimension)


def test_published_sizes() -> None:
    assert [grid(name).stride for name in ("Conv3d_1a_7x7", "Mixed_3c", "Mixed_4f", "Mixed_5c")] == [2, 2, 4, 8]
    dimensions = {
        "Conv3d_2c_3x3": 192,
        "Mixed_3c": 480,
        "Mixed_4d": 512,
        "Mixed_4f": 832,
        "features": 1024,
        LOGITS: 400,
    }
    assert {name: I3D(3, name).dimension for name in dimensions} == dimensions
    # 64 frames give 7 vectors, the 24 of a VSLNet window two; DeepMind's logits are their mean.
    assert grid("features").count(64) == 7
    assert grid("features").count(24) == 2
    assert len(I3D(3, LOGITS).state_dict()) == 287  # tensors in piergiaj's files


def test_folding_batch_normalisation_changes_nothing() -> None:
    torch.manual_seed(0)
    network = i3d.I3D(3, "Mixed_3b").requires_grad_(False)
    random_weights.initialise(network, 0)
    for module in network.modules():
        if isinstance(module, i3d.BatchNorm):
            for name, low in (("weight", 0.5), ("bias", -1.0), ("running_mean", -1.0), ("running_var", 0.5)):
                getattr(module, name).uniform_(low, 2.0)
    clip = torch.rand(1, 3, 9, 33, 31) * 2 - 1
    expected = network(clip)
    folded = [module for module in network.modules() if isinstance(module, i3d.Unit3D)]
    for unit in folded:
        unit.fold()
        unit.fold()  # once is enough
    assert len(folded) == 9
    assert not [module for module in network.modules() if isinstance(module, i3d.BatchNorm)]
    torch.testing.assert_close(network(clip), expected, atol=1e-4, rtol=1e-4)


def test_only_the_layers_up_to_the_endpoint_are_built() -> None:
    for endpoint in TRUNK:
        built = {name.split(".")[0] for name in I3D(3, endpoint).state_dict()}
        assert built <= set(i3d.trunk_to(endpoint))
        assert i3d.trunk_to(endpoint)[-1] == endpoint
    assert ENDPOINTS[-2:] == ("features", "Logits")


def test_batch_normalisation_is_deepminds() -> None:
    norm = i3d.BatchNorm(1)
    norm.running_mean.fill_(2)
    norm.running_var.fill_(4)
    norm.bias.fill_(1)
    assert norm(torch.full((1, 1, 1, 1, 1), 6.0)).item() == pytest.approx(4 / math.sqrt(4 + 1e-3) + 1)


# --- DeepMind's weights -----------------------------------------------------------------------------------------------


def rgb_to_mixed_4d() -> I3D:
    network = I3D(3, "Mixed_4d")
    weights.load_into(network, data("i3d", "i3d_rgb_imagenet.to_Mixed_4d.safetensors"), weights.i3d_name)
    return network.requires_grad_(False)


def clip(name: str, frames: int, step: int = 1) -> np.ndarray:
    """(frames, H, W, 3) uint8: every `step`th frame of a video."""
    with av.open(str(data("videos", name))) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(images[: frames * step : step])


def as_input(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(3, 0, 1, 2)[None].float() * 2 / 255 - 1


def test_the_rgb_trunk_reproduces_an_independent_implementation() -> None:
    """On DeepMind's CricketShot sample, which already has 224x224 pixels: nothing is resized."""
    images = clip("v_CricketShot_g04_c01_rgb.gif", 64)
    assert images.shape == (64, 224, 224, 3)
    expected = np.load(data("i3d", "golden_mixed_4d_cricket.npz"), allow_pickle=False)
    found = rgb_to_mixed_4d()(as_input(images))[0].numpy()
    np.testing.assert_allclose(found, expected["time"], atol=1e-4)
    np.testing.assert_allclose(found.mean(0), expected["meanpool"], atol=1e-4)


@pytest.mark.parametrize("kind", ["rgb", "flow"])
def test_every_published_tensor_has_its_place_in_both_naming_schemes(kind: str) -> None:
    manifest = json.loads(data("i3d", f"i3d_{kind}_imagenet.manifest.json").read_text())["tensors"]
    assert len(manifest) == 230
    own = I3D({"rgb": 3, "flow": 2}[kind], LOGITS).state_dict()
    parts = {
        "conv_3d/w": ("conv3d.weight", "conv3d.weight"),
        "conv_3d/b": ("conv3d.bias", "conv3d.bias"),
        "batch_norm/beta": ("bn.bias", "batch3d.bias"),
        "batch_norm/moving_mean": ("bn.running_mean", "batch3d.running_mean"),
        "batch_norm/moving_variance": ("bn.running_var", "batch3d.running_var"),
    }
    placed = set()
    for tensor in manifest:
        here, there = parts["/".join(tensor["tf_name"].split("/")[-2:])]
        piergiaj, hassony2 = f"{tensor['piergiaj_prefix']}.{here}", f"{tensor['hassony2_prefix']}.{there}"
        assert weights.i3d_name(hassony2) == weights.i3d_name(piergiaj) == piergiaj
        shape = tensor["shape"]
        # TensorFlow: time, height, width, in, out.
        assert list(own[piergiaj].shape) == ([shape[4], shape[3], *shape[:3]] if len(shape) == 5 else shape)
        placed.add(piergiaj)
    assert {name for name in own if not name.endswith("bn.weight")} == placed


def test_statistics_of_batch_normalisation_tell_right_input_from_wrong() -> None:
    """Means of each convolution's output follow the stored ones, on real clips that are normalised as in training."""
    network = rgb_to_mixed_4d()
    norms = [module for module in network.modules() if isinstance(module, i3d.BatchNorm)]
    stored = torch.cat([norm.running_mean for norm in norms])
    means: list[torch.Tensor] = []
    for norm in norms:
        norm.register_forward_pre_hook(lambda _, inputs: means.append(inputs[0].mean((0, 2, 3, 4))))

    def measured(x: torch.Tensor) -> torch.Tensor:
        means.clear()
        network(x)
        return torch.cat(means)

    clips = []
    for name in ("Y1HGC.mp4", "v_GGSY1Qvo990.mp4", "mmaction_demo.mp4"):
        images = clip(name, 16)
        scale = 256 / min(images.shape[1:3])
        sized = np.stack([cv2.resize(i, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for i in images])
        top, left = ((side - 224) // 2 for side in sized.shape[1:3])
        clips.append(as_input(sized[:, top : top + 224, left : left + 224]))
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None, None]
    right, imagenet = (
        np.corrcoef(torch.stack([measured(x) for x in kind]).mean(0), stored)[0, 1]
        for kind in (clips, [((x + 1) / 2 - mean) / deviation for x in clips])
    )
    assert right >= 0.98
    assert imagenet < right - 0.02
