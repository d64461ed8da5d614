import json

import h5py
import numpy as np
import pytest

import small_videos
from small_videos import NAMED, query_id, run, section, write_queries
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.mmsd import model as models
from vidistill.mmsd import snapshots
from vidistill.training import knowledge, loop


def digests(files):
    return {key: store.file_digest(path) for key, path in files.items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a data set, and the outputs of `mmsd` on it."""
    folder = small_videos.write(tmp_path_factory.mktemp("trained"))
    return folder, run(folder, section(), "mmsd")


def test_equal_runs_give_equal_files(trained):
    folder, files = trained
    assert digests(run(folder, section(), "again")) == digests(files)
    assert digests(run(folder, section(seed=1), "other"))["model"] != digests(files)["model"]


def test_the_rate_falls_once(tmp_path):
    folder = small_videos.write(tmp_path)
    history = store.read_table(run(folder, section(), "a")["history"]).set_index("epoch")
    assert history["learning_rate"].to_dict() == pytest.approx(
        {1: 0.003, 2: 0.003, 3: 0.003, 4: 0.003, 5: 0.0006, 6: 0.0006}
    )


@pytest.mark.parametrize("epochs", [1, 2, 3, 6])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(trained, stopped_after, epochs):
    folder, files = trained
    name = f"stopped-{epochs}"
    stopped_after(epochs)
    with pytest.raises(KeyboardInterrupt):
        run(folder, section(), name)
    found = run(folder, section(), name)
    assert digests(found) == digests(files)
    assert not (folder / name / "work").exists()


def test_flipped_labels_of_the_first_round_change_the_second_and_nothing_before(trained, stopped_after):
    folder, files = trained
    stopped_after(2)
    with pytest.raises(KeyboardInterrupt):
        run(folder, section(), "flipped")
    table = folder / "flipped" / "work" / "round-001.parquet"
    rows = store.read_table(table)
    labels = rows["kind"] == "pseudo_label"
    rows.loc[labels, "values"] = rows.loc[labels, "values"].map(lambda x: 1 - x)
    knowledge.write_maps(table, rows)
    found = run(folder, section(), "flipped")
    before, after = (store.read_table(x["history"]).set_index("epoch") for x in (files, found))
    assert before.loc[:2].equals(after.loc[:2])
    assert (before.loc[3:, "loss"] != after.loc[3:, "loss"]).all()
    before, after = (
        store.read_table(x["activation-maps"]).query("kind == 'foreground'").set_index("round")["values"]
        for x in (files, found)
    )
    assert all(map(np.array_equal, before[1], after[1]))
    assert not any(map(np.array_equal, before[2], after[2]))


def test_shuffled_rows_of_queries_change_nothing(trained):
    folder, files = trained
    store.read_table(folder / "queries.parquet").sample(frac=1, random_state=0).to_parquet(folder / "shuffled.parquet")
    assert digests(run(folder, section(), "shuffled", queries="shuffled.parquet")) == digests(files)


def test_other_labels_of_test_videos_change_nothing(trained):
    folder, files = trained
    rows = [tuple(row) for row in store.read_table(folder / "queries.parquet").itertuples(index=False)]
    others = [(query_id(row[1], "fly"), *row[1:5], "fly") if row[2] == "test" else row for row in rows]
    write_queries(folder / "others.parquet", list(dict.fromkeys(others)))
    assert digests(run(folder, section(), "others", queries="others.parquet")) == digests(files)


def test_the_maps_have_all_rounds_and_kinds(trained):
    _, files = trained
    maps = store.read_table(files["activation-maps"])
    assert maps.groupby("kind")["round"].unique().map(list).to_dict() == {
        "foreground": [1, 2, 3],
        "pseudo_label": [1, 2, 3],
        "semantic": [3],
    }
    assert set(maps["teacher"]) == {"mmsd"}
    assert set(maps["split"]) == {"train"}
    assert "v8" not in set(maps["video_id"])
    semantic = knowledge.maps([files["activation-maps"]])  # as students read it
    assert semantic.index.get_level_values("query_id").nunique() == len(semantic) == 8
    assert all(np.abs(values).max() <= 1 for values in semantic["values"])
    assert semantic["confidence"].isna().all()
    metadata = store.read_metadata(files["activation-maps"])
    assert metadata["model_sha256"] == store.file_digest(files["model"])
    assert json.loads(metadata["settings"])["model"] == "mmsd"


def test_the_last_round_alone_may_be_kept(trained):
    folder, files = trained
    last = run(folder, section(pseudo_labels={"keep_rounds": "last"}), "last")
    maps, expected = (store.read_table(x["activation-maps"]) for x in (last, files))
    assert set(maps["round"]) == {3}
    assert len(maps) == (expected["round"] == 3).sum()


def test_pseudo_labels_are_the_segments_of_a_querys_class(trained):
    _, files = trained
    labels = store.read_table(files["pseudo-labels"])
    assert set(labels["stream"]) == {"fused"}
    for found, rows in labels.groupby("query_id"):
        assert rows["rank"].tolist() == list(range(len(rows)))
        assert rows["score"].is_monotonic_decreasing
        duration = 10 + int(found.split("#")[0][1:])
        assert ((rows["start"] >= 0) & (rows["start"] < rows["end"]) & (rows["end"] <= duration)).all()
    assert labels[["proposal_index", "center", "width", "reconstruction_error"]].isna().all().all()
    # Two labels of a video have segments of their own.
    one, other = (
        knowledge.labels([files["pseudo-labels"]]).loc["mmsd"].loc[query_id("v1", x)] for x in ("jump", "run")
    )
    assert one["score"] != other["score"]


@pytest.mark.parametrize("model", [name for name in NAMED if name not in ("mmsd", "mmsd-student")])
def test_each_named_model_is_trained(trained, model):
    folder, _ = trained
    files = run(folder, section(model), model)
    history = store.read_table(files["history"])
    assert history["loss"].notna().all()
    assert ("pseudo_label" in history) == (model not in ("mmsd-no-pseudo", "mmsd-base"))
    heads = {"mmsd-rgb": {"rgb"}, "mmsd-flow": {"flow"}, "mmsd-fused": {"fused"}}.get(model, {"rgb", "flow", "fused"})
    assert set(store.read_table(files["activation-maps"])["stream"]) == heads
    if "pseudo_label" in history:
        assert history["pseudo_label"].isna().tolist() == [True, True, False, False, False, False]


def test_a_student_learns_from_its_teachers_last_pseudo_labels(trained):
    folder, files = trained
    maps = store.read_table(files["activation-maps"])
    maps = maps[maps["video_id"] != "v4"]
    knowledge.write_maps(folder / "teacher.parquet", maps)
    student = section("mmsd-student", pseudo_labels={"reliable": 0.0})
    found = run(folder, student, "student", [folder / "teacher.parquet"])
    history = store.read_table(found["history"])
    assert history["pseudo_label"].notna().all()
    assert "v4" not in set(store.read_table(found["activation-maps"])["video_id"])
    flipped = (maps["kind"] == "pseudo_label") & (maps["round"] < 3)
    maps.loc[flipped, "values"] = maps.loc[flipped, "values"].map(lambda x: 1 - x)
    knowledge.write_maps(folder / "flipped.parquet", maps)
    same = run(folder, student, "student-of-flipped", [folder / "flipped.parquet"])
    assert digests(same)["model"] == digests(found)["model"]
    with pytest.raises(UserError, match="needs --teacher-maps of 1 teachers, not 0"):
        run(folder, student, "alone")
    with pytest.raises(UserError, match="pseudo labels of none of the videos"):
        run(folder, section("mmsd-student", distillation={"streams": ["clip"]}), "x", [folder / "teacher.parquet"])


def test_held_out_videos_are_not_trained_on_and_their_loss_is_kept(tmp_path):
    folder = small_videos.write(tmp_path, videos=30)
    files = run(folder, section(held_out=0.3), "a")
    trained_on = set(store.read_table(files["activation-maps"])["video_id"])
    train_videos = {f"v{v}" for v in range(30) if v % 3 and v != 8}
    assert trained_on == {v for v in train_videos if not loop.is_held_out(v, 0.3)} < train_videos
    assert store.read_table(files["history"])["held_out_loss"].notna().all()


def test_the_weights_of_earlier_epochs_are_kept(trained):
    _, files = trained
    kept = dict(snapshots.read(files["snapshots"]))
    assert list(kept) == [2, 4]
    last = models.load(files["model"]).network.state_dict()
    assert kept[2].keys() == last.keys()
    assert not kept[4]["centers"].equal(last["centers"])


def test_a_model_says_how_it_was_made(trained):
    _, files = trained
    model = models.load(files["model"])
    assert model.classes == small_videos.LABELS
    assert model.settings.pseudo_labels.every == 2
    assert json.loads(model.metadata["features"])["rgb"]["pretrained"] is False


def test_a_split_to_train_on_is_none_to_test_on(trained):
    folder, _ = trained
    with pytest.raises(UserError, match="labels of the split test are refused"):
        run(folder, section(train_splits=["train", "test"]), "refused")


def test_a_video_that_is_bad_is_left_out(tmp_path):
    folder = small_videos.write(tmp_path)
    with h5py.File(folder / "flow.h5", "a") as file:
        del file["v4"]["features"]
        file["v4"].attrs.update(status="bad", reason="truncated")
    assert "v4" not in set(store.read_table(run(folder, section(), "a")["activation-maps"])["video_id"])
    with h5py.File(folder / "flow.h5", "a") as file:
        for video_id in ("v1", "v2", "v5", "v7"):
            del file[video_id]["features"]
    with pytest.raises(UserError, match="no video of train with a label has features"):
        run(folder, section(), "b")


def test_training_learns(tmp_path):
    folder = small_videos.write(tmp_path)
    about = section(optimisation={"epochs": 20, "step_epoch": 20}, pseudo_labels={"every": 10})
    history = store.read_table(run(folder, about, "a")["history"])
    assert history["classification"].iloc[-1] < 0.8 * history["classification"].iloc[0]
