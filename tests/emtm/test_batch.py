"""Queries as batches: words, characters, lengths."""

import itertools

import h5py
import numpy as np
import pytest
import torch

import small_emtm
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data import vocabulary
from vidistill.data.queries import QUERIES
from vidistill.emtm import batch, characters

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    return small_emtm.write(tmp_path)


def load(folder, s, known=("a", "e", "r"), streams=("rgb",)):
    files = [[folder / f"{stream}.h5"] for stream in streams]
    found = batch.load(folder / "queries.parquet", files, s, splits=None)
    return batch.with_words(found, vocabulary.load(folder / "vocabulary.json"), known, s)


def test_a_short_video_keeps_its_rows_and_a_long_one_is_averaged(config, folder):
    s = small_emtm.train_settings(config, streams=["rgb", "flow"], snippets=12)
    queries = load(folder, s, streams=("rgb", "flow"))
    with h5py.File(folder / "flow.h5", "a") as file:
        flow = {video: file[video]["features"][:] for video in file}
    for row in (queries.video_ids.index("v1"), queries.video_ids.index("v8")):  # of 10 and of 17 rows
        one, video = queries.batch(np.array([row]), CPU), queries.video_ids[row]
        with h5py.File(folder / "rgb.h5") as file:
            rows = file[video]["features"][:]
        length = min(len(rows), 12)
        assert one.features.shape == (1, length, 22)
        assert one.snippets.all()
        bounds = np.minimum(np.round(np.arange(13) / 12 * len(rows)).astype(int), len(rows) - 1)
        for part, source in ((one.features[0, :, :12], rows), (one.features[0, :, 12:], flow[video])):
            means = [source[max(a, 0) : max(b, a + 1)].mean(0) for a, b in itertools.pairwise(bounds)]
            np.testing.assert_allclose(part, source if length < 12 else means, rtol=1e-4, atol=1e-6)


def test_batches_are_cut_and_padded(config, folder):
    queries = load(folder, small_emtm.train_settings(config))
    rows = np.array([queries.video_ids.index("v0"), queries.video_ids.index("v2")])  # of 9 and of 11 rows
    found = queries.batch(rows, CPU)
    assert found.snippets.sum(1).tolist() == [9, 11]
    assert found.features.shape[1] == 11
    assert not found.features[0, 9:].any()
    words = (found.tokens > 0).sum(1)
    assert words.max() == found.tokens.shape[1] == found.spelling.shape[1]
    assert ((found.spelling > 0).any(-1) == (found.tokens > 0)).all()
    whole = load(folder, small_emtm.train_settings(config, student={"mask_padding": False})).batch(rows, CPU)
    assert whole.features.shape[1] == 12
    assert whole.tokens.shape[1] == 10


def test_the_second_stream_follows_the_first_ones_length(config, folder):
    with h5py.File(folder / "flow.h5", "a") as file:
        rows = file["v1"]["features"][:]
        del file["v1"]["features"]
        file["v1"]["features"] = rows[::2]
    s = small_emtm.train_settings(config, streams=["rgb", "flow"])
    queries = load(folder, s, streams=("rgb", "flow"))
    found = queries.batch(np.array([queries.video_ids.index("v1")]), CPU)
    assert found.features.shape == (1, 10, 22)
    np.testing.assert_allclose(found.features[0, ::2, 12:], rows[::2], rtol=1e-5)


def test_a_word_without_a_vector_is_unknown_and_not_left_out(config, folder):
    queries = store.read_table(folder / "queries.parquet")
    queries.loc[0, "sentence"] = "The zebra, opens"
    store.write_table(folder / "queries.parquet", queries, QUERIES, ["query_id"])
    loaded = load(folder, small_emtm.train_settings(config))
    row = loaded.query_ids.index(queries.loc[0, "query_id"])
    tokens = loaded.batch(np.array([row]), CPU).tokens[0].tolist()
    known = vocabulary.load(folder / "vocabulary.json")
    unknown = len(known.words) + 1
    assert tokens == [known.ids["the"], unknown, unknown, known.ids["opens"]]


def test_long_sentences_are_cut_and_empty_ones_left_out(config, folder, caplog):
    queries = store.read_table(folder / "queries.parquet")
    queries.loc[0, "sentence"], queries.loc[1, "sentence"] = "a " * 30, " "
    store.write_table(folder / "queries.parquet", queries, QUERIES, ["query_id"])
    loaded = load(folder, small_emtm.train_settings(config))
    assert queries.loc[1, "query_id"] not in loaded.query_ids
    assert "for want of words: 1 query" in caplog.text
    row = loaded.query_ids.index(queries.loc[0, "query_id"])
    assert (loaded.batch(np.array([row]), CPU).tokens > 0).sum() == 10
    store.write_table(folder / "queries.parquet", queries.assign(sentence=""), QUERIES, ["query_id"])
    with pytest.raises(UserError, match="no query has a word"):
        load(folder, small_emtm.train_settings(config))


def test_map2d_has_every_video_at_one_length_and_norm(config, folder):
    loaded = load(folder, small_emtm.train_settings(config, network="map2d"))
    found = loaded.batch(np.arange(4), CPU)
    assert found.features.shape[1] == 16
    assert found.snippets.all()
    torch.testing.assert_close(found.features[0].norm(dim=-1), torch.ones(16))  # of 9 rows, none averaged


def test_characters_that_are_seen_five_times_are_known():
    assert characters.known(["aab", "Ab a", "b, b"]) == ()
    assert characters.known(["aab", "Ab a", "b, b", "ba"]) == ("a", "b")


def test_words_are_spelled_in_16_characters():
    found = characters.spell(["", "abz", "a" * 20], ("a", "b"))
    assert found.shape == (3, 16)
    assert found[1].tolist() == [1, 2, 3] + [0] * 13
    assert found[2].tolist() == [1] * 16
    assert not found[0].any()
