"""The objective against a plain computation of all that the equations name, and its switches."""

import contextlib

import numpy as np
import pytest
import torch

import small
from small import load
from vidistill.mmdist import losses, masking, proposals
from vidistill.mmdist import model as models
from vidistill.mmdist.network import encode
from vidistill.mmdist.objective import Objective


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small.write(tmp_path_factory.mktemp("small"))


def prepare(config, folder, model="baseline", *, teacher=False, **changes):
    """An objective without dropout, and a batch."""
    changes["network"] = {"dropout": 0.0} | changes.get("network", {})
    s = small.train_settings(config, model, **changes)
    loaded = load(folder, s.streams)
    torch.manual_seed(1)
    dims = [x.shape[-1] for x in loaded.features]
    words = int(loaded.tokens.max()) + 1
    network = models.build(s.network, dims, torch.randn(words, 16), learned_words=False, local=s.loss.local_learning)
    masked = masking.masked_words(loaded.keys, loaded.weights, 0, 1)
    batch = loaded.batch(np.arange(6), masked, torch.device("cpu"))
    if teacher:
        batch = batch._replace(
            teacher_proposal=torch.tensor([[0.3, 0.2]] * 6),
            teacher_index=torch.arange(6) % 3,
            teacher_map=torch.rand(6, 12),
        )
    return Objective(network.train(), s.loss, s.distillation if teacher else None, contextlib.nullcontext()), batch


def all_errors(objective, batch, encoded, masks):
    logits = objective.network.reconstruct(encoded.frames, encoded.sentence, batch.masked_words, masks)
    return losses.reconstruction_error(logits, batch.tokens, objective.loss.label_smoothing)


def global_loss(objective, batch, encoded, index, progress):
    """L_global of proposal `index` (B,) with every proposal and every negative computed, as CPL does; (B,)."""
    loss = objective.loss
    positive = all_errors(objective, batch, encoded, encoded.masks)
    negatives = proposals.negative_masks(encoded.center, encoded.width, 8, 9.0, progress, loss.negative_gamma)
    left, right = (all_errors(objective, batch, encoded, m) for m in negatives)
    full = all_errors(objective, batch, encoded, torch.ones(len(index), 1, 8)).squeeze(1)
    total = []
    for b, k in enumerate(index.tolist()):
        chosen = positive[b, k]
        ranking = (
            (chosen - full[b] + 0.1).clamp(min=0)
            + (chosen - left[b, k] + 0.15).clamp(min=0)
            + (chosen - right[b, k] + 0.15).clamp(min=0)
        )
        total.append((chosen + full[b]) / 2 + ranking)
    return torch.stack(total), positive


def gradients(network):
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def test_four_reconstructions_have_the_loss_and_gradients_of_all_25(config, folder):
    objective, batch = prepare(config, folder, loss={"local_learning": False})
    loss, _ = objective(batch, 0.5)
    loss.backward()
    found = gradients(objective.network)
    objective.network.zero_grad()
    encoded = encode(objective.network, batch.features, batch.tokens)
    best = all_errors(objective, batch, encoded, encoded.masks).argmin(1)
    total, _ = global_loss(objective, batch, encoded, best, 0.5)
    expected = (total + 5.0 * losses.diversity_loss(encoded.masks, 0.146)).mean()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    assert found.keys() == gradients(objective.network).keys()
    for name, gradient in gradients(objective.network).items():
        torch.testing.assert_close(found[name], gradient, msg=name, atol=1e-5, rtol=1e-3)


def test_the_student_adds_beta_times_what_the_teacher_says(config, folder):
    objective, batch = prepare(config, folder, "student", teacher=True)
    loss, terms = objective(batch, 0.5)
    encoded = encode(objective.network, batch.features, batch.tokens)
    best = all_errors(objective, batch, encoded, encoded.masks).argmin(1)
    target = torch.tensor([0.2, 0.4]).expand(6, 2)
    nearest = proposals.nearest_proposal(encoded.center, encoded.width, target)
    own, distilled = (global_loss(objective, batch, encoded, k, 0.5)[0] for k in (best, nearest))
    snippets = objective.network.snippet_features(batch.features, encoded.frames)[0]
    maps = torch.nn.functional.cosine_similarity(snippets, encoded.sentence.feature[:, None], dim=-1, eps=1e-6)
    difference = (maps - batch.teacher_map).abs().mean(-1)
    expected = (
        own
        + 5.0 * losses.diversity_loss(encoded.masks, 0.146)
        + 4.5 * terms["local"]
        + 0.9 * (distilled + 4.5 * difference)
    ).mean()
    torch.testing.assert_close(loss, expected)


def test_without_its_teacher_a_student_is_a_baseline(config, folder):
    plain, batch = prepare(config, folder)
    student, taught = prepare(config, folder, "student", teacher=True, distillation={"weight": 0.0})
    torch.testing.assert_close(plain(batch, 0.5)[0], student(taught, 0.5)[0])


@pytest.mark.parametrize(
    ("model", "section", "change"),
    [
        ("baseline", "loss", {"global_learning": False}),
        ("baseline", "loss", {"global_terms": "paper"}),
        ("baseline", "loss", {"reconstruction": "sum"}),
        ("baseline", "loss", {"local_learning": False}),
        ("baseline", "loss", {"symmetric": True}),
        ("baseline", "loss", {"top_share": 0.5}),
        ("baseline", "loss", {"negative_gamma": 0.0}),
        ("baseline", "network", {"causal_frames": False}),
        ("teacher", "loss", {"mutual_weight": 0.0}),
        ("teacher", "loss", {"agreement": "square"}),
        ("student", "distillation", {"global_level": False}),
        ("student", "distillation", {"local_level": False}),
        ("student", "distillation", {"proposal": "index"}),
        ("student", "distillation", {"proposal": "inject"}),
    ],
)
def test_every_switch_changes_the_loss(config, folder, model, section, change):
    values = []
    for changes in ({}, {section: change}):
        objective, batch = prepare(config, folder, model, teacher=model == "student", **changes)
        values.append(objective(batch, 0.4)[0].item())
    assert values[0] != pytest.approx(values[1], abs=1e-5)


def test_without_global_learning_no_error_of_negatives_or_the_whole_video_is_asked_for(config, folder):
    objective, batch = prepare(config, folder, loss={"global_learning": False})
    _, terms = objective(batch, 0.5)
    assert "ranking" not in terms
    assert "error_full" not in terms
    assert {"reconstruction", "diversity", "local"} <= terms.keys()


def test_an_injected_gaussian_gives_the_generator_no_gradient_through_the_teacher(config, folder):
    switches = {"distillation": {"proposal": "inject", "weight": 1.0}, "loss": {"local_learning": False}}
    objective, batch = prepare(config, folder, "student", teacher=True, **switches)
    encoded = encode(objective.network, batch.features, batch.tokens)
    _, injected = objective._teacher_proposal(batch, encoded)
    assert [x.requires_grad for x in injected] == [False, False]


def test_the_selection_is_in_single_precision_within_a_step_in_bf16(config, folder):
    objective, batch = prepare(config, folder)
    exact = objective._select(batch, encode(objective.network, batch.features, batch.tokens))
    objective.selection_autocast = torch.autocast("cpu", enabled=False)
    precisions = []
    reconstruct = objective.network.reconstruct

    def watched(*inputs):
        precisions.append(reconstruct(*inputs).dtype)
        return reconstruct(*inputs)

    objective.network.reconstruct = watched
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoded = encode(objective.network, batch.features, batch.tokens)
        chosen = objective._select(batch, encoded)
        loss, _ = objective(batch, 0.5)
    assert encoded.frames.dtype == torch.bfloat16
    assert precisions == [torch.float32, torch.float32, torch.bfloat16]  # alone; in the step, and its loss
    assert torch.isfinite(loss)
    assert chosen.shape == exact.shape
