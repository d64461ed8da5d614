import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

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


def write_features(path, rows, dtype=np.float32, width=8):
    """One video per number of rows: v0, v1, ..."""
    random = np.random.default_rng(len(rows))
    with h5py.File(path, "w") as file:
        for v, count in enumerate(rows):
            group = file.create_group(f"v{v}")
            group.attrs.update(video_id=f"v{v}", status="ok", reason="", duration=10.0)
            group["features"] = random.normal(size=(count, width)).astype(dtype)


def write_queries(path, videos):
    rows = [(f"v{v}#0", f"v{v}", "train", 10.0, "a person walks", None) for v in range(videos)]
    table = pd.DataFrame(rows, columns=small.QUERIES.names)
    samples.store.write_table(path, table, small.QUERIES, ["query_id"])


def load(folder, *streams, snippets=6):
    files = [[folder / name for name in names] for names in streams]
    return samples.load(folder / "queries.parquet", files, splits=None, snippets=snippets, normalise="none")


PEAK = """
import json, sys
from pathlib import Path
from vidistill.training import samples

def megabytes(what):  # not getrusage: its peak begins with that of the process that started this one
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(what)) / 1024

def load(snippets):
    files = [[Path("rgb.h5")], [Path("flow.h5")]]
    found = samples.load(Path("queries.parquet"), files, splits=None, snippets=snippets, normalise="none")
    return found, found.digest()

load(1)  # what a first call needs once
before = megabytes("VmRSS")
found, _ = load(200)
json.dump([megabytes("VmHWM") - before, sum(x.nbytes for x in found.features) / 2**20], sys.stdout)
"""


def test_features_are_in_memory_once(tmp_path: Path) -> None:
    """While they are read and digested, each stream in the precision of its file."""
    videos, width = 60, 1024
    write_queries(tmp_path / "queries.parquet", videos)
    write_features(tmp_path / "rgb.h5", [9] * videos, np.float32, width)
    write_features(tmp_path / "flow.h5", [9] * videos, np.float16, width)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.run([sys.executable, "-c", PEAK], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    peak, stays = json.loads(child.stdout)
    assert stays == videos * 200 * width * (4 + 2) / 2**20
    assert stays < peak <= 1.15 * stays


def test_values_do_not_depend_on_how_files_are_cut(tmp_path):
    rows = [4, 9, 1, 30, 6]
    write_features(tmp_path / "all.h5", rows)
    write_queries(tmp_path / "queries.parquet", len(rows))
    with h5py.File(tmp_path / "all.h5") as whole:
        expected = np.stack([samples.resample(whole[f"v{v}"]["features"][:], 6, "none") for v in range(len(rows))])
        for name, kept in (("b.h5", (0, 3)), ("a.h5", (4, 2, 1))):
            with h5py.File(tmp_path / name, "w") as file:
                for v in kept:
                    whole.copy(f"v{v}", file)
    for names in (("all.h5",), ("b.h5", "a.h5")):
        (found,) = load(tmp_path, names).features
        np.testing.assert_array_equal(found.numpy(), expected)


def test_half_precision_stays_half_until_a_batch(tmp_path):
    write_features(tmp_path / "rgb.h5", [4, 9], np.float16)
    write_queries(tmp_path / "queries.parquet", 2)
    loaded = load(tmp_path, ("rgb.h5",))
    assert loaded.features[0].dtype == torch.float16
    (batch,) = loaded.features_of(torch.tensor([1, 0, 1]), torch.device("cpu"))
    assert batch.dtype == torch.float32
    assert torch.equal(batch, loaded.features[0][[1, 0, 1]].float())


def test_streams_of_different_widths_are_one_sentence(tmp_path):
    write_features(tmp_path / "0.h5", [4, 9])
    with h5py.File(tmp_path / "0.h5", "a") as file:
        del file["v1"]["features"]
        file["v1"]["features"] = np.zeros((5, 7), np.float32)
    write_queries(tmp_path / "queries.parquet", 2)
    with pytest.raises(UserError, match=r"0\.h5: features of video 'v1' have 7 dimensions, .* 8; make all shards"):
        load(tmp_path, ("0.h5",))


def test_features_live_on_the_device_if_they_take_half_of_its_memory(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    loaded = small.load(small.write(tmp_path), ("rgb", "flow"))
    needed, gpu = sum(x.nbytes for x in loaded.features), torch.device("meta")
    monkeypatch.setattr(samples.devices, "free_memory", lambda device: 2 * needed)
    placed = loaded.on(gpu)
    assert [x.device for x in placed.features] == [gpu, gpu]
    assert placed.take(np.arange(20) < 5).features is placed.features
    assert f"{needed / 1e9:.2f} GB on meta" in caplog.text
    monkeypatch.setattr(samples.devices, "free_memory", lambda device: 2 * needed - 1)
    assert loaded.on(gpu).features is loaded.features
    assert loaded.on(torch.device("cpu")).features is loaded.features


def test_the_digest_covers_every_number(tmp_path):
    loaded = small.load(small.write(tmp_path), ("rgb", "flow"))
    before = loaded.digest()
    assert before == small.load(tmp_path, ("rgb", "flow")).digest()
    loaded.features[1][-1, -1, -1] += 1
    assert loaded.digest() != before
