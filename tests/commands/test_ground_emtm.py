"""Asking a video by models of EMTM, trained on what the tiny demo's workflow made."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

import emtm_runs
import small_emtm
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.commands import ground_cli
from vidistill.commands.ground import Grounder
from vidistill.commands.one_video import Video

VIDEO = "demo-0006"  # of the test split
SENTENCES = ["the green box goes up", "the red ball slides right and the zeppelin turns around"]


@pytest.fixture(scope="module")
def folder(tiny_results: Path, config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained model of each network."""
    folder, demo = tmp_path_factory.mktemp("ground"), tiny_results / "demo"
    options = {
        "queries": "queries.parquet",
        "vocabulary": "vocabulary.json",
        "word-vectors": "word_vectors.safetensors",
    }
    inputs = [x for option, file in options.items() for x in (f"--{option}", demo / file)]
    inputs += ["--features", *(f"rgb={file}" for file in sorted((tiny_results / "features/demo/rgb").glob("*.h5")))]
    for network in emtm_runs.NETWORKS:
        section = small_emtm.train_section(config, network=network, model=network, dataset="demo")
        emtm_runs.train(folder, section, "--training-moments", demo / "moments.parquet", inputs=inputs)
    return folder


def grounder(folder: Path, network: str) -> Grounder:
    return Grounder(folder / network / "model.safetensors", device="cpu", threads=1)


@pytest.fixture(scope="module")
def watched(folder: Path, tiny_results: Path) -> Video:
    return grounder(folder, "student").watch(next((tiny_results / "demo/videos").glob(f"{VIDEO}.*")))


@pytest.mark.parametrize("network", emtm_runs.NETWORKS)
def test_answers_are_the_predictions_of_training(
    folder: Path, tiny_results: Path, watched: Video, network: str
) -> None:
    queries = pd.read_parquet(tiny_results / "demo/queries.parquet").query("video_id == @VIDEO")
    predictions = pd.read_parquet(folder / network / "predictions.parquet").query("epoch == 2").set_index("query_id")
    assert len(queries) > 1
    answers = grounder(folder, network).ask(watched, queries["sentence"].tolist())
    for query, answer in zip(queries.itertuples(), answers, strict=True):
        expected = predictions.loc[query.query_id].query("score > 0")
        found = np.array([(m.start, m.end) for m in answer.moments]) / answer.duration
        np.testing.assert_allclose(found, expected[["start", "end"]].to_numpy() / query.duration, atol=1e-5)
        np.testing.assert_allclose([m.score for m in answer.moments], expected["score"], rtol=1e-3)
        assert [m.proposal_index for m in answer.moments] == list(range(len(expected)))
        assert answer.activation_map is None
        assert {m.reconstruction_error for m in answer.moments} == {None}


def test_unknown_words_are_named_and_read_by_their_characters(folder: Path, watched: Video) -> None:
    student = grounder(folder, "student")
    known, unknown = student.ask(watched, SENTENCES)
    assert known.unknown_words == ()
    assert unknown.unknown_words == ("zeppelin",)
    (other,) = student.ask(watched, [SENTENCES[1].replace("zeppelin", "dirigible")])
    assert [m.score for m in other.moments] != [m.score for m in unknown.moments]
    of_map = grounder(folder, "map2d")
    scores = [[m.score for m in of_map.ask(watched, [s])[0].moments] for s in (SENTENCES[1], other.sentence)]
    assert scores[0] == scores[1]


def test_a_sentence_without_known_words_of_content_is_refused(folder: Path) -> None:
    for sentence, said in (
        ("zeppelins fly", "does not know the words zeppelins, fly"),
        ("of the " * 9 + "ball", "shorten it"),
    ):
        with pytest.raises(UserError, match=said):
            grounder(folder, "seqpan").check([sentence])


def test_an_answer_does_not_depend_on_the_other_sentences(folder: Path, watched: Video) -> None:
    for network in emtm_runs.NETWORKS:
        model = grounder(folder, network)
        for answer in model.ask(watched, SENTENCES):
            (alone,) = model.ask(watched, [answer.sentence])
            found, expected = ([(m.start, m.end, m.score) for m in a.moments] for a in (alone, answer))
            np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_video_of_one_row_has_one_moment(folder: Path) -> None:
    student = grounder(folder, "student")
    width = student.trained.network.shared.video.projection.in_features  # type: ignore[union-attr]
    (answer,) = student.ask(Video("v", 7.0, {"rgb": np.ones((1, width), np.float32)}), SENTENCES[:1])
    assert [(m.start, m.end, m.score) for m in answer.moments] == [(0.0, 7.0, pytest.approx(1.0))]


def test_the_command_prints_and_writes_what_was_found(
    folder: Path, tiny_results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for shard in sorted((tiny_results / "features/demo/rgb").glob("*.h5")):
        with h5py.File(shard) as file:
            if store.group_name(VIDEO) in file:
                features = shard
    output, picture = tmp_path / "a.json", tmp_path / "a.png"
    model = folder / "student" / "model.safetensors"
    options = ("--model", model, "--features", features, "--video-id", VIDEO, "--json", output, "--picture", picture)
    ground_cli.main([*map(str, options), "--", *SENTENCES])
    assert capsys.readouterr().out.count("score 0.") == 2 * 3
    written = json.loads(output.read_text())
    assert [answer["sentence"] for answer in written["answers"]] == SENTENCES
    assert all(answer["activation_map"] is None for answer in written["answers"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_model_of_other_settings_is_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model = folder / "student" / "model.safetensors"
    metadata = store.read_model_metadata(model)
    metadata["settings"] = json.dumps({**json.loads(metadata["settings"]), "shoe_size": 42})
    save_file(load_file(model), tmp_path / "m.safetensors", {store.MODEL_KEY: json.dumps(metadata)})
    with pytest.raises(UserError, match=r"m\.safetensors was trained by another version.*shoe_size"):
        Grounder(tmp_path / "m.safetensors")
