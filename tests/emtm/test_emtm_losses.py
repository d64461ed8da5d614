"""Each loss against the sum that the specification writes, one number at a time."""

import math

import pytest
import torch

from vidistill.emtm import losses
from vidistill.settings.emtm import LossSettings

INF = float("inf")
LENGTHS = [5, 3]
VALID = torch.arange(5) < torch.tensor(LENGTHS).unsqueeze(1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def padded(x):
    return x.masked_fill(~VALID.unsqueeze(1), -INF)


def distributions():
    """(2, 2, 5), 0 on padding."""
    return padded(2 * torch.randn(2, 2, 5)).softmax(-1)


def softmax(numbers):
    exponents = [math.exp(x) for x in numbers]
    return [x / sum(exponents) for x in exponents]


def test_location_is_the_cross_entropy_of_labels_on_valid_snippets():
    logits, labels = padded(torch.randn(2, 2, 5)), distributions()
    total = 0.0
    for b, length in enumerate(LENGTHS):
        for which in range(2):
            p = softmax(logits[b, which, :length].tolist())
            total -= sum(y * math.log(x) for y, x in zip(labels[b, which].tolist(), p, strict=False))
    assert losses.location_loss(logits, labels).item() == pytest.approx(total / 2, rel=1e-5)


def test_location_is_at_best_2_08_away_from_borders():
    labels = torch.tensor([[[0, 0.25, 0.5, 0.25, 0]] * 2])
    assert losses.location_loss((labels + 1e-12).log(), labels).item() == pytest.approx(2.08, abs=0.005)


def test_matching_is_a_mean_over_all_valid_snippets():
    logits, classes = torch.randn(2, 5, 4), torch.randint(0, 4, (2, 5))
    errors = [-math.log(softmax(logits[b, t].tolist())[classes[b, t]]) for b, n in enumerate(LENGTHS) for t in range(n)]
    assert losses.matching_loss(logits, classes, VALID).item() == pytest.approx(sum(errors) / 8, rel=1e-5)


def test_labels_are_kept_orthogonal():
    labels = torch.randn(4, 6)
    products = [
        sum(x * y for x, y in zip(labels[i].tolist(), labels[j].tolist(), strict=True)) ** 2
        for i in range(4)
        for j in range(4)
        if i != j
    ]
    assert losses.overlap_of_labels(labels).item() == pytest.approx(math.sqrt(sum(products)), rel=1e-5)
    orthogonal = torch.eye(4, 6, requires_grad=True)
    found = losses.overlap_of_labels(orthogonal)
    assert found.item() == pytest.approx(1e-6)
    found.backward()
    assert orthogonal.grad.isfinite().all()


def test_the_aggregation_learns_the_labels():
    mixture, labels = distributions(), distributions()
    total = -sum(
        y * math.log(p + 1e-8) for y, p in zip(labels.flatten().tolist(), mixture.flatten().tolist(), strict=True)
    )
    assert losses.aggregation_loss(mixture, labels).item() == pytest.approx(total / 2, rel=1e-5)


def test_the_released_aggregation_loss_is_nearly_flat():
    size = 64
    valid = torch.ones(1, size, dtype=torch.bool)
    right, wrong = torch.zeros(1, 2, size), torch.zeros(1, 2, size)
    right[..., 3] = wrong[..., 9] = 1
    values = [losses.released_aggregation_loss(m, right, valid).item() for m in (right, wrong)]
    p = math.exp(1) / (math.exp(1) + size - 1)
    assert values[0] == pytest.approx(-2 * math.log(p), rel=1e-4)
    assert values[1] - values[0] == pytest.approx(2, rel=1e-3)
    ours = [losses.aggregation_loss(m, right).item() for m in (right, wrong)]
    assert ours[1] - ours[0] > 30


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distillation_is_the_divergence_from_the_rooted_mixture(temperature):
    logits, mixture = padded(torch.randn(2, 2, 5)), distributions()
    mixture[0, 0] = torch.tensor([0.0, 1, 0, 0, 0])
    total = 0.0
    for b, length in enumerate(LENGTHS):
        for which in range(2):
            roots = [x ** (1 / temperature) for x in mixture[b, which, :length].tolist()]
            p = softmax([x / temperature for x in logits[b, which, :length].tolist()])
            t = [x / sum(roots) for x in roots]
            total += sum(x * math.log(x / y) for x, y in zip(t, p, strict=True) if x > 0)
    found = losses.distillation_loss(logits, mixture, temperature)
    assert found.item() == pytest.approx(total / 2, rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distillation_is_0_for_equal_distributions_alone(temperature):
    mixture = distributions()
    logits = padded(mixture.clamp(min=1e-30).log())
    assert losses.distillation_loss(logits, mixture, temperature).item() == pytest.approx(0, abs=1e-6)
    assert losses.distillation_loss(logits + 7, mixture, temperature).item() == pytest.approx(0, abs=1e-5)
    other = logits.clone()
    other[1, 1, 2] += 1
    found = losses.distillation_loss(other, mixture, temperature).item()
    assert found > 1e-3
    wide = [torch.nn.functional.pad(x, (0, 4), value=value) for x, value in ((other, -INF), (mixture, 0.0))]
    assert losses.distillation_loss(*wide, temperature).item() == pytest.approx(found, rel=1e-5)


def test_a_zero_of_the_mixture_has_a_finite_gradient():
    mixture = torch.tensor([[[0.0, 0.3, 0.7], [0.5, 0.5, 0.0]]], requires_grad=True)
    losses.distillation_loss(torch.randn(1, 2, 3), mixture, 3.0).backward()
    assert mixture.grad.isfinite().all()
    assert mixture.grad.any()


@pytest.mark.parametrize(("size", "temperature", "limit"), [(64, 1, 1e-5), (100, 3, 1e-6)])
def test_released_distillation_teaches_next_to_nothing_on_peaked_labels(size, temperature, limit):
    valid = torch.ones(16, size, dtype=torch.bool)
    place = torch.arange(size)
    center = torch.randint(5, size - 5, (16, 2, 1))
    mixture = (-((place - center) ** 2) / 2.0).softmax(-1)
    logits = torch.randn(16, 2, size)
    released = losses.released_distillation_loss(logits, mixture, temperature, valid).item()
    assert 0 < released < limit
    assert losses.distillation_loss(logits, mixture, temperature).item() > 1


def test_released_distillation_is_what_it_says():
    logits, mixture = padded(torch.randn(2, 2, 5)), distributions()
    total = 0.0
    for b, length in enumerate(LENGTHS):
        for which in range(2):
            sides = []
            for values in (mixture[b, which].tolist(), logits[b, which].tolist()):
                values = [x if t < length else 0.0 for t, x in enumerate(values)]
                norm = math.sqrt(sum(x * x for x in values))
                sides.append(softmax(softmax([x / norm / 2.0 for x in values])))
            total += sum(t * math.log(t / p) for t, p in zip(*sides, strict=True))
    found = losses.released_distillation_loss(logits, mixture, 2.0, VALID)
    assert found.item() == pytest.approx(total / 2, rel=1e-3)


def test_the_total_weighs_the_terms_that_there_are():
    names = ("location", "matching", "isomorphic_location", "isomorphic_matching", "aggregation", "distillation")
    terms = {name: torch.tensor(10.0**n) for n, name in enumerate(names)}
    assert losses.total(terms, LossSettings()).item() == 1 + 10 + 100 + 1000 + 10_000 + 0.1 * 100_000
    weights = LossSettings(location=2.0, matching=3.0, isomorphic=0.5, aggregation=0.1, distillation=0.0)
    assert losses.total(terms, weights).item() == pytest.approx(2 + 30 + 100 + 1500 + 1000)
    assert losses.total({"location": terms["location"]}, weights).item() == 2
