"""Targets joined to queries: moments, and the distributions of several teachers."""

import numpy as np
import pandas as pd
import pytest
import torch
from test_batch import load

import small_emtm
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.emtm import targets
from vidistill.training import boundaries, knowledge


@pytest.fixture
def folder(tmp_path):
    return small_emtm.write(tmp_path)


def training(config, folder, **changes):
    queries = load(folder, small_emtm.train_settings(config, **changes))
    return queries.take(np.array(queries.splits) == "train")


def read(queries, folder, names=("first", "second"), moments=None):
    file = folder / "training_moments.parquet"
    maps = [folder / name / "activation_maps.parquet" for name in names]
    table = targets.training_moments(file) if moments is None else moments
    return targets.read(queries, table, file, maps, corners=False)


def change(folder, name, edit):
    """Edit a teacher's activation maps."""
    file = folder / name / "activation_maps.parquet"
    knowledge.write_maps(file, edit(store.read_table(file)), **store.read_metadata(file))


def test_targets_are_those_of_each_query_whatever_the_order_of_rows(config, folder):
    queries = training(config, folder)
    found, taught = read(queries, folder)
    assert found.query_ids == queries.query_ids
    moments = store.read_table(folder / "training_moments.parquet").set_index("query_id")
    maps = [store.read_table(folder / name / "activation_maps.parquet") for name in ("first", "second")]
    for row, query in enumerate(found.query_ids):
        seconds = moments.loc[query] / found.durations[row]
        assert taught.moments[row].tolist() == pytest.approx(seconds.tolist(), rel=1e-5)
        length = int(found.lengths[found.video_index[row]])
        for n, table in enumerate(maps):
            for which, kind in enumerate(("start", "end")):
                values = table.set_index(["query_id", "kind"]).loc[(query, kind), "values"]
                expected = boundaries.resample(values, length, ends=kind == "end", corners=False, unify="distribution")
                assert taught.teachers[row, n, which, :length].tolist() == pytest.approx(expected.tolist(), abs=1e-6)
                assert not taught.teachers[row, n, which, length:].any()
    order = np.random.default_rng(0).permutation(len(moments))
    permuted = read(queries, folder, moments=moments.iloc[order])[1]
    torch.testing.assert_close(permuted.moments, taught.moments, rtol=0, atol=0)


def test_a_batch_has_the_targets_of_its_queries(config, folder):
    queries, taught = read(training(config, folder), folder)
    rows, where = np.array([5, 2, 7]), torch.device("cpu")
    found = taught.add_to(queries.batch(rows, where), rows)
    assert found.teachers.shape == (3, 2, 2, found.features.shape[1])
    torch.testing.assert_close(found.teachers.sum(-1), torch.ones(3, 2, 2))
    for b, row in enumerate(rows):
        torch.testing.assert_close(found.moments[b], taught.moments[row])
        torch.testing.assert_close(found.teachers[b], taught.teachers[row][..., : found.features.shape[1]])


def test_queries_that_lack_something_are_left_out_and_counted(config, folder, caplog):
    queries = training(config, folder)
    whole = read(queries, folder)[1]
    a, b, c, d = queries.query_ids[:4]
    moments = targets.training_moments(folder / "training_moments.parquet").drop([a])
    moments.loc[b] = [2.0, 2.0]
    moments.loc[c] = [1000.0, 1001.0]
    change(folder, "second", lambda table: table[~((table["query_id"] == d) & (table["kind"] == "end"))])
    found, taught = read(queries, folder, moments=moments)
    assert found.query_ids == queries.query_ids[4:]
    torch.testing.assert_close(taught.teachers, whole.teachers[4:])
    assert f"3 queries of {len(queries)} left out: no moment" in caplog.text
    assert f"1 query of {len(queries)} left out: no start and end" in caplog.text
    assert "second" in caplog.text


def test_a_moment_that_ends_after_the_video_ends_with_it(config, folder):
    queries = training(config, folder)
    moments = targets.training_moments(folder / "training_moments.parquet")
    moments.loc[queries.query_ids[0]] = [queries.durations[0] / 4, queries.durations[0] + 3]
    assert read(queries, folder, moments=moments)[1].moments[0].tolist() == [0.25, 1]


def test_pseudo_labels_are_the_best_of_one_model(config, folder):
    file = folder / "first" / "pseudo_labels.parquet"
    labels = store.read_table(file)
    second = labels.assign(rank=1, start=0.0, end=0.1)
    knowledge.write_labels(file, pd.concat([second, labels]))
    found = targets.pseudo_moments(file)
    moments = store.read_table(folder / "training_moments.parquet").set_index("query_id")
    np.testing.assert_allclose(found.loc[moments.index], moments, rtol=1e-6)


def spoilt(column, value):
    def edit(table):
        table.at[table.index[table["kind"] == "start"][0], column] = value
        return table

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda table: pd.concat([table, table[:1]]), r"two rows for query v\d+#\d"),
        (spoilt("values", np.full(8, 0.2, np.float32)), r"values of start of query .* have sum 1.6, not 1"),
        (spoilt("values", np.array([np.nan] + [0.2] * 7, np.float32)), "are not all finite"),
        (spoilt("values", np.array([-0.5, 1.5] + [0] * 6, np.float32)), "at least 0"),
        (spoilt("values", np.full(5, 0.2, np.float32)), "are 5, not num_snippets = 8"),
        (lambda table: table.assign(teacher=["a", "a", "b", "b"] * (len(table) // 4)), "has several teachers"),
        (lambda table: table[table["kind"] == "semantic"], r"first.* has none of the queries to train on"),
        (lambda table: table.assign(query_id="x" + table["query_id"]), "use a table of the same data set"),
    ],
)
def test_tables_of_teachers_that_are_wrong_end_in_a_sentence(config, folder, edit, message):
    queries = training(config, folder)
    wrong = store.read_table(folder / "first" / "activation_maps.parquet")["split"] == "test"
    change(folder, "first", lambda table: edit(table[~wrong].reset_index(drop=True)))
    with pytest.raises(UserError, match=message):
        read(queries, folder)


def test_two_moments_of_a_query_end_in_a_sentence(folder):
    file = folder / "training_moments.parquet"
    moments = store.read_table(file)
    store.write_table(file, pd.concat([moments, moments[:1]]), small_emtm.MOMENTS, ["query_id"])
    with pytest.raises(UserError, match=r"training_moments.parquet: query .* has two rows; keep one"):
        targets.training_moments(file)


def test_queries_that_no_two_tables_share_end_in_a_sentence(config, folder):
    queries = training(config, folder)
    half = set(queries.query_ids[::2])
    change(folder, "first", lambda table: table[table["query_id"].isin(half)])
    change(folder, "second", lambda table: table[~table["query_id"].isin(half)])
    with pytest.raises(UserError, match="no query is in all of them"):
        read(queries, folder)


def test_values_of_released_tables_need_no_sum(config, folder):
    queries = training(config, folder)
    file = folder / "first" / "activation_maps.parquet"
    table = store.read_table(file)
    knowledge.write_maps(file, table.assign(values=[2 * x for x in table["values"]]), unify="released")
    assert read(queries, folder)[1].teachers[:, 0].sum(-1).max() > 1.5
