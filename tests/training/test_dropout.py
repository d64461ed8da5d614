import pytest
import torch

from vidistill.training.dropout import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_dropout_scales_what_it_keeps(rate):
    torch.manual_seed(0)
    x = torch.ones(1001, 999, requires_grad=True)  # an odd number of values
    dropped = Dropout(rate).train()(x)
    assert dropped.unique().tolist() == [0, pytest.approx(1 / (1 - rate), rel=1e-4)]
    assert dropped.mean().item() == pytest.approx(1, abs=0.005)
    dropped.sum().backward()
    assert torch.equal(x.grad, dropped)


def test_every_call_draws_anew_and_a_seed_draws_again():
    dropout, x = Dropout(0.5).train(), torch.ones(100)
    torch.manual_seed(3)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dropout", [Dropout(0.3).eval(), Dropout(0.0).train()])
def test_nothing_is_dropped_out_of_training_or_at_rate_0(dropout):
    x = torch.ones(10)
    assert dropout(x) is x


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    kept = (Dropout(0.5).train()(torch.ones(400_000)) > 0).double() - 0.5
    for distance in (1, 2, 3, 4, 8):
        assert (kept[distance:] * kept[:-distance]).mean().item() == pytest.approx(0, abs=0.003)
