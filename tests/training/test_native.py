import h5py
import numpy as np
import pytest

from vidistill.training import native, samples
from vidistill.training.native import Stored

NONE = {"snippets": "native", "normalise": "none"}


def write(path, rows, **about):
    """A feature file: video id -> (rows, attributes and data sets)."""
    with h5py.File(path, "w") as file:
        for video_id, values in rows.items():
            group = file.create_group(video_id)
            group.attrs.update(video_id=video_id, status="ok", reason="", **about)
            group["features"] = values
    return path


def rows(count, width=3):
    return np.random.default_rng(count).normal(size=(count, width)).astype(np.float32)


def test_all_rows_are_kept_as_they_are(tmp_path):
    path = write(tmp_path / "rgb.h5", {"a": rows(7), "b": rows(2)})
    found = native.load([[path]], {"a": 14.0, "b": np.nan, "c": 1.0}, **NONE)
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"].streams[0], rows(7))
    np.testing.assert_allclose(found["a"].times, [[2 * t, 2 * t + 2] for t in range(7)])
    assert np.isnan(found["b"].times).all()


def test_recorded_times_come_before_the_duration():
    times = np.stack([np.arange(5), np.arange(5) + 0.5], 1)
    found = native.features([Stored(rows(5), times)], 100.0, "native", "none")
    np.testing.assert_array_equal(found.times, times)
    assert native.features([Stored(rows(5), times)], np.nan, "native", "none").duration == 4.5
    unknown = native.features([Stored(rows(5), np.full((5, 2), np.nan))], 10.0, "native", "none")
    np.testing.assert_allclose(unknown.times[:, 0], [0, 2, 4, 6, 8])


def test_the_features_duration_comes_before_the_annotated_one(tmp_path):
    path = write(tmp_path / "rgb.h5", {"a": rows(4)}, duration=8.0)
    assert native.load([[path]], {"a": 8000.0}, **NONE)["a"].duration == 8.0


def test_streams_that_differ_by_a_row_are_cut_and_others_left_out(tmp_path, caplog):
    one = write(tmp_path / "rgb.h5", {"a": rows(7), "b": rows(7)})
    other = write(tmp_path / "flow.h5", {"a": rows(6, 2), "b": rows(5, 2)})
    found = native.load([[one], [other]], {"a": 6.0, "b": 6.0}, **NONE)
    assert list(found) == ["a"]
    assert [x.shape for x in found["a"].streams] == [(6, 3), (6, 2)]
    assert len(found["a"].times) == 6
    assert "'b' is left out: its streams have 7 and 5 rows" in caplog.text


def test_videos_can_be_resampled(tmp_path):
    paths = [write(tmp_path / f"{n}.h5", {"a": rows(n)}) for n in (11, 30)]
    found = native.load([[path] for path in paths], {"a": 4.0}, snippets=8, normalise="l2")["a"]
    for values, n in zip(found.streams, (11, 30), strict=True):
        np.testing.assert_array_equal(values, samples.resample(rows(n), 8, "l2"))
    np.testing.assert_allclose(found.times, [[t / 2, t / 2 + 0.5] for t in range(8)])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rows_are_scaled_to_norm_one(dtype):
    values = np.array([[300.0, 400.0], [0.0, 0.0]], dtype=dtype)
    (found,) = native.features([Stored(values)], 2.0, "native", "l2").streams
    assert found.numpy().dtype == dtype
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0]], atol=1e-3)
