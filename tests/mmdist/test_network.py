import json

import pytest
import torch

from conftest import parse
from vidistill.base.stage import UserError
from vidistill.mmdist import model as models
from vidistill.mmdist.network import semantic_map, semantic_maps_all
from vidistill.mmdist.proposals import positive_masks
from vidistill.settings.mmdist import NetworkSettings


def build(config, dims, words=20, local=True, kind="single", embedding=300, **changes):
    torch.manual_seed(0)
    settings = parse(NetworkSettings, config["mmdist"]["network"], kind=kind, **changes)
    vectors = torch.randn(words + 1, embedding)
    return models.build(settings, dims, vectors, learned_words=False, local=local).eval()


SMALL = {"dim": 16, "heads": 2, "layers": 2, "feed_forward": 32, "positions": 10, "proposals": 3}
TOKENS = torch.tensor([[3, 5, 7, 0], [2, 4, 6, 8]])


def count(network):
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize(("features", "words", "expected"), [(1024, 1111, 5_375_680), (500, 8000, 7_011_485)])
def test_the_global_part_has_as_many_parameters_as_cpl(config, features, words, expected):
    assert count(build(config, [features], words, local=False)) == expected


def test_given_word_vectors_are_frozen_and_learned_ones_are_not(config):
    settings = parse(NetworkSettings, config["mmdist"]["network"], kind="single", **SMALL)
    frozen, learned = (
        models.build(settings, [8], torch.randn(21, 300), learned_words=x, local=True) for x in (False, True)
    )
    assert count(learned) - count(frozen) == 21 * 300


def test_the_prediction_token_reads_the_snippets_and_is_read_by_none(config):
    network = build(config, [8], **SMALL)
    frames = network.project_frames([torch.randn(2, 12, 8)])
    sentence = network.encode_sentence(TOKENS)
    seen = []
    handle = network.video_stack.layers[0].register_forward_hook(lambda _m, _i, out: seen.append(out.view(2, 13, -1)))
    network.propose(frames, sentence)
    changed = frames.clone()
    changed[:, -1] += 1
    network.propose(changed, sentence)
    handle.remove()
    torch.testing.assert_close(seen[0][:, :-1], seen[1][:, :-1])
    assert not torch.allclose(seen[0][:, -1], seen[1][:, -1])


def test_proposals_depend_on_video_and_sentence(config):
    network = build(config, [8], **SMALL)
    video, other = torch.randn(2, 12, 8), torch.randn(2, 12, 8)
    sentence, another = network.encode_sentence(TOKENS), network.encode_sentence(TOKENS.flip(0))
    center, width = network.propose(network.project_frames([video]), sentence)
    assert center.shape == width.shape == (2, 3)
    assert not torch.allclose(center, network.propose(network.project_frames([other]), sentence)[0])
    assert not torch.allclose(center, network.propose(network.project_frames([video]), another)[0])


def test_reconstruction_sees_only_what_the_mask_shows(config):
    network = build(config, [8], **SMALL)
    video = torch.randn(2, 10, 8)
    changed = video.clone()
    changed[:, :3] += 5
    mask = positive_masks(torch.full((2, 1), 0.8), torch.full((2, 1), 0.2), 10, 9.0)
    masked = torch.zeros(2, 4, dtype=torch.bool)
    sentence = network.encode_sentence(TOKENS)
    logits, same = (network.reconstruct(network.project_frames([v]), sentence, masked, mask) for v in (video, changed))
    assert logits.shape == (2, 1, 4, 21)
    torch.testing.assert_close(logits, same, atol=1e-4, rtol=1e-4)
    full = torch.ones(2, 1, 10)
    logits, other = (network.reconstruct(network.project_frames([v]), sentence, masked, full) for v in (video, changed))
    assert (logits - other).abs().max() > 1e-3


def test_a_masked_word_is_not_read_and_later_words_are_not_either(config):
    network = build(config, [8], **SMALL)
    frames, mask = network.project_frames([torch.randn(1, 10, 8)]), torch.ones(1, 1, 10)
    masked = torch.tensor([[False, True, False, False]])
    tokens = torch.tensor([[3, 5, 7, 9]])
    logits = network.reconstruct(frames, network.encode_sentence(tokens), masked, mask)
    at_masked = network.reconstruct(frames, network.encode_sentence(torch.tensor([[3, 6, 7, 9]])), masked, mask)
    torch.testing.assert_close(logits, at_masked)
    later = network.reconstruct(frames, network.encode_sentence(torch.tensor([[3, 5, 8, 9]])), masked, mask)
    torch.testing.assert_close(logits[:, :, :3], later[:, :, :3])
    assert not torch.allclose(logits[:, :, 3], later[:, :, 3])


def test_longer_padding_changes_nothing(config):
    network = build(config, [8], **SMALL)
    frames, mask = network.project_frames([torch.randn(2, 10, 8)]), torch.rand(2, 2, 10)
    wide = torch.nn.functional.pad(TOKENS, (0, 3))
    short, long = network.encode_sentence(TOKENS), network.encode_sentence(wide)
    torch.testing.assert_close(short.feature, long.feature)
    torch.testing.assert_close(network.propose(frames, short), network.propose(frames, long))
    masked = torch.zeros(2, 7, dtype=torch.bool)
    a = network.reconstruct(frames, short, masked[:, :4], mask)
    b = network.reconstruct(frames, long, masked, mask)
    torch.testing.assert_close(a, b[:, :, :4])


def test_causal_frames_is_a_switch(config):
    video = torch.randn(1, 10, 8)
    outputs = {}
    for causal in (True, False):
        network = build(config, [8], causal_frames=causal, **SMALL)
        outputs[causal] = network.propose(network.project_frames([video]), network.encode_sentence(TOKENS[:1]))[0]
    assert not torch.allclose(outputs[True], outputs[False])


def test_the_teacher_has_a_map_of_each_stream(config):
    teacher = build(config, [8, 6], kind="multimodal", **SMALL)
    rgb, flow, other = torch.randn(2, 12, 8), torch.randn(2, 12, 6), torch.randn(2, 12, 6)
    frames = teacher.project_frames([rgb, flow])
    first, second = teacher.snippet_features([rgb, flow], frames)
    again, changed = teacher.snippet_features([rgb, other], teacher.project_frames([rgb, other]))
    assert first.shape == second.shape == (2, 12, 16)
    torch.testing.assert_close(first, again)
    assert not torch.allclose(second, changed)


def test_maps_of_pairs_are_the_diagonal_of_maps_of_all():
    snippets, sentences = torch.randn(3, 5, 8), torch.randn(3, 8)
    every = semantic_maps_all(snippets, sentences)
    torch.testing.assert_close(every.diagonal().T, semantic_map(snippets, sentences))
    at, i, j = 4, 0, 2
    dot = sum(a * b for a, b in zip(snippets[i, at].tolist(), sentences[j].tolist(), strict=True))
    norm = snippets[i, at].norm() * sentences[j].norm()
    assert every[i, j, at].item() == pytest.approx(dot / norm.item(), rel=1e-4)


@pytest.mark.parametrize("kind", ["single", "multimodal"])
def test_a_saved_model_is_the_same_model(config, tmp_path, kind):
    network = build(config, [8, 6], kind=kind, **SMALL)
    models.save(tmp_path / "model.safetensors", network, note="x")
    loaded, metadata = models.load(tmp_path / "model.safetensors")
    assert metadata["note"] == "x"
    assert json.loads(metadata["shape"])["feature_dims"] == [8, 6]
    features = [torch.randn(2, 12, 8), torch.randn(2, 12, 6)]
    expected, found = (n.propose(n.project_frames(features), n.encode_sentence(TOKENS)) for n in (network, loaded))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_another_file_is_no_model(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"model\.safetensors is not a model"):
        models.load(tmp_path / "model.safetensors")


@pytest.mark.parametrize("kind", ["single", "multimodal"])
def test_every_layer_is_initialised_as_cpls(config, kind):
    """method.md, section 2: query, key and value as one Xavier matrix, its output Xavier, all else PyTorch's own."""
    network = build(config, [48, 40], kind=kind, **{**SMALL, "dim": 64, "feed_forward": 128})
    checked = set()
    for name, layer in network.named_modules():
        if not isinstance(layer, torch.nn.Linear):
            continue
        d, fan_in = layer.out_features, layer.in_features
        last = name.rpartition(".")[2]
        of_attention = last in ("query", "key", "value", "out")
        bound = (6 / (4 * d if last != "out" else 2 * d)) ** 0.5 if of_attention else fan_in**-0.5
        assert 0.98 * bound < layer.weight.abs().max() <= bound, name
        assert abs(layer.weight.mean()) < 0.05 * bound, name
        assert layer.bias.abs().max() <= (0 if of_attention else bound), name
        assert of_attention or layer.bias.abs().max() > 0.5 * bound, name
        checked.add(last)
    assert {"query", "key", "value", "out", "wide", "narrow", "proposal_head", "word_head"} <= checked
    for token in (network.start_token, network.mask_token, network.prediction_token):
        assert not token.any()
