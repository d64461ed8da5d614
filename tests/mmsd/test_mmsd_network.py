import pytest
import torch

from small_videos import train_settings
from vidistill.base.stage import UserError
from vidistill.mmsd.network import Network


def build(classes=3, dims=(8, 6), streams=("rgb", "flow"), **network):
    torch.manual_seed(0)
    settings = train_settings(network={"dim": 16, **network}).network
    return Network(settings, streams, dims, classes)


def forward(network, features, lengths=None):
    with torch.no_grad():
        return network.eval()(features, lengths or [len(features[0])])


@pytest.mark.parametrize(("classes", "expected"), [(20, 6_364_160), (200, 6_917_120)])
def test_the_network_has_as_many_parameters_as_the_released_one(classes, expected):
    network = build(classes, (1024, 1024), dim=1024)
    assert sum(p.numel() for p in network.parameters()) == expected


def test_foreground_begins_as_the_opposite_of_background_and_is_free_afterwards():
    network = build()
    torch.testing.assert_close(network.foreground, -network.centers[:, -1])
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    (video,) = network([torch.randn(5, 8), torch.randn(5, 6)], [5])
    video.attention.sum().backward()
    optimiser.step()
    assert not torch.allclose(network.foreground, -network.centers[:, -1])


def test_weights_are_xavier_uniform_and_biases_zero():
    network = build(20, (200, 100), dim=64)
    for layer in (*network.first, *network.second):
        bound = (6 / sum(layer.weight.shape)) ** 0.5
        assert 0.95 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()
    bound = (6 / (21 + 64)) ** 0.5
    assert all(0.95 * bound < center.abs().max() <= bound for center in network.centers)


def test_the_outputs_are_those_of_the_formulas():
    network = build()
    rgb, flow = torch.randn(7, 8), torch.randn(7, 6)
    (video,) = forward(network, [rgb, flow])
    inner = [layer(x).relu() for layer, x in zip(network.first, (rgb, flow), strict=True)]
    x = network.second[2](torch.cat(inner, 1)).relu()[:, None]  # (T, 1, d) of the fused stream
    cosine = torch.nn.functional.cosine_similarity
    a = 20 * cosine(x, network.centers[2], dim=-1)
    attention = torch.sigmoid(20 * cosine(x, network.foreground[2], dim=-1))
    torch.testing.assert_close(video.scores[2], a)
    torch.testing.assert_close(video.attention[2], attention[:, 0])
    attended = (attention * x[:, 0]).sum(0) / attention.sum()
    torch.testing.assert_close(video.attended[2], 20 * cosine(attended, network.centers[2], dim=-1))
    gates = a.sigmoid()
    each = torch.stack([(gates[:, c : c + 1] * x[:, 0]).sum(0) / gates[:, c].sum() for c in range(4)])
    torch.testing.assert_close(video.mil[2], 20 * cosine(each, network.centers[2], dim=-1))


def test_permuted_snippets_permute_scores_and_attention_and_leave_the_rest():
    network, order = build(), torch.randperm(9)
    features = [torch.randn(9, 8), torch.randn(9, 6)]
    (video,), (other,) = (forward(network, x) for x in (features, [x[order] for x in features]))
    torch.testing.assert_close(other.scores, video.scores[:, order])
    torch.testing.assert_close(other.attention, video.attention[:, order])
    torch.testing.assert_close(other.attended, video.attended)
    torch.testing.assert_close(other.mil, video.mil)


def test_snippets_of_zeros_are_no_nan():
    network = build()
    features = [torch.zeros(4, 8, requires_grad=True), torch.zeros(4, 6, requires_grad=True)]
    (video,) = network.eval()(features, [4])
    assert not any(x.isnan().any() for x in video)
    assert (video.attention == 0.5).all()
    sum(x.sum() for x in video).backward()
    assert all(x.grad.isfinite().all() for x in (*features, *network.parameters()))


@pytest.mark.parametrize(
    ("kind", "streams", "heads"),
    [
        ("multimodal", ("rgb", "flow"), ("rgb", "flow", "fused")),
        ("single", ("rgb", "flow"), ("fused",)),
        ("single", ("flow",), ("flow",)),
    ],
)
def test_each_model_has_the_heads_that_it_needs(kind, streams, heads):
    network = build(dims=(5,) * len(streams), streams=streams, kind=kind)
    assert network.heads == heads
    (video,) = forward(network, [torch.randn(6, 5) for _ in streams])
    assert [tuple(x.shape) for x in video] == [(len(heads), *rest) for rest in ((6, 4), (6,), (4,), (4,))]
    used = torch.autograd.grad(
        sum(x.sum() for x in network([torch.randn(6, 5) for _ in streams], [6])[0]), [*network.parameters()]
    )
    assert all(gradient is not None for gradient in used)


@pytest.mark.parametrize(
    ("kind", "streams"), [("multimodal", ("rgb",)), ("single", ("a", "b", "c")), ("single", ("fused",))]
)
def test_streams_that_do_not_fit_are_an_error(kind, streams):
    with pytest.raises(UserError, match=f"network: {kind} cannot read the streams {', '.join(streams)}; give two"):
        train_settings(streams=streams, network={"kind": kind})
