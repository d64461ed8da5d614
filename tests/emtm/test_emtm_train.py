"""The stage `train` of EMTM, whole."""

import json

import numpy as np
import pytest
import torch

import small
import small_emtm
from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data import vocabulary
from vidistill.emtm import ask, predict, train
from vidistill.emtm import model as models
from vidistill.settings.emtm import TrainSettings
from vidistill.training import knowledge, loop
from vidistill.training.checkpoint import Checkpoint

TAUGHT = {"teachers": ["first", "second"]}


@pytest.fixture
def folder(tmp_path):
    return small_emtm.write(tmp_path)


def run(folder, section, name, extra=None):
    """The stage as the workflow runs it, in this process; its outputs."""
    out = folder / name
    files = {"model": "model.safetensors", "history": "history.parquet", "predictions": "predictions.parquet"}
    outputs = [x for option, file in files.items() for x in (f"--{option}", out / file)]
    maps = [folder / teacher / "activation_maps.parquet" for teacher in section["teachers"]]
    if extra is None:
        extra = ["--training-moments", folder / "training_moments.parquet"]
    settings = ["--settings", json.dumps(section)]
    words = [*settings, *small.inputs(folder), "--activation-maps", *maps, *outputs, "--work", out / "work", *extra]
    train.main([*map(str, words)])
    return {key: out / file for key, file in files.items()}


def digests(files):
    return {key: store.file_digest(file) for key, file in files.items()}


def test_equal_runs_give_equal_files_whatever_the_order_of_rows(config, folder):
    section = small_emtm.train_section(config, **TAUGHT)
    first = run(folder, section, "a")
    random = np.random.default_rng(0)
    for name in TAUGHT["teachers"]:
        file = folder / name / "activation_maps.parquet"
        table = store.read_table(file)
        schema = knowledge.ACTIVATION_MAPS
        store.write_table(file, table.iloc[random.permutation(len(table))].assign(stream="fused"), schema, ["stream"])
    again = run(folder, section, "b")
    assert digests(first) == digests(again)
    other = run(folder, small_emtm.train_section(config, **TAUGHT, seed=1), "c")
    assert store.file_digest(other["predictions"]) != store.file_digest(first["predictions"])


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(config, folder, stopped_after):
    section = small_emtm.train_section(config, **TAUGHT, optimisation={"epochs": 4, "slow_epochs": 1})
    expected = run(folder, section, "undisturbed")
    trained = stopped_after(2)
    with pytest.raises(KeyboardInterrupt):
        run(folder, section, "stopped")
    assert digests(run(folder, section, "stopped")) == digests(expected)
    assert trained == [1, 2, 3, 4]


def test_other_moments_or_teachers_begin_anew(config, folder, monkeypatch, caplog):
    caplog.set_level("INFO")
    section = small_emtm.train_section(config, **TAUGHT)
    write = Checkpoint.write

    def stop(*_):
        raise KeyboardInterrupt

    for name in ("training_moments.parquet", "second/activation_maps.parquet"):
        monkeypatch.setattr(Checkpoint, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder, section, name.partition(".")[0])
        table = store.read_table(folder / name)
        if "start" in table:
            store.write_table(folder / name, table.assign(start=0.0), small_emtm.MOMENTS, ["query_id"])
        else:
            knowledge.write_maps(folder / name, table.assign(num_snippets=16), unify="distribution", note="other")
        monkeypatch.setattr(Checkpoint, "write", write)
        caplog.clear()
        run(folder, section, name.partition(".")[0])
        assert "starts from the beginning" in caplog.text


@pytest.mark.parametrize("network", ["student", "seqpan", "map2d"])
def test_every_network_learns(config, folder, network):
    section = small_emtm.train_section(config, network=network, optimisation={"epochs": 12, "learning_rate": 0.003})
    files = run(folder, section, "a")
    history = store.read_table(files["history"])
    assert history["loss"].iloc[-1] < 0.95 * history["loss"].iloc[0]
    assert history["held_out_loss"].isna().all()
    predictions = store.read_table(files["predictions"])
    assert set(predictions["split"]) == {"test"}
    assert predictions["reconstruction_error"].isna().all()
    assert (predictions.groupby(["epoch", "query_id"]).size() == 5).all()
    assert (predictions["start"] < predictions["end"]).all()
    best = predictions.sort_values("score").groupby(["epoch", "query_id"])["proposal_index"].last()
    assert (best == 0).all()


def test_the_model_holds_what_predicts_and_nothing_else(config, folder):
    files = run(folder, small_emtm.train_section(config, **TAUGHT), "a")
    network, metadata = models.load(files["model"])
    assert metadata["method"] == "emtm"
    assert not [name for name in network.state_dict() if not name.startswith(("shared.", "branch."))]
    assert not [name for name in network.state_dict() if "dual" in name]
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    d, characters = 16, len(json.loads(metadata["characters"])) + 1
    # 16 numbers in a word vector, which are learned with the network here
    expected = 26 * d**2 + (12 + 518 + 24) * d + (300 + characters) * 6 + 406 - 284 * d - 284
    words = network.shared.query.words.numel()
    assert trainable == expected + words * network.shared.query.words.requires_grad
    last = store.read_table(files["predictions"]).query("epoch == 2").set_index("query_id")
    queries = store.read_table(folder / "queries.parquet").set_index("query_id")
    s = settings_module.parse(TrainSettings, metadata["settings"])
    known = vocabulary.loads(metadata["vocabulary"])
    import h5py

    for query in last.index.unique()[:3]:
        about, expected = queries.loc[query], last.loc[query].sort_values("proposal_index")
        with h5py.File(folder / "rgb.h5") as file:
            features = ask.resampled(s, {"rgb": file[about["video_id"]]["features"][:]})
        asked = [about["sentence"], "a person walks"]
        where = torch.device("cpu")
        found = {
            answer.row: answer
            for answer in ask.ask(network, s, known, json.loads(metadata["characters"]), features, asked, where)
        }
        assert set(found) == {0, 1}
        seconds = found[0].moments * about["duration"]
        np.testing.assert_allclose(seconds, expected[["start", "end"]], atol=1e-4)
        np.testing.assert_allclose(found[0].score, expected["score"], rtol=1e-4)


def test_pseudo_labels_are_learned_in_place_of_moments(config, folder):
    section = small_emtm.train_section(config, **TAUGHT, supervision="pseudo", labels="first")
    files = run(folder, section, "a", ["--labels", folder / "first" / "pseudo_labels.parquet"])
    history = store.read_table(files["history"])
    assert {"distillation", "isomorphic_location"} <= set(history.columns)
    assert "aggregation" not in history.columns
    full = run(folder, small_emtm.train_section(config, **TAUGHT, distillation={"aggregation": "mean"}), "b")
    # The labels are the moments here.
    np.testing.assert_allclose(history["loss"], store.read_table(full["history"])["loss"], rtol=1e-5)


def test_a_pseudo_model_refuses_tables_of_a_supervised_teacher(config, folder):
    """Of a teacher from elsewhere, which the configuration knows nothing of."""
    section = small_emtm.train_section(config, **TAUGHT, supervision="pseudo", labels="first")
    path = folder / "first" / "pseudo_labels.parquet"
    knowledge.write_labels(path, store.read_table(path), supervision="full")
    with pytest.raises(UserError, match=r"pseudo_labels\.parquet is of a teacher that was trained on moments"):
        run(folder, section, "a", ["--labels", path])


def test_the_hard_loss_of_held_out_videos_is_kept(config, folder):
    small_emtm.write(folder, videos=30)
    section = small_emtm.train_section(config, held_out=0.3)
    files = run(folder, section, "a")
    predictions = store.read_table(files["predictions"])
    assert {"train", "test"} == set(predictions["split"])
    held = {q.split("#")[0] for q in predictions.loc[predictions["split"] == "train", "query_id"]}
    assert all(loop.is_held_out(video, 0.3) for video in held)
    history = store.read_table(files["history"])
    assert history["held_out_loss"].notna().all()
    assert history["held_out_loss"].nunique() == 2


@pytest.mark.parametrize(
    ("changes", "extra", "message"),
    [
        ({}, [], "supervision: full; give --training-moments"),
        ({}, ["--training-moments", "a", "--labels", "b"], "and no other labels"),
        ({"supervision": "pseudo"}, ["--training-moments", "a"], "supervision: pseudo; give --labels"),
        ({"network": "seqpan", **TAUGHT}, None, "which no teacher teaches"),
        ({"student": {"heads": 5}}, None, r"5 heads do not divide emtm\.student\.dim 16"),
        ({"words": 13}, None, r"emtm\.words 13 is above emtm\.snippets 12"),
    ],
)
def test_what_does_not_fit_together_ends_in_a_sentence(config, folder, changes, extra, message):
    with pytest.raises(UserError, match=message):
        run(folder, small_emtm.train_section(config, **changes), "a", extra)


def test_a_missing_table_of_a_teacher_ends_in_a_sentence(config, folder):
    section = small_emtm.train_section(config) | {"teachers": ["first", "second"]}
    with pytest.raises(UserError, match="has 2 teachers, and --activation-maps 0 files"):
        run(folder, section | {"teachers": ["first", "second"]}, "a", ["--training-moments", "x", "--activation-maps"])


def test_another_file_is_no_model(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"model\.safetensors is not a model"):
        models.load(tmp_path / "model.safetensors")


def test_neither_batch_nor_order_matters(config, folder, monkeypatch):
    files = run(folder, small_emtm.train_section(config), "a")
    monkeypatch.setattr(predict, "BATCH", 3)
    again = run(folder, small_emtm.train_section(config), "b")
    first, second = (store.read_table(x["predictions"]) for x in (files, again))
    np.testing.assert_allclose(first["score"], second["score"], rtol=1e-4)
    np.testing.assert_allclose(first[["start", "end"]], second[["start", "end"]], atol=1e-4)
