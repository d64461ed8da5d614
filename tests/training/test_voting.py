import pytest
import torch

from vidistill.training.voting import implied_confidence, vote

Q = torch.tensor([(0.90, 0.55, 0.65), (0.50, 0.85, 0.10), (0.20, 0.30, 0.59), (0.70, 0.65, 0.98)]).T
B = torch.tensor([(1.0, 0, 1), (1, 0, 0), (0, 1, 1), (1, 1, 0)]).T


def test_votes_are_those_of_the_worked_example():
    target, mask = vote(B, Q, reliable=0.6, margin=0.3)
    assert mask.T.tolist() == [[True] * 3, [True] * 3, [False] * 3, [True] * 3]
    assert target.T[[0, 1, 3]].tolist() == [[1, 1, 1], [0, 0, 0], [1, 0.5, 0]]


def test_equal_confidence_gives_no_votes():
    labels = torch.tensor([[1.0], [0.0], [0.0]])
    target, mask = vote(labels, torch.full((3, 1), 0.9), reliable=0.6, margin=0.3)
    assert mask.all()
    assert target.tolist() == labels.tolist()


def test_one_source_that_is_always_reliable_is_its_own_target():
    labels = torch.rand(1, 20)
    target, mask = vote(labels, torch.rand(1, 20), reliable=0.0, margin=0.3)
    assert mask.all()
    torch.testing.assert_close(target, labels)


def test_a_sequence_without_confidence_is_sure_at_its_extremes():
    values = torch.tensor([[1.0, 2.0, 3.0, 2.5], [4.0, 4.0, 4.0, 4.0]])
    assert implied_confidence(values).tolist() == [pytest.approx([1, 0, 1, 0.5]), [0, 0, 0, 0]]
