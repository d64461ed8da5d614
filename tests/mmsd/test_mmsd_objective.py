import numpy as np
import pytest
import torch

import small_videos
from small_videos import NAMED, train_settings
from vidistill.mmsd.network import Network
from vidistill.mmsd.objective import Objective, PseudoLabels
from vidistill.mmsd.videos import Batch

LENGTHS = [5, 9, 3]


def objective(model="mmsd", **changes):
    torch.manual_seed(0)
    settings = train_settings(model, **changes)
    network = Network(settings.network, settings.streams, [small_videos.DIMS[x] for x in settings.streams], 3)
    return Objective(network.eval(), settings)  # without dropout


def batch(streams=("rgb", "flow")):
    random = torch.Generator().manual_seed(1)
    features = [torch.randn(sum(LENGTHS), small_videos.DIMS[stream], generator=random) for stream in streams]
    return Batch(features, LENGTHS, torch.tensor([[1, 0, 0], [0, 1, 1], [1, 1, 1]], dtype=torch.bool))


def pseudo_labels(heads):
    random = torch.Generator().manual_seed(2)
    return [PseudoLabels((torch.rand(heads, length, generator=random) > 0.5).float()) for length in LENGTHS]


def parts(whole):
    """The videos of a batch as batches of their own."""
    streams = zip(*(x.split(whole.lengths) for x in whole.features), strict=True)
    return [Batch(list(x), [n], y[None]) for x, n, y in zip(streams, whole.lengths, whole.labels, strict=True)]


def test_a_packed_batch_is_the_sum_of_its_videos_gradients_too():
    together = objective()
    labels = pseudo_labels(3)
    total, terms = together(batch(), labels)
    total.backward()
    apart = objective()
    totals = [apart(video, labels[i : i + 1]) for i, video in enumerate(parts(batch()))]
    for one, _ in totals:
        one.backward()
    assert total.item() == pytest.approx(sum(one.item() for one, _ in totals), rel=1e-6)
    assert terms["loss"].item() == pytest.approx(total.item() / 3, rel=1e-6)
    for name in terms:
        assert terms[name].item() == pytest.approx(np.mean([x[name].item() for _, x in totals]), rel=1e-5), name
    for (name, p), q in zip(together.network.named_parameters(), apart.network.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_the_loss_adds_its_terms_with_their_weights():
    total, terms = objective()(batch(), pseudo_labels(3))
    weights = {"classification": 1, "attention": 0.1, "distillation": 0.1, "pseudo_label": 2.0}
    assert set(terms) == {"loss", *weights}
    assert total.item() / 3 == pytest.approx(sum(w * terms[name].item() for name, w in weights.items()), rel=1e-5)


def test_permuted_snippets_with_their_labels_have_the_same_loss():
    whole, labels = batch(), pseudo_labels(3)
    orders = [torch.randperm(n) for n in LENGTHS]
    starts = np.cumsum([0, *LENGTHS[:-1]])
    place = torch.cat([order + start for order, start in zip(orders, starts.tolist(), strict=True)])
    mixed = whole._replace(features=[x[place] for x in whole.features])
    moved = [PseudoLabels(x.values[:, order]) for x, order in zip(labels, orders, strict=True)]
    assert objective()(mixed, moved)[0].item() == pytest.approx(objective()(whole, labels)[0].item(), rel=1e-5)


def test_pseudo_labels_reach_foreground_centre_and_embedding_alone():
    of_labels = objective(loss={"distillation_weight": 0.0, "attention_weight": 0.0}, pseudo_labels={"reliable": 0.0})
    gradients = []
    for labels in (pseudo_labels(3), None):
        total, _ = of_labels(batch(), labels)
        gradients.append(torch.autograd.grad(total, [*of_labels.network.parameters()]))
    for (name, _), one, other in zip(of_labels.network.named_parameters(), *gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-7) == (name == "centers"), name


@pytest.mark.parametrize(
    ("model", "heads", "left_out"),
    [
        ("mmsd", 3, set()),
        ("mmsd-no-mkd", 3, {"distillation"}),
        ("mmsd-rgb", 1, {"distillation"}),
        ("mmsd-flow", 1, {"distillation"}),
        ("mmsd-fused", 1, {"distillation"}),
    ],
)
def test_each_model_has_the_terms_of_its_name(model, heads, left_out):
    found = objective(model)
    assert len(found.network.heads) == heads
    _, terms = found(batch(NAMED[model].get("streams", ("rgb", "flow"))), pseudo_labels(heads))
    assert set(terms) == {"loss", "classification", "attention", "distillation", "pseudo_label"} - left_out


def test_a_students_target_counts_where_it_has_a_mask():
    student = objective("mmsd-student", loss={"attention_weight": 0.0})
    values, mask = torch.tensor([[1.0, 0.5, 0.0]]), torch.tensor([[True, False, True]])
    video = parts(batch(("rgb",)))[2]
    (outputs,) = student.network(video.features, video.lengths)
    _, terms = student(video, [PseudoLabels(values, mask)])
    expected = ((outputs.attention[0, 0] - 1) ** 2 + outputs.attention[0, 2] ** 2) / 2
    assert terms["pseudo_label"].item() == pytest.approx(expected.item(), rel=1e-6)
