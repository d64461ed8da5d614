import dataclasses
import json

import numpy as np
import pytest
from test_train import run

import small
from small import load
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.mmdist import export, targets
from vidistill.training import knowledge, samples


@pytest.fixture(scope="module")
def taught(config, tmp_path_factory):
    """A folder with a trained teacher and what it knows."""
    folder = small.write(tmp_path_factory.mktemp("taught"))
    files = run(folder, small.train_section(config, "teacher"), "teacher")
    export_run(folder, files["model"])
    return folder


def export_run(folder, model, out=None, **changes):
    names, out = small.inputs(folder), out or folder
    settings = json.dumps({"device": "cpu", "threads": 1, **changes})
    arguments = ["--settings", settings, "--model", model, *names[:2], *names[6:]]
    outputs = ["--pseudo-labels", out / "labels.parquet", "--activation-maps", out / "maps.parquet"]
    export.main([*map(str, [*arguments, *outputs])])


def read(config, queries, labels, taught, **changes):
    return targets.read(
        queries, [labels], [taught / "maps.parquet"], small.train_settings(config, "student", **changes)
    )


def test_pseudo_labels_are_the_proposals_by_rank(taught):
    labels = store.read_table(taught / "labels.parquet")
    assert len(labels) == 20 * 3
    for _, rows in labels.groupby("query_id"):
        assert rows["rank"].tolist() == [0, 1, 2]
        assert rows["score"].is_monotonic_decreasing
    assert set(labels["stream"]) == {"fused"}
    assert set(labels["teacher"]) == {"teacher"}
    last = store.read_table(taught / "teacher" / "predictions.parquet").query("epoch == 2")
    best = last.sort_values("score", ascending=False).groupby("query_id").first()["start"]
    exported = labels[(labels["rank"] == 0) & (labels["split"] == "test")].set_index("query_id")["start"]
    np.testing.assert_allclose(exported, best[exported.index], atol=1e-5)


def test_the_fused_map_is_the_mean_of_the_streams(taught):
    maps = store.read_table(taught / "maps.parquet").query("kind == 'semantic'")
    assert len(maps) == 20 * 3
    assert set(maps["stream"]) == {"rgb", "flow", "fused"}
    assert maps["confidence"].isna().all()
    for _, rows in maps.groupby("query_id"):
        values = rows.set_index("stream")["values"]
        np.testing.assert_allclose(values["fused"], (values["rgb"] + values["flow"]) / 2, atol=1e-6)
        assert len(values["fused"]) == rows["num_snippets"].iloc[0] == 12


def test_starts_and_ends_are_those_of_the_pseudo_labels(taught):
    labels, maps = (store.read_table(taught / f"{name}.parquet") for name in ("labels", "maps"))
    found = {kind: maps[maps["kind"] == kind].set_index("query_id") for kind in ("start", "end")}
    assert set(maps["kind"]) == {"semantic", "start", "end"}
    for query, rows in labels.groupby("query_id"):
        weights = np.exp((rows["score"] - rows["score"].max()) / 0.25).to_numpy()
        seconds = 10 + int(query[1 : query.index("#")])
        for kind, shift in (("start", 0), ("end", 1)):
            at = (np.arange(12) + shift) / 12
            bells = np.exp(-((at - rows[kind].to_numpy()[:, None] / seconds) ** 2) / (2 * 0.05**2))
            expected = weights @ bells
            row = found[kind].loc[query]
            assert row["stream"] == "fused"
            assert row["num_snippets"] == 12
            np.testing.assert_allclose(row["values"], expected / expected.sum(), atol=1e-4)


def test_released_starts_and_ends_have_norm_1(taught, tmp_path):
    export_run(taught, taught / "teacher" / "model.safetensors", tmp_path, unify="released")
    maps = store.read_table(tmp_path / "maps.parquet").query("kind != 'semantic'")
    assert [np.linalg.norm(values) for values in maps["values"]] == pytest.approx([1] * 40)
    assert store.read_metadata(tmp_path / "maps.parquet")["unify"] == "released"


def test_the_tables_say_where_they_come_from(taught):
    for name in ("labels.parquet", "maps.parquet"):
        metadata = store.read_metadata(taught / name)
        assert metadata["schema_version"] == "1"
        assert metadata["dataset"] == "small"
        assert metadata["supervision"] == "weak"
        assert metadata["unify"] == "distribution"
        assert metadata["model_sha256"] == store.file_digest(taught / "teacher" / "model.safetensors")
        assert json.loads(metadata["settings"])["model"] == "teacher"


def test_exporting_twice_gives_equal_files(taught):
    before = [store.file_digest(taught / name) for name in ("labels.parquet", "maps.parquet")]
    export_run(taught, taught / "teacher" / "model.safetensors")
    assert [store.file_digest(taught / name) for name in ("labels.parquet", "maps.parquet")] == before


def test_a_student_learns_from_the_tables_alone(config, taught):
    tables = ["--pseudo-labels", taught / "labels.parquet", "--activation-maps", taught / "maps.parquet"]
    files = run(taught, small.train_section(config, "student"), "student", tables)
    history = store.read_table(files["history"])
    assert (history["distillation_local"] > 0).all()
    assert history["teacher_agreement"].between(0, 1).all()


def test_a_student_refuses_tables_of_a_supervised_teacher(config, taught, tmp_path):
    table = store.read_table(taught / "labels.parquet")
    knowledge.write_labels(tmp_path / "labels.parquet", table, supervision="full")
    tables = ["--pseudo-labels", tmp_path / "labels.parquet", "--activation-maps", taught / "maps.parquet"]
    with pytest.raises(UserError, match=r"labels\.parquet is of a teacher that was trained on moments"):
        run(taught, small.train_section(config, "student"), "refused", tables)


def test_targets_are_joined_by_query_not_by_row(config, taught, tmp_path):
    loaded = load(taught)
    shuffled = store.read_table(taught / "labels.parquet").sample(frac=1, random_state=0)
    shuffled.to_parquet(tmp_path / "labels.parquet")
    for path in (taught / "labels.parquet", tmp_path / "labels.parquet"):
        known, found = read(config, loaded, path, taught)
        assert known.query_ids == loaded.query_ids
        first = shuffled[(shuffled["rank"] == 0)].set_index("query_id").loc[loaded.query_ids]
        np.testing.assert_allclose(found.proposal[:, 0], first["center"])


def test_a_teacher_from_elsewhere_may_know_moments_alone(config, taught, tmp_path):
    labels = store.read_table(taught / "labels.parquet")
    labels[["proposal_index", "center", "width", "reconstruction_error"]] = None
    labels = labels[labels["query_id"] != "v1#0"]
    labels.to_parquet(tmp_path / "labels.parquet")
    known, found = read(config, load(taught), tmp_path / "labels.parquet", taught)
    assert len(known) == 19
    assert "v1#0" not in known.query_ids
    first = labels[labels["rank"] == 0].set_index("query_id").loc[known.query_ids]
    width = (first["end"] - first["start"]).to_numpy() / known.durations
    np.testing.assert_allclose(found.proposal[:, 1], width, atol=1e-6)
    assert (found.index == -1).all()


def test_moments_without_a_known_duration_teach_nothing(config, taught, tmp_path):
    labels = store.read_table(taught / "labels.parquet")
    labels[["center", "width"]] = None
    labels.to_parquet(tmp_path / "labels.parquet")
    loaded = load(taught)
    loaded = dataclasses.replace(loaded, durations=np.where(np.arange(len(loaded)) < 2, np.nan, loaded.durations))
    known, found = read(config, loaded, tmp_path / "labels.parquet", taught)
    assert known.query_ids == loaded.query_ids[2:]
    assert not found.proposal.isnan().any()


def test_an_index_that_the_teacher_does_not_give_is_an_error(config, taught, tmp_path):
    labels = store.read_table(taught / "labels.parquet")
    labels["proposal_index"] = None
    labels.to_parquet(tmp_path / "labels.parquet")
    tables = ["--pseudo-labels", tmp_path / "labels.parquet", "--activation-maps", taught / "maps.parquet"]
    literal = small.train_section(config, "student", distillation={"proposal": "index"})
    with pytest.raises(UserError, match=r"labels\.parquet .*the student's 3 .*set mmdist\.distillation\.proposal"):
        run(taught, literal, "student", tables)


def test_maps_of_another_length_are_resampled_like_features(config, taught):
    same = read(config, load(taught), taught / "labels.parquet", taught)[1].maps.numpy()
    for snippets in (24, 5):
        loaded = load(taught, snippets=snippets)
        found = read(config, loaded, taught / "labels.parquet", taught, snippets=snippets)[1].maps
        np.testing.assert_array_equal(found, [samples.resample(row[:, None], snippets, "none")[:, 0] for row in same])


@pytest.mark.parametrize(
    ("level", "tables", "learned", "left_out"),
    [
        ("local_level", ["--pseudo-labels", "labels.parquet"], "distillation_global", "distillation_local"),
        ("global_level", ["--activation-maps", "maps.parquet"], "distillation_local", "distillation_global"),
    ],
)
def test_a_student_asks_for_no_table_that_it_does_not_learn_from(config, taught, level, tables, learned, left_out):
    section = small.train_section(config, "student", distillation={level: False})
    files = run(taught, section, f"without {level}", [tables[0], taught / tables[1]])
    columns = store.read_table(files["history"]).columns
    assert learned in columns
    assert left_out not in columns


def test_a_table_that_a_student_needs_is_asked_for(config, taught):
    with pytest.raises(UserError, match="--activation-maps, 1 in all, not 0"):
        run(
            taught,
            small.train_section(config, "student"),
            "half",
            ["--pseudo-labels", taught / "labels.parquet"],
        )
