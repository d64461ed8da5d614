import numpy as np
import pytest
import torch

import small
from small import load
from vidistill.mmdist import model as models
from vidistill.mmdist import predict


@pytest.fixture(scope="module")
def prepared(config, tmp_path_factory):
    s = small.train_settings(config, "teacher")
    loaded = load(small.write(tmp_path_factory.mktemp("small")), s.streams)
    torch.manual_seed(0)
    words = int(loaded.tokens.max()) + 1
    network = models.build(s.network, [12, 10], torch.randn(words, 16), learned_words=False, local=True)
    return s, network, loaded


def table(s, network, loaded):
    parts = predict.predict(network, loaded, s, torch.device("cpu"))
    frames = [predict.proposal_table(loaded, p) for p in parts]
    return predict.pd.concat(frames).sort_values(["query_id", "proposal_index"], ignore_index=True)


def test_neither_batch_nor_order_matters(prepared, monkeypatch):
    s, network, loaded = prepared
    expected = table(s, network, loaded)
    monkeypatch.setattr(predict, "BATCH", 3)
    found = table(s, network, loaded)
    assert (found["query_id"] == expected["query_id"]).all()
    for column in ("start", "end", "score", "reconstruction_error"):
        np.testing.assert_allclose(found[column], expected[column], atol=1e-5)


def test_the_errors_of_several_draws_are_averaged(prepared, monkeypatch):
    s, network, loaded = prepared
    alone = [table(s, network, loaded)]
    one_later = predict.masking.EVALUATION - 1
    with monkeypatch.context() as patch:
        patch.setattr(predict.masking, "EVALUATION", one_later)
        alone.append(table(s, network, loaded))
    both = table(s.model_copy(update={"masks": 2}), network, loaded)["reconstruction_error"]
    errors = [one["reconstruction_error"] for one in alone]
    np.testing.assert_allclose(both, sum(errors) / 2, atol=1e-5)
    assert (errors[0] != errors[1]).mean() > 0.5


def test_the_mean_of_the_map_covers_the_snippets_that_the_proposal_touches():
    maps = torch.arange(10.0).unsqueeze(0)
    center, width = torch.tensor([[0.5, 0.0, 1.0, 0.55]]), torch.tensor([[0.5, 0.1, 0.1, 0.02]])
    # [2.5, 7.5) touches 2..7; [0, 0.5) is snippet 0; [9.5, 10) is snippet 9; [5.4, 5.6) is snippet 5
    assert predict.map_mean(center, width, maps).tolist() == [[4.5, 0.0, 9.0, 5.0]]


def test_the_score_is_the_weighted_map_minus_the_error():
    center, width, errors = torch.tensor([[0.5]]), torch.tensor([[1.0]]), torch.tensor([[2.0]])
    maps = torch.full((1, 4), 0.5)
    assert predict.score(center, width, errors, maps, 3.0).item() == pytest.approx(-0.5)
    assert predict.score(center, width, errors, None, 3.0).item() == -2.0


def test_moments_are_in_seconds_within_the_video(prepared):
    found = table(*prepared)
    seconds = found["video_id"].map(lambda v: 10.0 + int(v[1:]))
    assert (found["start"] >= 0).all()
    assert (found["start"] <= found["end"]).all()
    assert (found["end"] <= seconds + 1e-5).all()
