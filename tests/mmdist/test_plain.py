"""The objective and evaluation against the benchmark's plain computation of everything.

In double precision, but for the softmax over the words.
"""

import contextlib
import sys

import pytest
import torch

from conftest import ROOT, parse
from vidistill.mmdist import network as networks
from vidistill.mmdist import predict
from vidistill.mmdist.attention import Rows
from vidistill.mmdist.batch import Batch
from vidistill.mmdist.network import Network
from vidistill.mmdist.objective import Objective
from vidistill.settings.mmdist import LossSettings, NetworkSettings

sys.path.insert(0, str(ROOT / "benchmarks"))
from plain_cpl import PlainCPL

B, L, F, V, W = 6, 40, 12, 30, 9


@pytest.fixture
def models(config):
    """Ours, the plain one with the same weights, and a batch with sentences of 1 to 9 words."""
    torch.manual_seed(0)
    small = {"dim": 16, "heads": 4, "feed_forward": 24, "positions": 20, "proposals": 4, "dropout": 0.0}
    settings = parse(NetworkSettings, config["mmdist"]["network"], kind="single", **small)
    vectors = torch.randn(V + 1, 10)
    ours = Network(settings, [F], vectors, learned_words=False, local=False).double()
    for parameter in ours.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    ours.proposal_head.bias.data += 2 * torch.randn(8)  # some proposals are narrow
    plain = PlainCPL(settings, F, vectors).double()
    plain.load_state_dict(ours.state_dict())
    tokens = torch.randint(1, V + 1, (B, W))
    tokens[torch.arange(W) >= torch.tensor([1, 9, 4, 6, 2, 9])[:, None]] = 0
    features = [torch.randn(B, L, F, dtype=torch.float64)]
    masked = torch.rand(B, W) < 0.4
    return ours, plain, Batch(features, torch.arange(B), tokens, masked)


@pytest.mark.parametrize("progress", [0.1, 1.0])
@pytest.mark.parametrize("packed", [True, False])
def test_a_step_has_the_loss_and_gradients_of_the_plain_one(config, models, monkeypatch, packed, progress):
    ours, plain, batch = models
    packings = watch(monkeypatch, packed)
    loss = parse(LossSettings, config["mmdist"]["loss"], local_learning=False)
    found, _ = Objective(ours, loss, None, contextlib.nullcontext())(batch, progress)
    found.backward()
    expected = plain.loss(batch, progress, loss)
    expected.backward()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    gradients = dict(plain.named_parameters())
    for name, parameter in ours.named_parameters():
        # The keys' bias shifts all logits of a softmax: it has no gradient but for rounding.
        if parameter.requires_grad and not name.endswith("key.bias"):
            wanted = gradients[name].grad
            torch.testing.assert_close(parameter.grad, wanted, rtol=1e-4, atol=1e-7, msg=name)
    assert all((rows.chosen is not None) == packed for rows in packings)


def test_evaluation_has_the_errors_of_the_plain_one(config, models):
    ours, plain, batch = models
    loss = parse(LossSettings, config["mmdist"]["loss"], local_learning=False)
    with torch.no_grad():
        _, _, errors, _, _ = predict.infer(
            ours.eval(), batch._replace(masked_words=batch.masked_words.unsqueeze(1)), loss, 3.0
        )
        expected = plain.eval()(batch, 1.0, loss)[0]
    torch.testing.assert_close(errors, expected, rtol=1e-6, atol=0)


def watch(monkeypatch, packed):
    """The rows that reconstructions compute: some of the positions, or, as on a GPU, all."""
    seen = []
    rows_of = networks.rows_of

    def watched(kept):
        seen.append(rows_of(kept) if packed else Rows(*kept.shape))
        return seen[-1]

    monkeypatch.setattr(networks, "rows_of", watched)
    return seen
