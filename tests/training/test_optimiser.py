"""Adam and its learning rates against the formulas, one number at a time."""

import math

import pytest
import torch
from torch import nn

from vidistill.settings.train import OptimisationSettings
from vidistill.training import optimiser


def rates(updates_per_epoch=10, **changes):
    return optimiser.schedule(OptimisationSettings(**changes), updates_per_epoch)


def test_the_rate_peaks_at_the_end_of_the_warm_up_and_halves_at_four_times_it():
    rate = rates(learning_rate=4e-4, warmup_updates=400)
    assert rate(1) == pytest.approx(1e-6)
    assert rate(400) == pytest.approx(4e-4)
    assert rate(1600) == pytest.approx(2e-4)


def test_a_linear_rate_falls_from_epoch_to_epoch_after_slow_ones():
    rate = rates(learning_rate=1e-4, schedule="linear", slow_epochs=2, epochs=100)
    assert [rate(update) for update in (1, 20)] == [1e-6, 1e-6]
    assert [rate(update) for update in (21, 30)] == pytest.approx([0.98e-4] * 2)
    assert rate(1000) == pytest.approx(1e-6)  # epoch 99
    assert rates(schedule="constant", learning_rate=0.3)(10**6) == 0.3


@pytest.mark.parametrize("corrected", [True, False])
def test_a_step_is_adams_with_decay_of_all_but_layer_norm_and_biases(corrected):
    settings = OptimisationSettings(weight_decay=0.1, epsilon=1e-3, bias_correction=corrected)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    network.register_parameter("table", nn.Parameter(torch.randn(2, 2)))
    network.register_parameter("frozen", nn.Parameter(torch.randn(2), requires_grad=False))
    for parameter in network.parameters():
        parameter.data += 1
    adam = optimiser.build(network, settings)
    state = {
        (name, i): [value, 0.0, 0.0]
        for name, parameter in network.named_parameters()
        for i, value in enumerate(parameter.flatten().tolist())
    }
    for update in (1, 2, 3):
        rate = 0.01 * update
        optimiser.set_rate(adam, settings, rate, update)
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.grad = parameter.detach() * update
        adam.step()
        for (name, _), numbers in state.items():
            if name == "frozen":
                continue
            value, m, v = numbers
            gradient = value * update
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            first, second = (1 - 0.9**update, 1 - 0.999**update) if corrected else (1, 1)
            if name in ("0.weight", "table"):
                value -= rate * 0.1 * value
            numbers[:] = value - rate * (m / first) / (math.sqrt(v / second) + 1e-3), m, v
    found = {
        (name, i): value
        for name, parameter in network.named_parameters()
        for i, value in enumerate(parameter.flatten().tolist())
    }
    assert found == pytest.approx({key: numbers[0] for key, numbers in state.items()}, rel=1e-5)


OF_MMSD = OptimisationSettings(
    learning_rate=5e-5, schedule="step", weight_decay=1e-3, decay="coupled", second_beta=0.99, gradient_norm=None
)


def test_the_rate_falls_with_epoch_71():
    rate = optimiser.schedule(OF_MMSD, 20)
    assert rate(1) == rate(70 * 20) == 5e-5
    assert rate(70 * 20 + 1) == rate(240 * 20) == pytest.approx(1e-5)


def test_a_step_is_adams_with_the_decay_in_the_gradient_of_every_parameter():
    settings = OF_MMSD.model_copy(update={"weight_decay": 0.1})
    network = nn.Sequential(nn.Linear(1, 1), nn.LayerNorm(1))
    for value, parameter in enumerate(network.parameters(), 1):
        parameter.data.fill_(value)
    adam = optimiser.build(network, settings)
    state = [[float(value), 0.0, 0.0] for value in range(1, 5)]
    for update in (1, 2, 3):
        optimiser.set_rate(adam, settings, 0.01, update)
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, 0.5 * update)
        adam.step()
        for numbers in state:
            value, m, v = numbers
            gradient = 0.5 * update + 0.1 * value
            m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
            value -= 0.01 * (m / (1 - 0.9**update)) / (math.sqrt(v / (1 - 0.99**update)) + 1e-8)
            numbers[:] = value, m, v
    assert [parameter.item() for parameter in network.parameters()] == pytest.approx([x for x, _, _ in state])
