"""What MMDist's models cost, as stage `efficiency` counts it."""

import numpy as np
import pytest
import torch
from test_train import run

import small
from vidistill.base import store
from vidistill.data.vocabulary import encode, load
from vidistill.evaluation.efficiency import prepare


@pytest.fixture(scope="module", params=["baseline", "teacher"])
def prepared(request, config, tmp_path_factory):
    folder = small.write(tmp_path_factory.mktemp("measured"))
    files = run(folder, small.train_section(config, request.param), request.param)
    sentences = store.read_table(folder / "queries.parquet")["sentence"].tolist()
    lengths = sorted(len(encode(text, load(folder / "vocabulary.json"))) for text in sentences)
    found = prepare("mmdist", files["model"], sentences, torch.device("cpu"))
    return request.param, found, lengths


def test_the_query_has_a_median_length_and_is_answered_in_seconds(prepared):
    _, found, lengths = prepared
    assert found.words == np.sort(lengths)[(len(lengths) - 1) // 2]
    assert found.snippets == 12
    moments = found.answer()
    assert moments.shape == (3, 2)
    assert (moments >= 0).all()
    assert 1 < moments.max() <= 30.001
    np.testing.assert_array_equal(moments, found.answer())


def test_parameters_are_those_of_the_layers(prepared):
    model, found, _ = prepared
    streams = list(small.DIMS.values()) if model == "teacher" else [small.DIMS["rgb"]]
    f, d, e, ff, k = sum(streams), 16, 16, 32, 3
    words = len(set(small.WORDS)) + 1  # all known, and padding
    projections = (f + 1) * d + (e + 1) * d + 2 * e + f  # of snippets and words, and three tokens
    stacks = 2 * (2 * 4 * (d + 1) * d + (d + 1) * ff + (ff + 1) * d + 3 * 2 * d)
    heads = (d + 1) * 2 * k + (d + 1) * words
    local = (d + 1) * d + len(streams) * 2 * (3 * d + 1) * d
    local += sum((width + 1) * d for width in streams) if model == "teacher" else 0
    assert found.parameters == projections + stacks + heads + local
