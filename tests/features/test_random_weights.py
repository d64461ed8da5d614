"""Random weights: the same from the same seed, and features in which a clip's colour and motion can be told."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vidistill.features import random_weights
from vidistill.features.i3d import I3D

torch.set_num_threads(2)
ENDPOINT = "Mixed_3c"


def network(channels: int, seed: int = 0) -> I3D:
    found = I3D(channels, ENDPOINT)
    random_weights.initialise(found, seed)
    return found.requires_grad_(False)


def test_seeds_decide() -> None:
    first, again, other = network(3, 1).state_dict(), network(3, 1).state_dict(), network(3, 2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["Conv3d_1a_7x7.conv3d.weight"], other["Conv3d_1a_7x7.conv3d.weight"])
    clips = random_weights.synthetic_clips(3, 1)
    assert torch.equal(clips, random_weights.synthetic_clips(3, 1))
    assert not torch.equal(clips, random_weights.synthetic_clips(3, 2))


@pytest.mark.parametrize("channels", [2, 3])
def test_synthetic_clips_move(channels: int) -> None:
    clips = random_weights.synthetic_clips(channels, 0)
    assert clips.shape[1] == channels
    assert clips.abs().max() <= 1
    assert (clips.diff(dim=2).abs().amax((1, 2, 3, 4)) > 0).all()
    if channels == 2:  # the background rests
        assert clips.median().abs() < 0.02


def test_whitening_takes_away_every_preferred_direction() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(500, 20)) @ draw.normal(size=(20, 20)) * 3 + 50
    white = random_weights.whitening(features)(features)
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-3)
    deviations = np.linalg.svd(white - white.mean(0), compute_uv=False) / 500**0.5
    assert deviations.max() == pytest.approx(1, abs=1e-3)
    assert white.shape == features.shape
    few = random_weights.whitening(features[:5])  # fewer samples than dimensions
    assert np.isfinite(few(features)).all()


SIDES = {"left": (0, -2), "right": (0, 2), "up": (-2, 0), "down": (2, 0)}
COLOURS = {"red": (1, -1, -1), "green": (-1, 1, -1), "blue": (-1, -1, 1), "yellow": (1, 1, -1)}


def squares(count: int = 4, size: int = 32, frames: int = 12) -> tuple[Tensor, Tensor, list[str], list[str]]:
    """Squares of every colour that move to every side: pictures, flow, colours, sides."""
    generator = torch.Generator().manual_seed(3)
    pictures, flows, colours, sides = [], [], [], []
    for colour, values in COLOURS.items():
        for side, (dy, dx) in SIDES.items():
            for _ in range(count):
                picture = 0.2 * torch.randn(3, 1, size, size, generator=generator).expand(-1, frames, -1, -1).clone()
                flow = torch.zeros(2, frames, size, size)
                y, x = torch.randint(0, size, (2,), generator=generator).tolist()
                for t in range(frames):
                    rows, columns = (torch.arange(10) + y + dy * t) % size, (torch.arange(10) + x + dx * t) % size
                    picture[:, t, rows[:, None], columns] = torch.tensor(values)[:, None, None].float()
                    flow[:, t, rows[:, None], columns] = torch.tensor([dx, dy])[:, None, None] / 20
                pictures.append(picture), flows.append(flow), colours.append(colour), sides.append(side)
    return torch.stack(pictures), torch.stack(flows), colours, sides


def told(features: np.ndarray, labels: list[str]) -> float:
    """Accuracy of a linear classifier by ridge regression, on the clips that it was not fitted to."""
    kinds = sorted(set(labels))
    targets = np.array([[2.0 * (label == kind) - 1 for kind in kinds] for label in labels])
    fitted = np.arange(len(labels)) % 2 == 0
    centred = features - features[fitted].mean(0)
    a = centred[fitted]
    kernel = a @ a.T
    ridge = 0.1 * np.trace(kernel) / len(kernel) * np.eye(len(kernel))
    scores = centred[~fitted] @ a.T @ np.linalg.solve(kernel + ridge, targets[fitted])
    return float(np.mean(scores.argmax(1) == targets[~fitted].argmax(1)))


def spread(features: np.ndarray) -> float:
    """Mean cosine between two clips."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T
    return float(cosines[np.triu_indices(len(unit), 1)].mean())


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_colour_and_motion_can_be_told(stream: str) -> None:
    pictures, flows, colours, sides = squares()
    clips = pictures if stream == "rgb" else flows
    net = network(clips.shape[1])
    white = random_weights.calibrate(net, random_weights.synthetic_clips(clips.shape[1], 0))
    raw = np.concatenate([net(part).numpy() for part in clips.split(8)])
    features = white(raw).mean(1)
    assert spread(raw.mean(1)) > 0.9
    assert spread(features) < 0.6
    # By chance 0.25. Flow has no colour: nothing is told where there is nothing to tell.
    assert told(features, sides) >= (0.9 if stream == "flow" else 0.5)
    assert told(features, colours) >= 0.8 if stream == "rgb" else told(features, colours) < 0.5
