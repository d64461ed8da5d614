import json
import subprocess
import sys

import h5py
import pytest
import torch

import small
from conftest import ROOT
from vidistill.base import store
from vidistill.data import vocabulary
from vidistill.data.queries import QUERIES
from vidistill.mmdist import batch, train
from vidistill.mmdist import model as models
from vidistill.training import loop
from vidistill.training.checkpoint import Checkpoint, open_checkpoint
from vidistill.training.predictions import nothing


def run(folder, section, name, extra=()):
    """The stage as the workflow runs it, in this process; its outputs."""
    out = folder / name
    files = {"model": "model.safetensors", "history": "history.parquet", "predictions": "predictions.parquet"}
    outputs = [x for option, file in files.items() for x in (f"--{option}", str(out / file))]
    arguments = [
        "--settings",
        json.dumps(section),
        *small.inputs(folder),
        *outputs,
        "--work",
        str(out / "work"),
        *extra,
    ]
    train.main([*map(str, arguments)])
    return {key: out / file for key, file in files.items()}


def test_equal_runs_give_equal_files(config, tmp_path):
    folder = small.write(tmp_path)
    first, second = (run(folder, small.train_section(config), name) for name in ("a", "b"))
    for key in first:
        assert store.file_digest(first[key]) == store.file_digest(second[key]), key
    other = run(folder, small.train_section(config, seed=1), "c")
    assert store.file_digest(first["predictions"]) != store.file_digest(other["predictions"])


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(config, tmp_path, stopped_after):
    folder = small.write(tmp_path)
    section = small.train_section(config, optimisation={"epochs": 4})
    expected = run(folder, section, "undisturbed")
    trained = stopped_after(2)
    with pytest.raises(KeyboardInterrupt):
        run(folder, section, "stopped")
    assert not (folder / "stopped" / "model.safetensors").exists()
    found = run(folder, section, "stopped")
    assert trained == [1, 2, 3, 4]
    assert not (folder / "stopped" / "work").exists()
    for key in expected:
        assert store.file_digest(found[key]) == store.file_digest(expected[key]), key


def test_progress_of_other_settings_is_not_taken_up(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = small.write(tmp_path)
    network = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(network.parameters())
    predictions = nothing()
    Checkpoint(folder / "work", "a").advance(network, optimiser, {"epoch": 1}, predictions)
    assert open_checkpoint(folder / "work", "a").epoch == 1
    assert open_checkpoint(folder / "work", "b").epoch == 0
    assert "other settings" in caplog.text


def test_a_damaged_checkpoint_is_not_taken_up(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "checkpoint.pt").write_bytes(b"half a checkpoint")
    assert open_checkpoint(tmp_path / "work", "a").epoch == 0


def test_training_learns(config, tmp_path):
    folder = small.write(tmp_path)
    section = small.train_section(config, optimisation={"epochs": 30, "learning_rate": 0.003})
    history = store.read_table(run(folder, section, "a")["history"])
    assert history["loss"].iloc[-1] < 0.7 * history["loss"].iloc[0]


@pytest.mark.long
def test_compiled_stacks_train_as_others_do(config, tmp_path):
    folder = small.write(tmp_path)
    losses = []
    for compiled in (False, True):
        section = small.train_section(config, network={"dropout": 0.0}, compile=compiled)
        files = run(folder, section, str(compiled))
        losses.append(store.read_table(files["history"])["loss"].to_list())
        models.load(files["model"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_held_out_videos_are_not_trained_on_and_their_loss_is_kept(config, tmp_path):
    folder = small.write(tmp_path, videos=40)
    files = run(folder, small.train_section(config, held_out=0.3), "a")
    predictions = store.read_table(files["predictions"])
    assert {"train", "test"} == set(predictions["split"])
    held = {q.split("#")[0] for q in predictions.loc[predictions["split"] == "train", "query_id"]}
    assert all(loop.is_held_out(v, 0.3) for v in held)
    assert store.read_table(files["history"])["held_out_loss"].notna().all()
    without = store.read_table(run(folder, small.train_section(config), "b")["history"])
    assert without["held_out_loss"].isna().all()


@pytest.mark.parametrize(
    ("splits", "each_epoch", "at_last"),
    [
        ({"test": "train"}, set(), {"train"}),  # videos and sentences alone
        ({"test": "val"}, set(), {"val"}),
        ({}, {"test"}, {"test"}),
    ],
)
def test_every_sentence_is_predicted_that_is_not_learned_from(config, tmp_path, splits, each_epoch, at_last):
    folder = small.write(tmp_path)
    queries = store.read_table(folder / "queries.parquet").replace({"split": splits})
    store.write_table(folder / "queries.parquet", queries, QUERIES, ["query_id"])
    predictions = store.read_table(run(folder, small.train_section(config), "a")["predictions"])
    assert set(predictions.loc[predictions["epoch"] == 1, "split"]) == each_epoch
    last = predictions[predictions["epoch"] == 2]
    assert set(last["split"]) == at_last
    assert set(last["query_id"]) == set(queries.loc[queries["split"].isin(at_last), "query_id"])


def test_test_videos_that_are_all_bad_stop_no_training(config, tmp_path):
    folder = small.write(tmp_path)
    queries = store.read_table(folder / "queries.parquet")
    with h5py.File(folder / "rgb.h5", "a") as file:
        for video in set(queries.loc[queries["split"] == "test", "video_id"]):
            del file[video]["features"]
    predictions = store.read_table(run(folder, small.train_section(config), "a")["predictions"])
    assert set(predictions["split"]) == {"train"}


def test_a_loss_that_is_not_finite_stops_with_a_sentence(config, tmp_path):
    folder = small.write(tmp_path)
    section = small.train_section(config, optimisation={"learning_rate": 1e30, "epochs": 5})
    with pytest.raises(train.UserError, match=r"the loss of baseline, seed 0 is .* lower"):
        run(folder, section, "a")


def test_a_duration_that_nobody_knows_is_said_before_training(config, tmp_path):
    small.write(tmp_path)
    queries = store.read_table(tmp_path / "queries.parquet").assign(duration=None)
    store.write_table(tmp_path / "queries.parquet", queries, QUERIES, ["query_id"])
    with h5py.File(tmp_path / "rgb.h5", "a") as file:
        del file["v3"].attrs["duration"], file["v4"].attrs["duration"]  # of test, of train
    with pytest.raises(train.UserError, match=r"duration of 1 video is unknown \('v3'\)"):
        run(tmp_path, small.train_section(config), "undated")


def test_the_model_says_how_it_was_made(config, tmp_path):
    folder = small.write(tmp_path)
    files = run(folder, small.train_section(config), "a")
    _, metadata = models.load(files["model"])
    assert json.loads(metadata["settings"])["optimisation"]["epochs"] == 2
    assert json.loads(metadata["features"])["rgb"]["pretrained"] is False
    assert "person" in metadata["vocabulary"]


@pytest.mark.whole_run
def test_the_stage_runs_by_hand(config, tmp_path):
    folder = small.write(tmp_path)
    section = small.train_section(config, optimisation={"epochs": 1})
    outputs = [
        "--model",
        folder / "m",
        "--history",
        folder / "h",
        "--predictions",
        folder / "p",
        "--work",
        folder / "w",
    ]
    command = [
        sys.executable,
        "-m",
        "vidistill.mmdist.train",
        "--settings",
        json.dumps(section),
        *small.inputs(folder),
        *outputs,
    ]
    done = subprocess.run(command, cwd=ROOT / "workflow", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "epoch 1 of 1" in done.stderr
    loaded = batch.load(
        folder / "queries.parquet",
        vocabulary.load(folder / "vocabulary.json"),
        [[folder / "rgb.h5"]],
        splits=["test"],
        snippets=12,
        normalise="none",
    )
    assert len(store.read_table(folder / "p")) == 3 * len(loaded)
