"""Each loss against the sum that its equation writes, one number at a time."""

import inspect
import math
import re

import pytest
import torch

import small
from vidistill.mmdist import losses, network, predict, proposals


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_reconstruction_error_is_the_smoothed_cross_entropy_of_words_alone():
    logits, tokens = torch.randn(2, 3, 4, 5), torch.tensor([[1, 2, 0, 0], [4, 3, 2, 1]])
    errors = losses.reconstruction_error(logits, tokens, label_smoothing=0.1)
    for b in range(2):
        for r in range(3):
            total, count = 0.0, 0
            for w in range(4):
                if tokens[b, w] == 0:
                    continue
                p = [math.exp(x) for x in logits[b, r, w].tolist()]
                logs = [math.log(x / sum(p)) for x in p]
                target = [0.1 / 5 + (0.9 if v == tokens[b, w] else 0) for v in range(5)]
                total -= sum(t * x for t, x in zip(target, logs, strict=True))
                count += 1
            assert errors[b, r].item() == pytest.approx(total / count, rel=1e-5)


def test_padding_is_no_target():
    logits, tokens = torch.randn(1, 1, 3, 5), torch.tensor([[1, 2, 0]])
    other = logits.clone()
    other[0, 0, 2] = torch.randn(5)
    assert losses.reconstruction_error(logits, tokens, 0.1) == losses.reconstruction_error(other, tokens, 0.1)


def test_reconstruction_is_a_mean_or_literally_a_sum():
    chosen, full = torch.tensor([1.0]), torch.tensor([3.0])
    assert losses.reconstruction_loss(chosen, full, "mean").item() == 2
    assert losses.reconstruction_loss(chosen, full, "sum").item() == 4


def test_ranking_adds_three_hinges():
    chosen, full = torch.tensor([1.0, 0.0]), torch.tensor([1.05, 9.0])
    left, right = torch.tensor([0.5, 9.0]), torch.tensor([1.2, 9.0])
    found = losses.ranking_loss(chosen, full, left, right, 0.1, 0.15)
    assert found.tolist() == pytest.approx([0.05 + 0.65 + 0.0, 0.0], abs=1e-6)


def test_diversity_is_the_squared_distance_of_the_gram_matrix_from_lambda_identity():
    masks = torch.rand(2, 3, 7)
    found = losses.diversity_loss(masks, 0.146)
    for b in range(2):
        rows = [[x / sum(row) for x in row] for row in masks[b].tolist()]
        total = 0.0
        for i in range(3):
            for j in range(3):
                dot = sum(x * y for x, y in zip(rows[i], rows[j], strict=True))
                total += (0.146 * (i == j) - dot) ** 2
        assert found[b].item() == pytest.approx(total, rel=1e-4)


def test_similarity_is_the_mean_of_the_top_quarter():
    maps = torch.tensor([[0.1, 0.9, 0.3, 0.5, 0.7, 0.2, 0.0, 0.4]])
    assert losses.similarity(maps, 0.25).item() == pytest.approx(0.8)


@pytest.mark.parametrize("symmetric", [False, True])
def test_local_loss_is_infonce_without_the_excluded_pairs(symmetric):
    similarities = torch.randn(3, 3)
    excluded = torch.zeros(3, 3, dtype=torch.bool)
    excluded[0, 2] = True
    found = losses.local_loss(similarities, excluded, 0.1, symmetric)
    e = [[0.0 if excluded[i, j] else math.exp(similarities[i, j].item() / 0.1) for j in range(3)] for i in range(3)]
    for i in range(3):
        expected = -math.log(e[i][i] / sum(e[i]))
        if symmetric:
            expected = (expected - math.log(e[i][i] / sum(row[i] for row in e))) / 2
        assert found[i].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_pairs_of_one_video_or_one_sentence_are_no_negatives():
    tokens = torch.tensor([[1, 2], [3, 4], [1, 2], [5, 6]])
    video = torch.tensor([0, 0, 1, 2])
    pairs = {tuple(pair) for pair in losses.same_pairs(video, tokens).nonzero().tolist()}
    assert pairs == {(0, 1), (1, 0), (0, 2), (2, 0)}


@pytest.mark.parametrize(("form", "expected"), [("absolute", 0.6), ("square", 0.5)])
def test_map_difference_is_a_mean_over_snippets_and_leaves_its_target_alone(form, expected):
    student = torch.tensor([[0.2, 0.5]], requires_grad=True)
    target = torch.tensor([[0.4, -0.5]], requires_grad=True)
    found = losses.map_difference(student, target, form)
    assert found.item() == pytest.approx(expected if form == "absolute" else (0.04 + 1.0) / 2)
    found.sum().backward()
    assert student.grad is not None
    assert target.grad is None


def test_mutual_loss_teaches_both_ways():
    a = torch.tensor([[0.0, 0.0]], requires_grad=True)
    b = torch.tensor([[1.0, 3.0]], requires_grad=True)
    found = losses.mutual_loss([a, b], "absolute")
    assert found.item() == pytest.approx(4.0)
    found.sum().backward()
    # Each map is pulled by one term alone: as a target it is constant.
    assert a.grad.tolist() == [[-0.5, -0.5]]
    assert b.grad.tolist() == [[0.5, 0.5]]


def test_the_global_loss_is_weighted_as_cpl_does_or_as_eq_3(config):
    terms = [torch.tensor([x]) for x in (2.0, 0.3, 0.05)]
    for changes, expected in (
        ({"ranking_weight": 2.0, "diversity_weight": 0.1}, 2.0 + 2 * 0.3 + 0.1 * 0.05),
        ({"global_terms": "paper", "ranking_weight": 2.0}, 2.0 + 0.3),
    ):
        settings = small.train_settings(config, loss=changes).loss
        assert losses.global_loss(*terms, settings).item() == pytest.approx(expected)


def test_totals_add_their_terms_with_their_weights():
    a, b, c = (torch.tensor([x]) for x in (1.0, 0.5, 0.25))
    assert losses.baseline_loss(a, b, 4.5).item() == pytest.approx(1 + 4.5 * 0.5)
    assert losses.distillation_loss(a, b, 4.5).item() == pytest.approx(1 + 4.5 * 0.5)
    assert losses.student_loss(a, b, 0.9).item() == pytest.approx(1 + 0.9 * 0.5)
    streams = torch.tensor([[0.5], [0.7]])
    assert losses.teacher_loss(a, streams, c, 4.5, 2.0).item() == pytest.approx(1 + 4.5 * 0.6 + 2 * 0.25)


def test_each_equation_has_one_function():
    """Its docstring begins with the equation's number."""
    found = {}
    for module in (losses, network, proposals, predict):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            number = re.match(r"Eq\. (\d+):", function.__doc__ or "")
            if number and function.__module__ == module.__name__:
                found.setdefault(int(number[1]), []).append(name)
    assert {number: len(names) for number, names in found.items()} == dict.fromkeys(range(1, 15), 1)
