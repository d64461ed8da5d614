"""The networks: sizes, padding, what is shared, what is saved."""

import math

import pytest
import torch

from vidistill.emtm.batch import Batch
from vidistill.emtm.kau import Aggregation
from vidistill.emtm.layers import initialise
from vidistill.emtm.span import Branch, SpanNetwork
from vidistill.settings.emtm import SpanSection

SMALL = SpanSection(dim=16, heads=4, characters=5)
FEATURES, LENGTH, WORDS, CHARACTERS = 9, 14, 20, 8


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def network(settings=SMALL, features=FEATURES, length=LENGTH, characters=CHARACTERS, *, dual=False):
    """A network without parameters that are 0 or 1, as biases and LayerNorm are at first."""
    vectors = torch.randn(WORDS + 1, 300)
    built = SpanNetwork(settings, features, length, vectors, learned_words=False, characters=characters, dual=dual)
    for parameter in built.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return built.eval()


def batch(lengths=(9, 4, 6), words=(5, 3, 1), size=9, width=5):
    count = len(lengths)
    snippets = torch.arange(size) < torch.tensor(lengths).unsqueeze(1)
    known = torch.arange(width) < torch.tensor(words).unsqueeze(1)
    generator = torch.Generator().manual_seed(1)
    return Batch(
        features=torch.randn(count, size, FEATURES, generator=generator) * snippets.unsqueeze(-1),
        snippets=snippets,
        tokens=torch.randint(1, WORDS + 2, (count, width), generator=generator) * known,
        spelling=torch.randint(1, CHARACTERS + 1, (count, width, 16), generator=generator) * known.unsqueeze(-1),
    )


def trainable(module):
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


OF_PAPER = SpanSection(), 1024, 64, 35
OF_ACTIVITYNET = SpanSection(), 1024, 100, 54
OF_TACOS = SpanSection(characters=50), 1024, 256, 44
TINY = SMALL, FEATURES, LENGTH, CHARACTERS


@pytest.mark.parametrize(
    ("sizes", "count"), [(OF_PAPER, 673_650), (OF_ACTIVITYNET, 684_766), (OF_TACOS, 706_502), (TINY, None)]
)
def test_parameters_of_the_student(sizes, count):
    settings, f, length, c = sizes
    d = settings.dim
    expected = 26 * d**2 + (f + 518 + 2 * length) * d + (300 + c) * settings.characters + 406
    assert trainable(network(*sizes)) == expected
    assert count in (expected, None)


@pytest.mark.parametrize(("sizes", "isomorphic", "seqpan"), [(OF_PAPER, 907_270, 1_203_058), (TINY, None, None)])
def test_parameters_of_the_isomorphic_teacher_and_seqpan(sizes, isomorphic, seqpan):
    settings, _, length, _ = sizes
    d = settings.dim
    branch = Branch(settings, length, dual=True)
    assert [trainable(block) for block in branch.dual] == [16 * d**2 + 20 * d] * 2
    assert isomorphic in (trainable(branch), None)
    student, whole = network(*sizes), network(*sizes, dual=True)
    assert trainable(whole) == trainable(student.shared) + trainable(branch)
    assert seqpan in (trainable(whole), None)


@pytest.mark.parametrize(("d", "length", "teachers", "count"), [(128, 64, 3, 35_238), (16, 14, 2, None)])
def test_parameters_of_the_aggregation(d, length, teachers, count):
    found = trainable(Aggregation(d, length, teachers, batch_statistics=False))
    assert found == 256 * d + 32 * length + 66 * teachers + 224
    assert count in (found, None)


@pytest.mark.parametrize("dual", [False, True])
@torch.no_grad()
def test_logits_depend_on_neither_padding_nor_batch(dual):
    net, many = network(dual=dual), batch()
    found = net(many)
    wide = batch(size=14, width=8)
    wide.features[:, :9], wide.tokens[:, :5], wide.spelling[:, :5] = many.features, many.tokens, many.spelling
    padded = net(wide)
    for b, (length, words) in enumerate(((9, 5), (4, 3), (6, 1))):
        alone = net(
            Batch(
                many.features[b : b + 1, :length],
                many.snippets[b : b + 1, :length],
                many.tokens[b : b + 1, :words],
                many.spelling[b : b + 1, :words],
            )
        )
        for other in (found, padded):
            assert other.boundaries[b, :, length:].isneginf().all()
            for one, several in (
                (alone.boundaries[0], other.boundaries[b, :, :length]),
                (alone.classes[0], other.classes[b, :length]),
            ):
                torch.testing.assert_close(several, one, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_what_stands_on_padding_changes_nothing():
    net, many = network(dual=True), batch()
    found = net(many)
    many.spelling[2, 3] = 4
    many.features[1, 5:] = 7
    again = net(many)
    torch.testing.assert_close(again.boundaries, found.boundaries, atol=1e-5, rtol=1e-5)
    many.spelling[2, 0] = 4
    many.features[1, 3] = 7
    changed = net(many).boundaries - found.boundaries
    assert changed[1, :, :4].abs().min() > 1e-4
    assert changed[2, :, :6].abs().max() > 1e-4


@torch.no_grad()
def test_the_released_padding_is_read():
    net = network(SpanSection(**SMALL.model_dump() | {"mask_padding": False}))
    short, long = batch(), batch(size=12)
    long.features[:, :9], long.tokens[:], long.spelling[:] = short.features, short.tokens, short.spelling
    difference = net(long).boundaries[..., :9] - net(short).boundaries
    assert difference[1, :, :4].abs().max() > 1e-3


@torch.no_grad()
def test_the_sentence_is_pooled_over_its_words_and_labels_are_added_to_snippets():
    net, one = network(), batch((4,), (3,), 4, 3)
    encoded = net.shared(one)
    branch, (v, q, snippets, known) = net.branch, encoded
    video, words = branch.video_reads(v, q, snippets, known)[0], branch.words_read(q, v, known, snippets)[0]
    exponents = [math.exp((word @ branch.pooling[:, 0]).item()) for word in words]
    pooled = sum(x / sum(exponents) * word for x, word in zip(exponents, words, strict=True))
    fused = branch.fusion(torch.cat([video, pooled.expand(4, -1)], dim=-1))
    classes = branch.matching(fused).softmax(-1)
    x = torch.stack([fused[t] + sum(classes[t, c] * branch.labels[c] for c in range(4)) for t in range(4)])[None]
    start = branch.encoder(x, snippets)
    end = branch.encoder(start, snippets)
    spans = net(one)
    torch.testing.assert_close(spans.boundaries[0, 0], branch.start(start, x)[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(spans.boundaries[0, 1], branch.end(end, x)[0], atol=1e-5, rtol=1e-4)


def test_start_and_end_are_of_one_encoder():
    net = network()
    weight = net.branch.encoder.output.weight
    spans = net(batch())
    by_start, by_end = (
        torch.autograd.grad(spans.boundaries[:, which, :4].sum(), weight, retain_graph=True)[0] for which in (0, 1)
    )
    assert by_start.abs().max() > 1e-4
    assert (by_end - by_start).abs().max() > 1e-4


def test_both_directions_of_a_dual_block_read_its_inputs():
    net = network(dual=True)
    calls = []
    for block in net.branch.dual:
        block.register_forward_hook(lambda _m, inputs, output: calls.append((inputs[0], inputs[1], output)))
    net(batch())
    (v, q, v1), (q_again, v_again, q1), (v2, q2, _), (q3, v3, _) = calls
    assert v is v_again
    assert q is q_again
    assert v2 is v1 is v3
    assert q2 is q1 is q3


def test_label_embeddings_begin_orthonormal():
    branch = Branch(SMALL, LENGTH, dual=False)
    initialise(branch)
    torch.testing.assert_close(branch.labels @ branch.labels.T, torch.eye(4), atol=1e-6, rtol=0)
