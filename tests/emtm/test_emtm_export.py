"""Stage `export` of EMTM: the two tables of each network, and that a student learns from them."""

import numpy as np
import pytest

import emtm_runs
import small_emtm
from vidistill.base import store
from vidistill.emtm import map2d
from vidistill.training import boundaries


@pytest.fixture(scope="module")
def folder(config, tmp_path_factory):
    """A folder with a trained model of each network."""
    return emtm_runs.write(config, tmp_path_factory.mktemp("emtm"))


def exported(folder, network, **changes):
    return emtm_runs.export(folder, folder / network / "model.safetensors", **changes)


@pytest.mark.parametrize("network", emtm_runs.NETWORKS)
def test_pseudo_labels_are_the_predicted_moments_by_rank(folder, network):
    labels, _ = exported(folder, network)
    assert len(labels) == 20 * 5
    for _, rows in labels.groupby("query_id"):
        assert rows["rank"].tolist() == [0, 1, 2, 3, 4]
        assert rows["score"].is_monotonic_decreasing
        assert (rows["start"] < rows["end"]).all()
    assert labels[["proposal_index", "center", "width", "reconstruction_error"]].isna().all(axis=None)
    assert set(labels["teacher"]) == {network}
    predicted = store.read_table(folder / network / "predictions.parquet").query("epoch == 2")
    found = labels.set_index(["query_id", "rank"])["start"]
    wanted = predicted.set_index(["query_id", "proposal_index"])["start"]
    np.testing.assert_allclose(found[wanted.index], wanted, atol=1e-5)


@pytest.mark.parametrize("network", emtm_runs.NETWORKS)
def test_starts_and_ends_are_distributions_over_what_the_network_sees(folder, network):
    labels, maps = exported(folder, network)
    assert len(maps) == 20 * 2
    assert set(zip(maps["kind"], maps["stream"], strict=True)) == {("start", "fused"), ("end", "fused")}
    assert maps["confidence"].isna().all()
    for row in maps.itertuples():
        rows_of_video = 9 + int(row.video_id[1:])  # see small.write
        assert len(row.values) == row.num_snippets == (8 if network == "map2d" else min(rows_of_video, 12))
        assert row.values.sum() == pytest.approx(1, abs=1e-4)
        assert (row.values >= 0).all()
    if network != "map2d":
        by_kind = maps.set_index(["query_id", "kind"])["values"]
        best = labels[labels["rank"] == 0].set_index("query_id")
        for query, about in best.iterrows():
            count, seconds = len(by_kind[query, "start"]), 10 + int(about["video_id"][1:])
            product = np.triu(np.outer(by_kind[query, "start"], by_kind[query, "end"]))
            i, j = np.unravel_index(product.argmax(), product.shape)
            assert about["start"] == pytest.approx(i / count * seconds, abs=1e-4)
            assert about["end"] == pytest.approx((j + 1) / count * seconds, abs=1e-4)
            assert about["score"] == pytest.approx(product.max(), rel=1e-4)


def test_the_best_cell_of_a_map_peaks_at_its_start_and_end(folder):
    labels, maps = exported(folder, "map2d")
    best = labels[labels["rank"] == 0].set_index("query_id")
    for row in maps.itertuples():
        seconds = 10 + int(row.video_id[1:])
        shift = 0 if row.kind == "start" else 1
        assert best.loc[row.query_id, row.kind] == pytest.approx((row.values.argmax() + shift) / 8 * seconds, abs=1e-4)


@pytest.mark.parametrize("network", ["seqpan", "map2d"])
def test_released_values_are_no_distributions_and_are_read_as_they_are(folder, network):
    _, maps = exported(folder, network, unify="released")
    assert all(values.sum() > 1.01 for values in maps["values"])
    if network == "map2d":
        assert [np.linalg.norm(values) for values in maps["values"]] == pytest.approx([1] * 40)
    queries = sorted(maps["query_id"].unique())
    (start, _), known = boundaries.read(
        folder / network / "maps.parquet", queries, np.full(20, maps["num_snippets"].max()), 12, corners=True
    )
    assert known.all()
    longest = maps[(maps["kind"] == "start") & (maps["num_snippets"] == maps["num_snippets"].max())]
    for query, values in zip(longest["query_id"], longest["values"], strict=True):
        np.testing.assert_allclose(start[queries.index(query), : len(values)], values, atol=1e-6)


def test_the_tables_say_where_they_come_from(folder):
    exported(folder, "seqpan")
    for name in ("labels", "maps"):
        about = store.read_metadata(folder / "seqpan" / f"{name}.parquet")
        assert about["supervision"] == "full"
        assert about["unify"] == "distribution"
        assert about["model_sha256"] == store.file_digest(folder / "seqpan" / "model.safetensors")


def test_exporting_twice_gives_equal_files(folder):
    files = [folder / "map2d" / f"{name}.parquet" for name in ("labels", "maps")]
    exported(folder, "map2d")
    before = list(map(store.file_digest, files))
    exported(folder, "map2d")
    assert list(map(store.file_digest, files)) == before


@pytest.mark.parametrize("unify", ["distribution", "released"])
def test_a_student_learns_from_the_tables_of_several_teachers(config, folder, unify):
    maps = []
    for network in ("seqpan", "map2d"):
        exported(folder, network, unify=unify)
        maps.append(folder / network / "maps.parquet")
    released = {"kd": "released", "aggregation_loss": "released", "corners": True} if unify == "released" else {}
    section = small_emtm.train_section(config, teachers=["seqpan", "map2d"], model="taught", distillation=released)
    moments = ["--training-moments", folder / "training_moments.parquet"]
    model = emtm_runs.train(folder, section, *moments, "--activation-maps", *maps)
    history = store.read_table(model.with_name("history.parquet"))
    assert {"distillation", "aggregation"} <= set(history.columns)
    assert np.isfinite(history["loss"]).all()


def test_a_trained_map_finds_cells(folder):
    labels, _ = exported(folder, "map2d")
    cells = {(first / 8, (last + 1) / 8) for first, last in map2d.cells(8).tolist()}
    for row in labels.itertuples():
        seconds = 10 + int(row.video_id[1:])
        assert any(abs(row.start / seconds - a) + abs(row.end / seconds - b) < 1e-5 for a, b in cells)
