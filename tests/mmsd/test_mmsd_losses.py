"""The worked numbers of the method, and what gradients reach."""

import math

import pytest
import torch

from vidistill.mmsd import losses

RGB, FLOW, FUSED = ([(1, 0, 0.5), (0, 0.2, 0.4)], [(0.8, 0.1, 0.5), (0, 0.6, 0.4)], [(0.9, 0.3, 0.1), (0.1, 0.1, 0.3)])


def one_hot(*labels):
    return torch.tensor(labels, dtype=torch.bool)


def test_classification_is_cross_entropy_without_and_with_background():
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    y = one_hot(True, False)
    assert losses.classification_loss(logits, logits, y, 0.0).item() == pytest.approx(0.693147, abs=1e-6)
    both = losses.classification_loss(logits, logits, y, 0.5).item()
    assert (both - 0.693147) / 0.5 == pytest.approx(1.039721, abs=1e-5)


def test_several_labels_share_the_target():
    logits = torch.randn(2, 4)
    found = losses.classification_loss(logits, logits, one_hot(True, False, True), 0.5)
    p = logits.log_softmax(-1)
    torch.testing.assert_close(found, -(p[:, 0] + p[:, 2]) / 2 - 0.5 * (p[:, 0] + p[:, 2] + p[:, 3]) / 3)


def test_attention_loss_is_the_worked_example():
    gates = torch.tensor([[(0.9, 0.2, 0.1), (0.8, 0.3, 0.2), (0.1, 0.4, 0.9), (0.2, 0.5, 0.8)]])
    assert losses.attention_loss(gates, one_hot(True, False), 8).item() == pytest.approx(-2.3, abs=1e-6)


def test_attention_loss_compares_an_eighth_of_the_snippets():
    gates = torch.rand(1, 17, 3)
    ordered = gates.sort(1).values[0]
    expected = sum(ordered[:2, c].mean() - ordered[-2:, c].mean() for c in (1, 2))
    expected -= (gates[0, :, 1] - gates[0, :, 2]).abs().mean()
    assert losses.attention_loss(gates, one_hot(False, True), 8).item() == pytest.approx(expected.item(), abs=1e-6)


def test_distillation_is_the_worked_example():
    rgb, flow, fused = (torch.tensor([x]) for x in (RGB, FLOW, FUSED))
    pairs = {0.916935: (rgb, flow), 0.822445: (flow, rgb), 0.828569: (fused, (rgb + flow) / 2), 0.568453: (rgb, rgb)}
    for expected, (student, teacher) in pairs.items():
        assert losses.distillation_loss(student, teacher, 0.2).item() == pytest.approx(expected, abs=1e-6)
    entropy = -(p := (rgb / 0.2).softmax(-1)) * p.log()
    assert entropy.sum(-1).mean().item() == pytest.approx(0.568453, abs=1e-6)


def test_streams_teach_each_other_and_their_mean_the_fused_one():
    scores = torch.tensor([RGB, FLOW, FUSED], requires_grad=True)
    found = losses.mutual_loss(scores, 0.2)
    assert found.tolist() == pytest.approx([0.916935, 0.822445, 0.828569], abs=1e-6)
    for stream in range(3):  # each term pulls its own stream alone
        (gradient,) = torch.autograd.grad(found[stream], scores, retain_graph=True)
        assert [bool(x.any()) for x in gradient] == [other == stream for other in range(3)]


def test_confidence_compares_the_labelled_classes_with_background():
    p = torch.tensor([[[0.5, 0.2, 0.1, 0.2], [0.1, 0.1, 0.1, 0.7]]])
    found = losses.confidence(p.log(), one_hot(True, False, True))
    torch.testing.assert_close(found, torch.tensor([[0.4, 0.5]]))


def scores_of(confidence, foreground):
    """(M, T, 2) scores of one class and background with this confidence."""
    p = torch.where(foreground > 0, (1 + confidence) / 2, (1 - confidence) / 2)
    return torch.stack([p, 1 - p], -1).log()


Q = torch.tensor([(0.90, 0.55, 0.65), (0.50, 0.85, 0.10), (0.20, 0.30, 0.59), (0.70, 0.65, 0.98)]).T
B = torch.tensor([(1.0, 0, 1), (1, 0, 0), (0, 1, 1), (1, 1, 0)]).T
A = torch.tensor([(0.8, 0.7, 0.6), (0.4, 0.2, 0.3), (0.5, 0.5, 0.5), (0.6, 0.9, 0.5)]).T


def test_pseudo_labels_are_the_worked_example():
    found = losses.pseudo_label_loss(A, B, scores_of(Q, B), one_hot(True), reliable=0.6, margin=0.3)
    assert found.tolist() == pytest.approx([0.12, 0.096667, 0.166667], abs=1e-6)
    assert found.sum().item() == pytest.approx(0.383333, abs=1e-6)


def test_without_voting_reliable_streams_keep_their_own_labels():
    found = losses.pseudo_label_loss(A, B, scores_of(Q, B), one_hot(True), reliable=0.6, margin=math.inf)
    expected = [(0.04 + 0.16) / 2, (0.04 + 0.01) / 2, (0.16 + 0.25) / 2]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_streams_of_which_none_is_reliable_have_no_loss():
    attention = A.clone().requires_grad_()
    found = losses.pseudo_label_loss(attention, B, scores_of(0.5 * Q, B), one_hot(True), reliable=0.6, margin=0.3)
    assert found.tolist() == [0, 0, 0]
    found.sum().backward()
    assert attention.grad.tolist() == torch.zeros_like(A).tolist()


def test_pseudo_labels_teach_the_attention_alone():
    scores, attention = scores_of(Q, B).requires_grad_(), A.clone().requires_grad_()
    losses.pseudo_label_loss(attention, B, scores, one_hot(True), reliable=0.6, margin=0.3).sum().backward()
    assert scores.grad is None
    assert attention.grad.any()
