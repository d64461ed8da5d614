"""Stage `retrieve` of MMDist, run as its command on models that the stage `train` wrote."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from test_train import run

import small
from vidistill.base import store
from vidistill.data import vocabulary as vocabularies
from vidistill.mmdist import fit, retrieve
from vidistill.mmdist import model as models
from vidistill.training.retrieval import RETRIEVAL


@pytest.fixture(scope="module", params=["baseline", "teacher"])
def trained(request: pytest.FixtureRequest, config: dict[str, Any], tmp_path_factory) -> tuple[Path, Path, str]:
    folder = small.write(tmp_path_factory.mktemp("retrieve"))
    return folder, run(folder, small.train_section(config, request.param), request.param)["model"], request.param


def retrieved(folder: Path, model: Path, output: Path, split: str = "test") -> pd.DataFrame:
    names = small.inputs(folder)
    settings = json.dumps({"device": "cpu", "threads": 1, "split": split})
    arguments = ["--settings", settings, "--model", model, *names[:2], *names[6:], "--output", output]
    retrieve.main(list(map(str, arguments)))
    return store.read_table(output)


def test_ranks_are_those_of_fits_computed_here(config: dict[str, Any], trained, tmp_path: Path) -> None:
    folder, file, name = trained
    found = retrieved(folder, file, tmp_path / "r.parquet")
    network, metadata = models.load(file)
    s = small.train_settings(config, name)
    queries = small.load(folder, s.streams, splits=["test"])
    vocabulary = vocabularies.load(folder / "vocabulary.json")
    by = fit.standard(fit.sentences(network, vocabulary, json.loads(metadata["bank"])), s.loss)
    snippets = fit.snippets(network, queries.features_of(queries.video_index, torch.device("cpu")))
    fits = fit.of(snippets, fit.sentences(network, vocabulary, queries.sentences), by).T.numpy()  # (N, N)
    _, first = np.unique(queries.video_ids, return_index=True)
    assert found["query_id"].tolist() == queries.query_ids
    np.testing.assert_allclose(found["fit"], fits.diagonal(), atol=1e-3)
    better = (fits[:, first] > fits.diagonal()[:, None] + 1e-4).sum(1)
    assert found["rank"].tolist() == (1 + better).tolist()
    assert (found["videos"] == len(first)).all()
    assert found["refused"].tolist() == (fits.diagonal() < json.loads(metadata["bar"])).tolist()
    assert metadata["window"] == "18.0"  # the longest of the few


def test_a_split_without_queries_and_a_model_without_a_map_have_empty_tables(config, trained, tmp_path: Path) -> None:
    folder, file, _ = trained
    empty = retrieved(folder, file, tmp_path / "r.parquet", split="nowhere")
    assert (len(empty), empty.columns.tolist()) == (0, RETRIEVAL.names)
    section = small.train_section(config, "baseline", loss={"local_learning": False})
    alone = run(folder, section, "alone")["model"]
    assert {"bank", "bar"} & store.read_model_metadata(alone).keys() == set()
    assert len(retrieved(folder, alone, tmp_path / "a.parquet")) == 0
