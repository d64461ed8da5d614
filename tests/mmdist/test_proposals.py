import math

import pytest
import torch

from vidistill.mmdist import proposals


def test_masks_are_gaussians_divided_by_their_maximum():
    mask = proposals.positive_masks(torch.tensor([0.4]), torch.tensor([0.3]), 50, 9.0)[0]
    std = 0.3 / 9
    values = [math.exp(-((i / 49 - 0.4) ** 2) / (2 * std**2)) for i in range(50)]
    assert mask.tolist() == pytest.approx([v / max(values) for v in values], rel=1e-3, abs=1e-7)


def test_narrow_masks_between_two_positions_are_finite():
    center = torch.tensor([0.5 / 49], requires_grad=True)
    mask = proposals.positive_masks(center, torch.tensor([0.0]), 50, 9.0)
    assert mask.max() == 1
    mask.sum().backward()
    assert torch.isfinite(center.grad).all()


@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0])
def test_negatives_lie_on_both_sides_and_come_nearer(progress):
    c, w, gamma = torch.tensor([0.6]), torch.tensor([0.2]), 0.5
    left, right = proposals.negative_masks(c, w, 101, 9.0, progress, gamma)
    t = progress**gamma / 2
    assert left[0].argmax().item() == pytest.approx(100 * 0.5 * t, abs=0.51)
    assert right[0].argmax().item() == pytest.approx(100 * (1 - 0.3 * t), abs=0.51)
    distance = max(0.5 * t, 0.01)
    at = 0.1
    expected = math.exp(-((at - 0.5 * t) ** 2) / (2 * (distance / 4.5) ** 2))
    assert left[0, 10].item() == pytest.approx(expected, abs=2e-2)


def test_without_curriculum_negatives_are_hard_at_once():
    c, w = torch.tensor([0.6]), torch.tensor([0.2])
    first, last = (proposals.negative_masks(c, w, 50, 9.0, p, 0.0)[0] for p in (0.1, 1.0))
    torch.testing.assert_close(first, last)


def test_moments_are_clipped_to_the_video():
    found = proposals.moments(torch.tensor([0.1, 0.5, 0.95]), torch.tensor([0.4, 0.2, 0.3]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.3], [0.4, 0.6], [0.8, 1.0]]))


def test_nearest_proposal_prefers_overlap_then_the_nearest_centre():
    center, width = torch.tensor([[0.2, 0.5, 0.9]] * 2), torch.tensor([[0.1, 0.4, 0.1]] * 2)
    target = torch.tensor([[0.32, 0.5], [0.26, 0.29]])
    assert proposals.nearest_proposal(center, width, target).tolist() == [1, 0]
