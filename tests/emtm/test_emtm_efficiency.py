"""What EMTM's models cost, as stage `efficiency` counts it, against the specification's numbers."""

import json

import pytest
import torch

import emtm_runs
import small_emtm
from conftest import parse
from vidistill.base import store
from vidistill.data.text import tokenise
from vidistill.emtm import model as models
from vidistill.emtm.model import Shape
from vidistill.evaluation.efficiency import multiply_adds, prepare
from vidistill.planning.effects import UNREAD
from vidistill.settings.emtm import TrainSettings

# Data set -> snippets, width of the features, characters with the one for all others, words of a sentence.
SIZES = {"charades": (64, 1024, 35, 10), "activitynet": (100, 1024, 54, 15), "tacos": (256, 1024, 44, 15)}
COSTS = {  # parameters and multiply-adds in millions, of the student and of SeqPAN
    ("charades", "student"): (673_650, 49.3),
    ("activitynet", "student"): (684_766, 79.1),
    ("tacos", "student"): (706_502, 205.9),
    ("charades", "seqpan"): (1_203_058, 93.4),
    ("activitynet", "seqpan"): (684_766 + 2 * 264_704, 149.9),
    ("tacos", "seqpan"): (706_502 + 2 * 264_704, 394.4),
}
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,'-!?;:_/()&%$#@"


@pytest.fixture
def saved(tmp_path, config):
    """An untrained model with a data set's sizes, as a file."""

    def save(dataset, network, **changes):
        snippets, dim, characters, words = SIZES[dataset]
        own = {key: value for key, value in config["emtm"].items() if key not in UNREAD[network]}
        section = {**config["train"], **own, "words": 30, "snippets": snippets, **changes}
        section |= {"dataset": dataset, "model": network, "network": network, "seed": 0, "device": "cpu"}
        section |= {"streams": ["rgb"], "teachers": [], "supervision": "full", "labels": None}
        s = parse(TrainSettings, section)
        known = list(CHARACTERS[: characters - 1])
        vectors = torch.zeros(21, 300)
        built = models.build(s, dim, vectors, learned_words=False, characters=known)
        vocabulary = {"words": [f"word{n}" for n in range(20)], "counts": [1] * 20, "weights": [1.0] * 20}
        vocabulary |= {"max_words": 20, "excluded_queries": [], "word_vectors": "given"}
        models.save(
            tmp_path / "m.safetensors",
            built,
            s,
            shape=Shape(dim, *vectors.shape),
            characters=known,
            vocabulary=json.dumps(vocabulary),
        )
        return prepare("emtm", tmp_path / "m.safetensors", [" ".join(["word1"] * words)], torch.device("cpu"))

    return save


def test_a_map_is_counted_with_its_lstm(saved):
    """2D-TAN at its size for machines without a GPU: 644,097 parameters; and by hand."""
    found = saved("charades", "map2d", map2d={"dim": 64, "layers": 4})
    assert (found.parameters, found.words, found.snippets) == (644_097, 10, 256)
    h, n, side = 64, 16, 16 + 4 * 4  # the map with its padding
    sentence = 10 * 4 * h * (300 + h + 4 * h) + h * h
    maps = sum((side - 4 * layer) ** 2 for layer in range(1, 5)) * 25 * h * h + n * n * h
    assert multiply_adds(found.answer) == 256 * 1024 * h + 136 * h * h + sentence + maps


@pytest.mark.parametrize("network", ["student", "map2d"])
def test_a_trained_model_answers_in_seconds(config, tmp_path, network):
    folder = small_emtm.write(tmp_path)
    section = small_emtm.train_section(config, network=network)
    model = emtm_runs.train(folder, section, "--training-moments", folder / "training_moments.parquet")
    sentences = store.read_table(folder / "queries.parquet")["sentence"].tolist()
    found = prepare("emtm", model, sentences, torch.device("cpu"))
    assert found.words == sorted(len(tokenise(text)) for text in sentences)[(len(sentences) - 1) // 2]
    moments = found.answer()
    assert moments.shape == (5, 2)
    assert 1 < moments.max() <= 30.001
    assert (moments == found.answer()).all()
    metadata = store.read_model_metadata(model)
    assert (metadata["supervision"], metadata["training_moments"]) == ("full", "12")


@pytest.mark.parametrize(("dataset", "network"), COSTS)
def test_parameters_and_multiply_adds_are_those_of_the_specification(saved, dataset, network):
    of_characters = {"charades": 100, "activitynet": 100, "tacos": 50}[dataset]
    found = saved(dataset, network, **{network: {"characters": of_characters}})
    parameters, millions = COSTS[dataset, network]
    assert (found.parameters, found.words, found.snippets) == (parameters, SIZES[dataset][3], SIZES[dataset][0])
    snippets, _, _, words = SIZES[dataset]
    # The specification's SeqPAN projects the queries of both attentions apart, with one matrix; here it does so once.
    once = 2 * 128**2 * (snippets + words) if network == "seqpan" else 0
    assert (multiply_adds(found.answer) + once) / 1e6 == pytest.approx(millions, abs=0.1)
