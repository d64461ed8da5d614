import itertools

import h5py
import numpy as np
import pytest

import small
from vidistill.base.stage import UserError
from vidistill.training import samples


@pytest.mark.parametrize("count", [1, 2, 5, 12, 13, 100])
def test_resampling_follows_its_formula(count):
    rows = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    found = samples.resample(rows, 12, "none")
    assert found.dtype == np.float32
    bounds = [min(round(i / 12 * count), count - 1) for i in range(13)]
    for j, (start, end) in enumerate(itertools.pairwise(bounds)):
        expected = rows[start] if start == end else np.mean([rows[t] for t in range(start, end)], axis=0)
        np.testing.assert_allclose(found[j], expected, rtol=1e-5, atol=1e-6)


def test_l2_gives_snippets_of_norm_one_and_leaves_zero_alone():
    rows = np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(samples.resample(rows, 2, "l2"), [[0.6, 0.8], [0.0, 0.0]], atol=1e-6)


def test_rows_are_of_norm_one_before_they_are_averaged():
    rows = np.array([[3.0, 4.0], [0.0, 0.1], [5.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(samples.resample(rows[:3], 1, "rows"), [[0.3, 0.9]], atol=1e-6)
    np.testing.assert_allclose(samples.resample(rows, 4, "rows")[2:], [[1.0, 0.0], [0.0, 0.0]])


def test_queries_meet_their_own_videos(tmp_path):
    loaded = small.load(small.write(tmp_path), ("rgb", "flow"))
    assert len(loaded) == 20
    batch = loaded.batch(np.array([7, 2]), np.zeros(loaded.tokens.shape, dtype=bool), loaded.tokens.device)
    for i, row in enumerate((7, 2)):
        with h5py.File(tmp_path / "flow.h5") as file:
            raw = file[loaded.video_ids[row]]["features"][:]
        np.testing.assert_allclose(batch.features[1][i], samples.resample(raw, 12, "none"))


def test_a_video_without_one_of_the_streams_is_left_out(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = small.write(tmp_path)
    with h5py.File(folder / "flow.h5", "a") as file:
        del file["v4"]["features"]
        file["v4"].attrs.update(status="bad", reason="truncated")
    assert "v4" in small.load(folder, ("rgb",)).video_ids
    assert "v4" not in small.load(folder, ("rgb", "flow")).video_ids
    assert "18 of 20 queries" in caplog.text


def test_no_query_left_is_an_error(tmp_path):
    folder = small.write(tmp_path)
    with h5py.File(folder / "rgb.h5", "w"):
        pass
    with pytest.raises(UserError, match="no query has features"):
        small.load(folder)


def test_the_duration_that_the_features_have_counts_before_the_annotations(tmp_path):
    folder = small.write(tmp_path)
    before = small.load(folder)
    table = samples.store.read_table(folder / "queries.parquet")
    table["duration"] *= 1000  # milliseconds
    samples.store.write_table(folder / "queries.parquet", table, small.QUERIES, ["query_id"])
    loaded = small.load(folder)
    assert loaded.durations.tolist() == [10.0 + int(v[1:]) for v in loaded.video_ids]
    assert loaded.digest() == before.digest()
    with h5py.File(folder / "rgb.h5", "a") as file:
        del file["v3"].attrs["duration"]
    again = small.load(folder)
    assert set(again.durations[np.array(again.video_ids) == "v3"]) == {13000.0}
    assert again.digest() != before.digest()  # a run that was stopped does not go on with other seconds


def test_a_duration_that_no_annotation_knows_comes_from_the_features(tmp_path):
    folder = small.write(tmp_path)
    table = samples.store.read_table(folder / "queries.parquet")
    table["duration"] = np.nan
    samples.store.write_table(folder / "queries.parquet", table, small.QUERIES, ["query_id"])
    loaded = small.load(folder)
    assert loaded.durations.tolist() == [10.0 + int(v[1:]) for v in loaded.video_ids]
