"""CLIP features beside optical flow, and words by CLIP's text encoder: through the workflow, and asked."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

import small_clip
from vidistill.base import settings, store
from vidistill.base.stage import UserError
from vidistill.commands import words
from vidistill.commands.ground import Grounder
from vidistill.data import vocabulary
from vidistill.features.clip_words import TextEncoder
from vidistill.settings.clip import TextEncoderSection
from workflow_runs import TINY, run

VIDEO = "demo-0006"  # of the test split
PLAIN: dict[str, Any] = {"device": "cpu", "threads": 1}
WORDS = ("sphere", "circle", "cube", "lifts", "crimson", "upwards", "object", "shifts")  # that the demo's have not


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the tiny demo whose teacher reads CLIP frames and flow."""
    folder = tmp_path_factory.mktemp("clip")
    small_clip.write(folder / "weights")
    outcome = run(folder, "results/student_demo.json", config=[TINY], changes=changes())
    assert outcome.status == 0, outcome.text
    return folder


def changes(**vocabulary: Any) -> dict[str, Any]:
    files = {"config": "weights/open_clip_config.json", "weights": "weights/open_clip_model.safetensors"}
    clip = {"extractor": "clip", **files, "threads": 1, "window": 2, "stride": 2}
    return {
        "models": {"student": {"compare_with": []}},
        "collections": {"demo": {"streams": {"clip": {**clip, "decode": {"fps": 8}}}}},
        "datasets": {
            "demo": {
                "streams": {"rgb": "clip"},
                "vocabulary": {"text_encoder": {**files, "threads": 1, "template": "a video of {}"}, **vocabulary},
            }
        },
    }


def model_of(folder: Path, name: str) -> Path:
    return folder / f"results/demo/{name}/seed-0/model.safetensors"


@pytest.fixture(scope="module")
def teacher(folder: Path) -> Grounder:
    files = [folder / "weights" / name for name in ("open_clip_config.json", "open_clip_model.safetensors")]
    return Grounder(model_of(folder, "teacher"), weights=files, **PLAIN)


def test_features_and_answers_are_those_of_the_workflow(folder: Path, teacher: Grounder) -> None:
    watched = teacher.watch(next((folder / "results/demo/videos").glob(f"{VIDEO}.*")))
    assert list(watched.features) == ["rgb", "flow"]
    for shard in (folder / "results/features/demo/clip").glob("*.h5"):
        with h5py.File(shard) as file:
            if (group := file.get(store.group_name(VIDEO))) is not None:
                np.testing.assert_array_equal(watched.features["rgb"], group["features"][:])
                assert group["features"].shape[1] == small_clip.WIDTH
    queries = pd.read_parquet(folder / "results/demo/queries.parquet").query("video_id == @VIDEO")
    predictions = pd.read_parquet(model_of(folder, "teacher").with_name("predictions.parquet"))
    last = predictions[predictions["epoch"] == predictions["epoch"].max()].set_index("query_id")
    queries = queries[[not words.unknown(sentence, teacher.trained.vocabulary) for sentence in queries["sentence"]]]
    assert len(queries)
    for query, answer in zip(queries.itertuples(), teacher.ask(watched, queries["sentence"].tolist()), strict=True):
        expected = last.loc[query.query_id].sort_values("score", ascending=False)
        np.testing.assert_allclose([m.score for m in answer.moments], expected["score"], rtol=1e-5)


def test_word_vectors_are_the_text_encoders(folder: Path) -> None:
    vectors, learned = vocabulary.load_word_vectors(folder / "results/demo/word_vectors.safetensors")
    known = vocabulary.load(folder / "results/demo/vocabulary.json")
    assert not learned
    expected = encoder(folder)(known.words)
    expected -= expected.mean(0)
    expected *= 0.36 / expected.std()  # GloVe's
    np.testing.assert_allclose(vectors[1:], expected, atol=1e-5)
    assert (vectors[0] == 0).all()


def encoder(folder: Path) -> TextEncoder:
    text = json.dumps(changes()["datasets"]["demo"]["vocabulary"]["text_encoder"]).replace(
        "weights/", f"{folder}/weights/"
    )
    return TextEncoder(settings.parse(TextEncoderSection, text), torch.device("cpu"))


def test_unknown_words_are_read_as_the_nearest_by_the_same_encoder(folder: Path, teacher: Grounder) -> None:
    known = teacher.trained.vocabulary.words
    assert not set(WORDS) & set(known)
    read_as = teacher.read_as(" ".join(WORDS))
    assert read_as
    about = teacher.trained.vocabulary.encoder
    assert about is not None
    raw = encoder(folder)([*known, *WORDS]) - np.array(about["mean"])
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    cosines = raw[len(known) :] @ raw[: len(known)].T
    for word, near in read_as.items():
        content, row = filter(words.is_content, known), cosines[WORDS.index(word)]
        assert row[known.index(near)] >= 0.5
        assert row[known.index(near)] >= max(row[known.index(w)] for w in content) - 1e-4
    near = next(iter(read_as))
    teacher.check([f"the {near}"])


def test_without_the_encoder_unknown_words_are_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the recorded paths lead nowhere
    grounder = Grounder(model_of(folder, "student"), **PLAIN)
    assert grounder.read_as(" ".join(WORDS)) == {}
    assert "text encoder" in caplog.text
    grounder.check(["the red ball"])
    with pytest.raises(UserError, match="sphere"):
        grounder.check(["the sphere"])


def test_words_are_encoded_again_for_new_words_or_weights_alone(folder: Path) -> None:
    def jobs(**vocabulary: Any) -> set[str]:
        return set(
            run(folder, "results/student_demo.json", config=[TINY], changes=changes(**vocabulary), dry=True).jobs
        )

    assert jobs() == set()
    fewer = jobs(size=10)
    assert {"vocabulary", "train"} <= fewer
    assert not {"words", "encode_words", "extract"} & fewer
    assert {"words", "encode_words", "vocabulary"} <= jobs(splits=["test"])
    other = changes()["datasets"]["demo"]["vocabulary"]["text_encoder"] | {"template": "{}"}
    assert {"encode_words", "vocabulary", "train"} <= jobs(text_encoder=other)
    assert "words" not in jobs(text_encoder=other)


def test_two_sources_of_vectors_are_refused(folder: Path) -> None:
    both = run(folder, "results/student_demo.json", config=[TINY], changes=changes(word_vectors="glove.txt"), dry=True)
    assert both.status != 0
    assert "text_encoder" in both.text
