"""Stage `retrieve` of EMTM, beside the answers about each video alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import emtm_runs
import small
import small_emtm
from vidistill.base import store
from vidistill.base.settings import parse
from vidistill.data import vocabulary as vocabularies
from vidistill.emtm import ask, batch, retrieve
from vidistill.emtm import model as models
from vidistill.settings.emtm import TrainSettings


@pytest.fixture(scope="module")
def folder(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emtm_retrieve")
    small_emtm.write(folder)
    for network in ("student", "map2d"):
        section = small_emtm.train_section(config, network=network, model=network)
        emtm_runs.train(folder, section, "--training-moments", folder / "training_moments.parquet")
    return folder


@pytest.mark.parametrize("network", ["student", "map2d"])
@pytest.mark.parametrize("pairs", [1000, 9])
def test_a_video_is_as_good_as_its_best_moment(folder: Path, tmp_path: Path, network: str, pairs: int) -> None:
    names, file = small.inputs(folder), folder / network / "model.safetensors"
    settings = json.dumps({"device": "cpu", "threads": 1, "split": "test", "pairs": pairs})
    arguments = ["--settings", settings, "--model", file, *names[:2], *names[6:], "--output", tmp_path / "r.parquet"]
    retrieve.main(list(map(str, arguments)))
    found = store.read_table(tmp_path / "r.parquet").set_index("query_id")
    loaded, metadata = models.load(file)
    s = parse(TrainSettings, metadata["settings"])
    queries = batch.load(folder / "queries.parquet", [[folder / f"{x}.h5"] for x in s.streams], s, splits=["test"])
    videos = queries.video_index.unique()
    assert len(found) == (len(queries) if pairs == 1000 else max(pairs // len(videos), 1))
    assert found["refused"].isna().all()
    vocabulary, known = vocabularies.load(folder / "vocabulary.json"), json.loads(metadata["characters"])
    for row in (n for n in range(len(queries)) if queries.query_ids[n] in found.index):
        scores = []
        for v in videos:
            alone = [x[v : v + 1, : queries.lengths[v]].float() for x in queries.features]
            (one,) = ask.ask(loaded, s, vocabulary, known, alone, [queries.sentences[row]], torch.device("cpu"))
            scores.append(one.score[0])
        own = scores[int((videos == queries.video_index[row]).nonzero())]
        assert found.loc[queries.query_ids[row], "fit"] == pytest.approx(own, rel=1e-3)
        better = (np.array(scores) > own * (1 + 1e-3)).sum()
        equal = np.isclose(scores, own, rtol=1e-3).sum()
        assert better + 1 <= found.loc[queries.query_ids[row], "rank"] <= better + equal
