"""The objective: its terms, where gradients go, its switches; and that a student learns."""

import pytest
import torch

import small_emtm
from vidistill.emtm import labels, losses, predict
from vidistill.emtm import model as models
from vidistill.emtm.batch import Batch
from vidistill.emtm.kau import mixture
from vidistill.emtm.map2d import Map2D
from vidistill.emtm.objective import MapObjective, Objective

FEATURES, WORDS, CHARACTERS = 9, 20, "abcdefg"
ALL = {"teachers": ["first", "second"]}


def prepare(config, **changes):
    """An objective without dropout, and a batch of four queries with two teachers."""
    changes["student"] = {"dropout": 0.0} | changes.get("student", {})
    s = small_emtm.train_settings(config, **changes)
    torch.manual_seed(0)
    vectors = torch.randn(WORDS + 1, 16)
    network = models.build(s, FEATURES, vectors, learned_words=False, characters=CHARACTERS)
    objective = MapObjective(network) if isinstance(network, Map2D) else Objective(network, s)
    lengths, words = torch.tensor([12, 12, 8, 5]), torch.tensor([5, 2, 4, 1])
    snippets, known = torch.arange(12) < lengths.unsqueeze(1), torch.arange(5) < words.unsqueeze(1)
    batch = Batch(
        torch.randn(4, 12, FEATURES) * snippets.unsqueeze(-1),
        snippets,
        torch.randint(1, WORDS + 2, (4, 5)) * known,
        torch.randint(1, 9, (4, 5, 16)) * known.unsqueeze(-1),
        torch.tensor([[0.1, 0.5], [0.4, 0.9], [0.0, 0.3], [0.2, 0.7]]),
        torch.randn(4, 2, 2, 12).masked_fill(~snippets[:, None, None], -torch.inf).softmax(-1),
    )
    return objective.train(), batch if s.teachers else batch._replace(teachers=None)


def gradients(objective, part):
    """Whether the parameters of a part have a gradient that is not 0."""
    return any(p.grad is not None and p.grad.any() for p in part.parameters())


def test_the_loss_is_the_sum_of_all_that_the_specification_names(config):
    objective, batch = prepare(config, **ALL)
    loss, terms = objective(batch)
    net, lengths = objective.network, batch.snippets.sum(1)
    cells = labels.cells(batch.moments, lengths)
    y, c = labels.boundaries(cells, lengths, 12), labels.classes(cells, 12)
    encoded = net.shared(batch)
    expected = 0
    for branch in (net.branch, objective.isomorphic):
        spans = branch(encoded)
        expected += losses.location_loss(spans.boundaries, y)
        expected += losses.matching_loss(spans.classes, c, batch.snippets) + losses.overlap_of_labels(branch.labels)
    weights = objective.aggregation(encoded.video, batch.snippets, encoded.words, batch.tokens > 0)
    mixed = mixture(weights, batch.teachers)
    student = net.branch(encoded).boundaries
    expected += losses.aggregation_loss(mixed, y) + 0.1 * losses.distillation_loss(student, mixed, 1.0)
    torch.testing.assert_close(loss, expected)
    assert terms.keys() == {
        "location", "matching", "isomorphic_location", "isomorphic_matching", "aggregation", "distillation",
    }  # fmt: skip
    assert not any(term.requires_grad for term in terms.values())


def test_the_encoder_learns_from_student_and_isomorphic_teacher_and_teachers_from_nobody(config):
    for weights, taught in (({"isomorphic": 0.0}, "student"), ({"location": 0.0, "matching": 0.0}, None)):
        objective, batch = prepare(config, **ALL, loss={"aggregation": 0.0, "distillation": 0.0} | weights)
        objective(batch)[0].backward()
        assert gradients(objective, objective.network.branch) == (taught == "student")
        assert gradients(objective, objective.network.shared) == (taught == "student")
    objective, batch = prepare(config, **ALL)
    batch = batch._replace(teachers=batch.teachers.requires_grad_())
    encoded = objective.network.shared(batch)
    objective.isomorphic(encoded).boundaries[:, :, :5].sum().backward()
    assert gradients(objective, objective.network.shared)
    assert not gradients(objective, objective.network.branch)
    objective(batch)[0].backward()
    assert batch.teachers.grad is None


@pytest.mark.parametrize("detach", [True, False])
def test_distillation_reaches_the_aggregation_only_where_the_released_code_is_asked_for(config, detach):
    objective, batch = prepare(config, **ALL, loss={"aggregation": 0.0}, distillation={"detach": detach})
    objective(batch)[0].backward()
    assert gradients(objective, objective.aggregation) != detach
    assert gradients(objective, objective.network.branch)


def test_the_aggregation_sends_its_gradient_to_the_encoder(config):
    alone = {"location": 0.0, "matching": 0.0, "distillation": 0.0}
    objective, batch = prepare(config, **ALL, loss=alone)
    objective(batch)[0].backward()
    assert gradients(objective, objective.network.shared.video)
    assert gradients(objective, objective.network.shared.query)
    assert not gradients(objective, objective.network.branch)
    objective, batch = prepare(config, **ALL, loss=alone, distillation={"isomorphic": False})
    objective(batch)[0].backward()
    assert gradients(objective, objective.network.branch.fusion)  # whose output it reads then
    assert not gradients(objective, objective.network.branch.encoder)


def test_without_isomorphic_teacher_the_aggregation_reads_no_query(config):
    objective, batch = prepare(config, **ALL, distillation={"isomorphic": False})
    seen = []
    objective.aggregation.register_forward_hook(lambda _m, inputs, _: seen.append(inputs))
    _, terms = objective(batch)
    (video, _, words, _), fused = seen[0], objective.network(batch).fused
    torch.testing.assert_close(video, fused)
    assert words is None
    assert {"isomorphic_location", "isomorphic_matching"} & terms.keys() == set()


@pytest.mark.parametrize(
    ("supervision", "aggregation", "has_kau"),
    [("full", None, True), ("pseudo", None, False), ("full", "mean", False), ("pseudo", "kau", True)],
)
def test_what_aggregates_depends_on_the_supervision(config, supervision, aggregation, has_kau):
    objective, batch = prepare(config, **ALL, supervision=supervision, distillation={"aggregation": aggregation})
    _, terms = objective(batch)
    assert (objective.aggregation is not None) == has_kau == ("aggregation" in terms)
    if not has_kau:
        student = objective.network(batch).boundaries
        expected = losses.distillation_loss(student, (batch.teachers[:, 0] + batch.teachers[:, 1]) / 2, 1.0)
        torch.testing.assert_close(terms["distillation"], expected.detach())


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("distillation", {"isomorphic": False}),
        ("distillation", {"aggregation": "mean"}),
        ("distillation", {"aggregation_loss": "released"}),
        ("distillation", {"aggregation_norm": "batch"}),
        ("distillation", {"kd": "released"}),
        ("distillation", {"temperature": 3.0}),
        ("distillation", {"temperature": 3.0, "squared_temperature": True}),
        ("loss", {"location": 0.5}),
        ("loss", {"matching": 0.5}),
        ("loss", {"isomorphic": 0.5}),
        ("loss", {"aggregation": 0.5}),
        ("loss", {"distillation": 0.5}),
        ("student", {"mask_padding": False}),
    ],
)
def test_every_switch_changes_the_loss(config, section, change):
    before = {"distillation": {"temperature": 3.0}} if "squared_temperature" in change else {}
    values = []
    for changes in (before, {section: change}):
        objective, batch = prepare(config, **ALL, **changes)
        values.append(objective(batch)[0].item())
    assert values[0] != pytest.approx(values[1], abs=1e-4)


def test_seqpan_has_hard_losses_alone(config):
    objective, batch = prepare(config, network="seqpan", seqpan={"dropout": 0.0})
    loss, terms = objective(batch)
    assert terms.keys() == {"location", "matching"}
    torch.testing.assert_close(loss, objective.hard(batch))
    assert len(objective.network.branch.dual) == 2


def test_the_hard_loss_is_the_students_own(config):
    objective, batch = prepare(config, **ALL)
    _, terms = objective(batch)
    torch.testing.assert_close(objective.hard(batch).detach(), terms["location"] + terms["matching"])


def test_a_batch_of_16_is_decoded_perfectly_after_100_updates(config):
    fast = {"student": {"dropout": 0.0, "dim": 64}, "distillation": {"isomorphic": False}}
    s = small_emtm.train_settings(config, **fast)
    torch.manual_seed(0)
    net = models.build(s, 30, torch.randn(WORDS + 1, 16), learned_words=False, characters=CHARACTERS)
    objective = Objective(net, s)
    moments = torch.stack([torch.arange(16) % 4 * 3, torch.arange(16) % 4 * 3 + torch.arange(16) // 4], 1)
    moments = ((moments + torch.tensor([0, 1])) / 12).clamp(max=1)
    batch = Batch(
        torch.randn(16, 12, 30),
        torch.ones(16, 12, dtype=torch.bool),
        torch.randint(1, WORDS + 1, (16, 5)),
        torch.randint(1, 9, (16, 5, 16)),
        moments,
    )
    adam = torch.optim.AdamW(objective.parameters(), lr=1e-3, eps=1e-6, weight_decay=0.01)
    for _ in range(100):
        adam.zero_grad()
        objective(batch)[0].backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        adam.step()
    with torch.no_grad():
        found, *_ = predict.answer(net.eval(), batch)
    torch.testing.assert_close(found[:, 0], moments)


def test_map2d_learns_from_its_own_labels(config):
    objective, batch = prepare(config, network="map2d")
    batch = batch._replace(features=torch.randn(4, 16, FEATURES))
    loss, terms = objective(batch)
    loss.backward()
    assert terms == {}
    assert gradients(objective, objective.network)
    assert not objective.network.words.requires_grad
