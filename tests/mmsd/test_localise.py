import json

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import small_videos
from small_videos import CPU, LABELS, localised, query_id, run, section, write_queries
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.mmsd import ask, predict
from vidistill.mmsd import model as models
from vidistill.settings.localise import LocaliseSettings
from vidistill.training.loop import is_held_out

BOTH = ("rgb", "flow")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a data set, and the outputs of `mmsd` on it."""
    folder = small_videos.write(tmp_path_factory.mktemp("trained"))
    return folder, run(folder, section(), "mmsd")


def read(found):
    return store.read_table(found[0]), json.loads(found[1].read_text())


def test_test_videos_are_predicted_in_several_epochs_and_others_in_the_last(trained):
    folder, files = trained
    table, _ = read(localised(folder, files, BOTH))
    together = table[table["stream"] == "all"]
    videos = together.groupby("epoch")["video_id"].unique().map(set).to_dict()
    # v8 is of the training split and has no label, so nothing is learned from it.
    assert videos == {2: {"v0", "v3", "v6"}, 4: {"v0", "v3", "v6"}, 6: {"v0", "v3", "v6", "v8"}}
    alone = table[table["stream"] != "all"]
    assert set(alone["stream"]) == {"rgb", "flow", "fused"}
    assert set(alone["epoch"]) == {6}


def test_segments_are_within_their_video_and_the_best_is_first(trained):
    folder, files = trained
    table, _ = read(localised(folder, files, BOTH, class_threshold=0.0))
    found = table.dropna(subset="start")
    assert len(found) > 20
    for (_, _, video_id, _), rows in found.groupby(["epoch", "stream", "video_id", "label"]):
        assert rows["rank"].tolist() == list(range(len(rows)))
        assert rows["score"].is_monotonic_decreasing
        assert rows["video_score"].nunique() == 1
        assert (rows["end"] <= 10 + int(video_id[1:])).all()
        assert (rows["start"] < rows["end"]).all()


def test_every_class_has_a_video_score_in_the_last_epoch(trained):
    folder, files = trained
    table, _ = read(localised(folder, files, BOTH, class_threshold=0.9))
    last = table[(table["epoch"] == 6) & (table["stream"] == "all")]
    scores = last.drop_duplicates(["video_id", "label"])
    assert len(scores) == 4 * len(LABELS)
    assert (scores.groupby("video_id")["video_score"].sum() < 1).all()  # background has the rest
    # No class reaches the threshold, so each video has its best one.
    best = scores.loc[scores.groupby("video_id")["video_score"].idxmax()].set_index("video_id")["label"].to_dict()
    assert last.dropna(subset="start").groupby("video_id")["label"].unique().map(list).to_dict() == {
        video_id: [label] for video_id, label in best.items()
    }


def test_the_json_holds_the_segments_of_the_test_videos(trained):
    folder, files = trained
    table, found = read(localised(folder, files, BOTH))
    assert set(found) == {"version", "external_data", "results"}
    assert set(found["results"]) == {"v0", "v3", "v6"}
    last = table[(table["epoch"] == 6) & (table["stream"] == "all")].dropna(subset="start")
    for video_id, segments in found["results"].items():
        rows = last[last["video_id"] == video_id]
        expected = {(r.label, r.start, r.end, r.score) for r in rows.itertuples()}
        assert {(x["label"], *x["segment"], x["score"]) for x in segments} == expected
        assert [x["score"] for x in segments] == sorted(rows["score"], reverse=True)


def test_other_labels_of_test_videos_give_equal_predictions(trained):
    folder, files = trained
    expected = [x.read_bytes() for x in localised(folder, files, BOTH)]
    rows = [tuple(row) for row in store.read_table(folder / "queries.parquet").itertuples(index=False)]
    others = [(query_id(row[1], "fly"), *row[1:5], "fly") if row[2] == "test" else row for row in rows]
    write_queries(folder / "others.parquet", list(dict.fromkeys(others)))
    assert [x.read_bytes() for x in localised(folder, files, BOTH, queries="others.parquet")] == expected


def test_held_out_videos_are_predicted(tmp_path):
    folder = small_videos.write(tmp_path, videos=30)
    files = run(folder, section(held_out=0.3), "a")
    table, _ = read(localised(folder, files, BOTH))
    held_out = {f"v{v}" for v in range(30) if v % 3 and v != 8 and is_held_out(f"v{v}", 0.3)}
    assert held_out
    assert set(table.loc[(table["epoch"] == 2) & (table["split"] == "train"), "video_id"]) == held_out


def test_without_any_other_video_those_of_training_are_predicted(tmp_path):
    folder = small_videos.write(tmp_path, videos=7)
    rows = store.read_table(folder / "queries.parquet").assign(split="train")
    write_queries(folder / "queries.parquet", rows.to_numpy().tolist())
    table, found = read(localised(folder, run(folder, section(), "a"), BOTH))
    assert set(table["epoch"]) == {6}
    assert set(found["results"]) == {f"v{v}" for v in range(7)}


def test_a_duration_that_nobody_knows_is_an_error(trained, tmp_path):
    _, files = trained
    folder = small_videos.write(tmp_path)
    rows = store.read_table(folder / "queries.parquet").assign(duration=None)
    store.write_table(folder / "queries.parquet", rows, small_videos.QUERIES, ["query_id"])
    for stream in BOTH:
        with h5py.File(folder / f"{stream}.h5", "a") as file:
            del file["v3"].attrs["duration"]
    with pytest.raises(UserError, match=r"duration of 1 video is unknown \('v3'\)"):
        localised(folder, files, BOTH)


def test_streams_are_fused_by_their_weights(trained):
    _, files = trained
    network = models.load(files["model"]).network
    weights = predict.stream_weights({"rgb": 0.2, "flow": 0.4, "fused": 0.4}, network.heads)
    assert weights == pytest.approx([0.2, 0.4, 0.4])
    assert predict.stream_weights({"rgb": 0.2, "flow": 0.4, "fused": 0.4}, ("rgb",)) == pytest.approx([1])
    features = [np.random.default_rng(0).normal(size=(7, n)).astype(np.float32) for n in small_videos.DIMS.values()]
    with torch.no_grad():
        (video,) = network([*map(torch.from_numpy, features)], [7])
    fused = predict.fuse(video, weights)
    p = (video.scores.softmax(-1) * torch.from_numpy(weights)[:, None, None]).sum(0)[:, :3]
    attention = (video.attention * torch.from_numpy(weights)[:, None]).sum(0)
    np.testing.assert_allclose(fused.activation, (p * attention[:, None]), rtol=1e-5)
    np.testing.assert_allclose(
        fused.video_scores, (video.attended.softmax(-1).numpy() * weights[:, None]).sum(0)[:3], rtol=1e-5
    )
    with pytest.raises(UserError, match="no weight of the stream 'clip'"):
        predict.stream_weights({"rgb": 1.0}, ("rgb", "clip"))
    with pytest.raises(UserError, match="no weight; give one"):
        predict.stream_weights({"rgb": 0.0}, ("rgb",))


def test_one_video_is_answered_as_the_stage_answers(trained):
    folder, files = trained
    thresholds = {"thresholds": (0.05, 0.1, 0.2, 0.3), "class_threshold": 0.1}
    table, _ = read(localised(folder, files, BOTH, class_threshold=0.1))
    expected = table.query("epoch == 6 and stream == 'all' and video_id == 'v6'").dropna(subset="start")
    features = {}
    for stream in BOTH:
        with h5py.File(folder / f"{stream}.h5") as file:
            features[stream] = file["v6"]["features"][:]
    model = models.load(files["model"])
    settings = LocaliseSettings(device="cpu", **thresholds)
    answer = ask.ask(model, settings, features, {}, 16.0, CPU)
    assert {x.label for x in answer.classes} == set(expected["label"])
    assert [x.video_score for x in answer.classes] == sorted((x.video_score for x in answer.classes), reverse=True)
    for found in answer.classes:
        rows = expected[expected["label"] == found.label]
        np.testing.assert_allclose(found.moments, rows[["start", "end"]])
        np.testing.assert_allclose(found.scores, rows["score"])
        assert found.activation.shape == (15,)
    assert set(answer.attention) == {"rgb", "flow", "fused"}
    assert answer.times.shape == (15, 2)


def test_a_model_of_another_method_is_an_error(trained, tmp_path):
    save_file({"x": np.zeros(1)}, tmp_path / "m.safetensors", {store.MODEL_KEY: json.dumps({"settings": "{}"})})
    with pytest.raises(UserError):
        models.load(tmp_path / "m.safetensors")
