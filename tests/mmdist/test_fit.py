"""Fits of sentences and videos, beside the same computed one by one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import small
from vidistill.data import vocabulary as vocabularies
from vidistill.mmdist import fit, losses
from vidistill.mmdist import model as models
from vidistill.mmdist.batch import Queries
from vidistill.mmdist.fit import Standard
from vidistill.mmdist.network import Network, semantic_map

TEXTS = ["a person opens the door", "the red box", "person walks away"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write(tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module", params=["baseline", "teacher"])
def asked(request: pytest.FixtureRequest, folder: Path, config: dict[str, Any]) -> tuple[Network, Queries, Any]:
    """A network with random weights, queries of all splits, and the model's settings."""
    s = small.train_settings(config, request.param)
    queries = small.load(folder, s.streams)
    vectors, _ = vocabularies.load_word_vectors(folder / "word_vectors.safetensors")
    torch.manual_seed(0)
    dims = [x.shape[-1] for x in queries.features]
    return models.build(s.network, dims, vectors, learned_words=True, local=True).eval(), queries, s


def by_hand(network: Network, queries: Queries, video: int, q: torch.Tensor, share: float) -> float:
    """Eq. 5 of a video with a sentence (d,), mean over the maps."""
    features = [x[video : video + 1].float() for x in queries.features]
    maps = [semantic_map(v, q[None])[0] for v in network.snippet_features(features, network.project_frames(features))]
    count = max(int(len(maps[0]) * share), 1)
    return float(np.mean([np.sort(m.detach().numpy())[::-1][:count].mean() for m in maps]))


def test_a_fit_is_the_similarity_less_what_the_bank_reaches(asked, folder: Path) -> None:
    network, queries, s = asked
    vocabulary = vocabularies.load(folder / "vocabulary.json")
    bank, q = (fit.sentences(network, vocabulary, texts) for texts in (queries.sentences[:4], TEXTS))
    by = fit.standard(bank, s.loss)
    assert by.temperature == s.loss.temperature / 2
    snippets = fit.snippets(network, queries.features_of(torch.arange(3), torch.device("cpu")))
    found = fit.of(snippets, q, by)
    assert found.shape == (3, len(TEXTS))
    for v in range(3):
        reached = [by_hand(network, queries, v, one, by.top_share) / by.temperature for one in bank]
        for n in range(len(TEXTS)):
            alone = by_hand(network, queries, v, q[n], by.top_share) / by.temperature
            assert float(found[v, n]) == pytest.approx(alone - np.log(np.mean(np.exp(reached))), abs=0.05)  # half
    nothing = fit.of(snippets, q, fit.standard(fit.sentences(network, vocabulary, []), s.loss))
    torch.testing.assert_close(nothing, fit.similarities(snippets, q, by.top_share) / by.temperature)


def test_parts_do_not_change_fits(asked, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, queries, s = asked
    vocabulary = vocabularies.load(folder / "vocabulary.json")
    by = fit.standard(fit.sentences(network, vocabulary, queries.sentences[:5]), s.loss)
    snippets = fit.snippets(network, queries.features_of(torch.arange(8), torch.device("cpu")))
    q = fit.sentences(network, vocabulary, TEXTS)
    whole = fit.of(snippets, q, by)
    monkeypatch.setattr(fit, "CELLS", 1)
    torch.testing.assert_close(fit.of(snippets, q, by), whole)


def test_a_moment_fits_by_its_own_snippets() -> None:
    random = np.random.default_rng(0)
    maps = torch.from_numpy(random.uniform(-1, 1, (2, 12))).float()
    moments = torch.tensor([[[0.0, 1.0], [0.5, 0.75], [0.0, 0.08], [0.999, 1.0]]]).expand(2, -1, -1)
    by = Standard(torch.empty(0, 4), 0.05, 0.25)
    found = fit.of_moments(maps, moments, torch.tensor([0.0, 3.0]), by)
    for b, level in enumerate((0.0, 3.0)):
        row = maps[b].numpy()
        expected = [np.sort(part)[::-1][:3].mean() for part in (row, row[6:9], row[:1], row[11:])]
        np.testing.assert_allclose(found[b], np.array(expected) / 0.05 - level, rtol=1e-4, atol=1e-4)
    whole = losses.similarity(maps, 0.25) / 0.05 - torch.tensor([0.0, 3.0])
    torch.testing.assert_close(found[:, 0], whole)


def test_the_bar_refuses_four_fifths_of_sentences_in_videos_of_others(asked, folder: Path, monkeypatch) -> None:
    network, queries, s = asked
    vocabulary = vocabularies.load(folder / "vocabulary.json")
    training = queries.take(np.array(queries.splits) == "train")
    held_out = queries.take(np.array(queries.splits) == "test")
    found = fit.calibrate(network, vocabulary, s.loss, training, held_out.take(np.zeros(len(held_out), bool)))
    bank, bar = json.loads(found["bank"]), json.loads(found["bar"])
    assert sorted(bank) == sorted(set(training.sentences))
    by = fit.standard(fit.sentences(network, vocabulary, bank), s.loss)

    def others(some: Queries) -> list[float]:
        videos = some.video_index.unique()
        fits = fit.of(fit.snippets(network, some.features_of(videos, torch.device("cpu"))), by.bank, by)
        own = {(int(v), text) for v, text in zip(some.video_index, some.sentences, strict=True)}
        pairs = [(v, b) for v in range(len(videos)) for b in range(len(bank))]
        return [float(fits[v, b]) for v, b in pairs if (int(videos[v]), bank[b]) not in own]

    assert len(others(training)) == len(bank) * 6 - len(training)
    assert bar == pytest.approx(np.quantile(others(training), 0.8), abs=1e-3)
    other = fit.calibrate(network, vocabulary, s.loss, training, held_out)
    assert other["bank"] == found["bank"]
    assert json.loads(other["bar"]) == pytest.approx(np.quantile(others(held_out), 0.8), abs=1e-3)
    monkeypatch.setattr(fit, "BANK", 5)
    assert fit.choose(training.sentences) == fit.choose([*reversed(training.sentences), training.sentences[0]])
    assert len(fit.choose(training.sentences)) == 5
