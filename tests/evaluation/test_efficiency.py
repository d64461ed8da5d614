"""Stage `efficiency`: what it counts, how it times, and what it writes of several models."""

import json
import sys
import time
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch import nn

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.evaluation import efficiency
from vidistill.mmdist.attention import Attention, Rows
from vidistill.training.efficiency import Prepared, median_sentence, parameters

T, D = 5, 16


def counted(network: nn.Module, *inputs: torch.Tensor) -> int:
    network.eval()
    with torch.no_grad():
        return efficiency.multiply_adds(lambda: network(*inputs))


def test_products_of_layers_are_counted_one_a_multiply_add() -> None:
    assert counted(nn.Linear(D, 3), torch.zeros(1, T, D)) == T * D * 3
    assert counted(nn.Conv1d(D, 8, 3, padding=1), torch.zeros(1, D, T)) == T * 3 * D * 8
    assert counted(nn.Conv1d(D, D, 3, padding=1, groups=D), torch.zeros(1, D, T)) == T * 3 * D
    assert counted(nn.Conv2d(4, 2, 3), torch.zeros(1, 4, T, T)) == 3 * 3 * 9 * 4 * 2


def test_attention_and_lstms_are_counted_though_they_are_fused() -> None:
    projections, products = 4 * T * D * D, 2 * T * T * D
    attention, rows = Attention(D, 2), Rows(1, T)
    assert efficiency.multiply_adds(lambda: attention(torch.zeros(T, D), rows, rows, torch.zeros(1, T, T))) == (
        projections + products
    )
    assert counted(nn.LSTM(D, 8, 2, batch_first=True), torch.zeros(1, T, D)) == T * 4 * 8 * (D + 8 + 8 + 8)


def test_latency_is_a_median_after_the_warm_up() -> None:
    calls: list[float] = []

    def answer() -> None:
        calls.append(0.1 if len(calls) < 2 else 0.02 if len(calls) == 4 else 0.002)
        time.sleep(calls[-1])

    found = efficiency.latency(answer, 2, 5)
    assert len(calls) == 7
    assert 2 <= found < 20


def test_the_table_of_words_is_no_parameter_and_what_is_frozen_neither() -> None:
    network = nn.ModuleDict({"words": nn.Embedding(100, 4), "linear": nn.Linear(4, 2), "fixed": nn.Linear(9, 9)})
    network["fixed"].requires_grad_(False)
    assert parameters(network, network["words"].weight) == 10
    assert parameters(network, network["linear"].bias) == 408


def test_the_sentence_has_a_median_number_of_known_words() -> None:
    sentences = ["a b c d", "a", "a b", "?", "a b c"]
    assert median_sentence(sentences, lambda text: len(text.replace("?", "").split())) == "a b"


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Run the stage on models of two made-up methods, whose files say how many parameters they have."""
    for method in ("one", "two"):

        def prepare(path, sentences, device, method=method):
            assert sorted(sentences) == ["a ball", "a dog runs"]
            layer = nn.Linear(D, int(path.read_text())).to(device).eval()

            def answer() -> np.ndarray:
                with torch.no_grad():
                    return layer(torch.zeros(1, D)).numpy()

            return Prepared(parameters(layer, torch.zeros(1)), 2, 64 if method == "one" else 32, answer)

        module = ModuleType(f"vidistill.{method}.efficiency")
        module.prepare = prepare  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
    table = pd.DataFrame({"query_id": ["p", "q"], "sentence": ["a ball", "a dog runs"], "label": [None, None]})
    store.write_table(tmp_path / "q.parquet", table, pa.Schema.from_pandas(table), ["query_id"])
    files = {"first": "3", "second": "5"}
    for model, width in files.items():
        (tmp_path / model).write_text(width)

    def run(*models):
        settings = {"dataset": "toy", "methods": {"first": "one", "second": "two"}, "device": "cpu"}
        settings |= {"threads": 1, "warm_up": 1, "queries": 3}
        paths = ["--queries", str(tmp_path / "q.parquet"), "--output", str(tmp_path / "e.json")]
        named = [f"{model}={tmp_path / model}" for model in models]
        efficiency.main(["--settings", json.dumps(settings), "--models", *named, *paths])
        return json.loads((tmp_path / "e.json").read_text())

    return run


def test_every_model_is_measured_by_the_code_of_its_method(stage) -> None:
    found = stage("second", "first")
    assert {name: row["parameters"] for name, row in found["models"].items()} == {"first": 51, "second": 85}
    assert {name: row["multiply_adds"] for name, row in found["models"].items()} == {"first": 48, "second": 80}
    assert {name: row["snippets"] for name, row in found["models"].items()} == {"first": 64, "second": 32}
    assert all(row["latency_ms"] > 0 for row in found["models"].values())
    assert (found["threads"], found["queries"]) == (1, 3)
    assert found["device"]


def test_a_model_without_a_file_is_named(stage) -> None:
    with pytest.raises(UserError, match="no file for model 'second'"):
        stage("first")
