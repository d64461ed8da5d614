"""MMSD's optimiser: Adam with coupled decay of everything, and a rate that falls once."""

import math

import pytest
import torch
from torch import nn

from vidistill.settings.train import OptimisationSettings
from vidistill.training import optimiser

RELEASED = OptimisationSettings(
    learning_rate=5e-5, schedule="step", weight_decay=1e-3, decay="coupled", second_beta=0.99, gradient_norm=None
)


def test_the_rate_falls_with_epoch_71():
    rate = optimiser.schedule(RELEASED, 20)
    assert rate(1) == rate(70 * 20) == 5e-5
    assert rate(70 * 20 + 1) == rate(240 * 20) == pytest.approx(1e-5)


def test_a_step_is_adams_with_the_decay_in_the_gradient_of_every_parameter():
    settings = RELEASED.model_copy(update={"weight_decay": 0.1})
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
