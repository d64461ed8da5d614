"""Videos in parts: the features of the whole video, almost nothing computed twice, little memory."""

from itertools import pairwise

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vidistill.features import i3d, networks, random_weights
from vidistill.features.streaming import Stream, Streamed
from vidistill.features.windows import chunks

torch.set_num_threads(2)


def network(endpoint: str, channels: int = 2) -> i3d.I3D:
    made = i3d.I3D(channels, endpoint)
    random_weights.initialise(made, 0)
    return made.requires_grad_(False)


def in_parts(made: i3d.I3D, x: torch.Tensor, cuts: list[int]) -> torch.Tensor:
    stream = Stream(made, x.shape[2])
    return torch.cat([stream(x[:, :, first:last]) for first, last in pairwise([0, *cuts, x.shape[2]])], 1)


@pytest.mark.parametrize("endpoint", ["Mixed_3c", "Mixed_4d", "features", "Logits"])
@pytest.mark.parametrize("frames", [157, 160])
def test_a_video_in_parts_has_the_features_of_the_whole(endpoint: str, frames: int) -> None:
    made = network(endpoint)
    x = torch.randn(1, 2, frames, 6, 6, generator=torch.Generator().manual_seed(1))
    whole = made(x)
    for cuts in ([40, 80, 120], [1, 2, 3, 50, 51, 156], list(range(13, frames, 13))):
        torch.testing.assert_close(in_parts(made, x, cuts), whole, atol=1e-5, rtol=1e-4)
    pieces = chunks(frames, 40, 0, i3d.grid(endpoint))
    seams = torch.cat([made(x[:, :, p.start : p.stop])[:, p.first : p.last] for p in pieces], 1)
    assert (seams - whole).abs().max() > 1e-2 * whole.abs().max()  # what a seam looks like


@pytest.mark.parametrize("frames", [1, 2, 7, 8, 15, 16, 17, 23])
def test_short_videos_in_parts_of_any_length(frames: int) -> None:
    made = network("features")
    x = torch.randn(2, 2, frames, 3, 5, generator=torch.Generator().manual_seed(1))
    for size in (1, 2, 5, 16):
        torch.testing.assert_close(in_parts(made, x, list(range(size, frames, size))), made(x), atol=1e-5, rtol=1e-4)


# One of each kernel and stride, and the average pooling.
LAYERS = ["Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "Conv3d_2c_3x3", "Mixed_3b", "MaxPool3d_4a_3x3", "MaxPool3d_5a_2x2", ""]


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_in_parts_is_the_layer(name: str) -> None:
    """In float64: a wrong frame anywhere would be seen."""
    made = network("features").double()
    layer = made.layers()[[*i3d.TRUNK, ""].index(name)]
    before = ["", *i3d.TRUNK][[*i3d.TRUNK, ""].index(name)]
    channels = i3d.I3D(2, before).dimension if before else 2
    for frames in (1, 2, 3, 4, 7, 8, 9):
        x = torch.randn(1, channels, frames, 2, 3, generator=torch.Generator().manual_seed(frames)).double()
        expected = layer.apply(x)
        for size in (1, 2, 3, 5):
            streamed = Streamed(layer, frames)
            outputs = [streamed(part) for part in x.split(size, 2)]
            assert streamed.count == expected.shape[2]
            torch.testing.assert_close(
                torch.cat([y for y in outputs if y.shape[2]], 2), expected, atol=1e-12, rtol=1e-12
            )


def test_a_long_video_costs_at_most_a_tenth_more_than_at_once() -> None:
    made, frames = network("features", 3).to("meta"), 1200

    def operations(size: int) -> int:
        stream = Stream(made, frames)
        with FlopCounterMode(display=False) as counted:
            for part in torch.empty(1, 3, frames, 224, 224, device="meta").split(size, 2):
                stream(part)
        return counted.get_total_flops()

    once = operations(frames)
    assert once < operations(networks.FRAMES) <= 1.1 * once


def test_what_a_stream_holds_depends_neither_on_the_video_nor_on_the_parts() -> None:
    made = network("features")

    def held(frames: int, size: int) -> int:
        stream = Stream(made, 10_000)
        for _ in range(frames // size):
            stream(torch.zeros(1, 2, size, 4, 4))
        return sum(layer.held.untyped_storage().nbytes() for layer in stream.layers if layer.held is not None)

    assert held(128, 64) == held(384, 64) == held(384, 128)
