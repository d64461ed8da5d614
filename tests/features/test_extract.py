"""Stage `extract`: from a shard's frames or flow to features, whatever the videos are like."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from conftest import data
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.features import extract, i3d, networks, options, random_weights, weights
from vidistill.settings.extract import I3DSettings
from vidistill.video import frames

torch.set_num_threads(2)
SMALL = {"endpoint": "Mixed_3b", "crop": 32, "chunk": 16, "threads": 2}
FPS = 8.0
LENGTHS = {"a": 45, "b.1": 1, "c": 16}


def moving(count: int, height: int = 36, width: int = 48) -> np.ndarray:
    """(count, height, width, 3) uint8: a pattern that moves."""
    y, x = np.mgrid[:height, :width]
    return np.stack([np.stack([(x * 5 + t * 7) % 256, (y * 7) % 256, x + y + t], -1) for t in range(count)]).astype(
        np.uint8
    )


def write_frames(path: Path, videos: dict[str, np.ndarray], bad: str = "broken") -> None:
    """As stage decode does; one video more is bad."""
    with h5py.File(path, "w") as file:
        file.attrs["settings"] = "{}"
        for video_id, images in videos.items():
            group = file.create_group(store.group_name(video_id))
            frames.write(group, ((frames.encode(image, "png", 100), 1) for image in images), FPS)
            group.attrs.update(
                {
                    "video_id": video_id,
                    "status": "partial" if video_id == "c" else "ok",
                    "reason": "the file's end is missing" if video_id == "c" else "",
                    "fps": FPS,
                    "height": images.shape[1],
                    "width": images.shape[2],
                    "duration": len(images) / FPS,
                }
            )
        file.create_group(bad).attrs.update({"video_id": bad, "status": "bad", "reason": "no video stream"})


@pytest.fixture(autouse=True)
def brief_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its own tests."""
    monkeypatch.setattr(random_weights, "CLIPS", 4)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    write_frames(tmp_path / "frames.h5", {video_id: moving(count) for video_id, count in LENGTHS.items()})
    return tmp_path / "frames.h5"


@pytest.fixture
def run(config: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """The stage by its command line, with a section's settings and changes to them."""

    def called(path: Path, *more: str, extractor: str = "i3d", kind: str = "frames", **changes: Any) -> Path:
        settings = {**config[extractor], "extractor": extractor, "input": kind, "device": "cpu", **changes}
        output = tmp_path / "features" / "0.h5"
        command = ["--settings", json.dumps(settings), "--input", str(path), "--output", str(output)]
        extract.main([*command, "--work", str(tmp_path / "work"), *more])
        return output

    return called


def settings(config: dict[str, Any], **changes: Any) -> I3DSettings:
    section = {**config["i3d"], "extractor": "i3d", "input": "frames", "device": "cpu", **SMALL, **changes}
    found = options.read(json.dumps(section))
    assert isinstance(found, I3DSettings)
    return found


def test_a_shard_of_frames(run: Callable[..., Path], shard: Path) -> None:
    with h5py.File(run(shard, **SMALL)) as file:
        for video_id, count in LENGTHS.items():
            group = file[store.group_name(video_id)]
            rows = -(-count // 2)  # Mixed_3b has a vector for two frames
            assert group["features"].shape == (rows, 256)
            assert group["features"].dtype == np.float32
            assert np.isfinite(group["features"]).all()
            assert group["features"][:].std() > 0.01
            starts = np.arange(rows) * 2 / FPS
            np.testing.assert_allclose(group["times"][:, 0], starts)
            np.testing.assert_allclose(group["times"][:, 1], np.minimum(starts + 2 / FPS, count / FPS))
            assert group.attrs["duration"] == count / FPS
            assert group.attrs["fps"] == FPS
        assert file["c"].attrs["status"] == "partial"
        assert dict(file["broken"].attrs) == {"video_id": "broken", "status": "bad", "reason": "no video stream"}
        assert not list(file["broken"])
        provenance = json.loads(file.attrs["provenance"])
    assert provenance["extractor"] == "i3d"
    assert provenance["pretrained"] is False
    assert provenance["weights_sha256"] is None
    assert provenance["settings"]["endpoint"] == provenance["endpoint"] == "Mixed_3b"
    assert provenance["made_from"] == {"settings": "{}"}
    assert {"torch", "numpy", "python", "vidistill"} <= provenance["versions"].keys()


def test_equal_settings_give_equal_files(run: Callable[..., Path], shard: Path) -> None:
    first = run(shard, **SMALL).read_bytes()
    assert run(shard, **SMALL).read_bytes() == first
    assert run(shard, **SMALL, seed=1).read_bytes() != first


def test_chunks_and_batches_change_nothing(run: Callable[..., Path], shard: Path) -> None:
    def features(**changes: Any) -> np.ndarray:
        with h5py.File(run(shard, **{**SMALL, **changes})) as file:
            return file["a"]["features"][:]

    np.testing.assert_allclose(features(chunk=16), features(chunk=512), rtol=1e-3, atol=1e-3)
    windows = {"window": 8, "stride": 4}
    np.testing.assert_allclose(features(**windows, batch=1), features(**windows, batch=5), rtol=1e-3, atol=1e-3)


def test_memory_is_bounded_by_the_chunk(run: Callable[..., Path], shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths, read = [], frames.read

    def watched(group: h5py.Group, start: int, stop: int, *others: Any) -> np.ndarray:
        lengths.append(stop - start)
        return read(group, start, stop, *others)

    monkeypatch.setattr(frames, "read", watched)
    run(shard, **SMALL)
    assert max(lengths) == 16 < max(LENGTHS.values())
    assert sum(lengths) == sum(LENGTHS.values())  # each frame is read once


def test_windows_and_their_means(run: Callable[..., Path], shard: Path) -> None:
    window = {**SMALL, "window": 24, "stride": 24}
    with h5py.File(run(shard, **window)) as file:
        single = file["a"]["features"][:]
        assert file["b%2E1"]["features"].shape == (1, 256)  # of one frame, repeated
        assert file["b%2E1"]["times"][:].tolist() == [[0, 1 / FPS]]
    with h5py.File(run(shard, **window, temporal_mean=True)) as file:
        means = file["a"]["features"][:]
        assert file["a"]["times"][:].tolist() == [[0, 24 / FPS], [21 / FPS, 45 / FPS]]
    np.testing.assert_allclose(means, single.reshape(2, 12, 256).mean(1), rtol=1e-4, atol=1e-4)


def test_flow_is_read_as_its_own_kind(run: Callable[..., Path], tmp_path: Path) -> None:
    flow = np.full((20, 20, 24, 2), 127, np.uint8)
    flow[:, 5:15, 5:15, 0] = 200
    with h5py.File(tmp_path / "flow.h5", "w") as file:
        group = file.create_group("a")
        group["flow"], group["times"] = flow, np.arange(20) / FPS
        group.attrs.update({"video_id": "a", "status": "ok", "reason": "", "fps": FPS, "duration": 2.5, "bound": 20.0})
    with h5py.File(run(tmp_path / "flow.h5", kind="flow", **SMALL)) as file:
        assert file["a"]["features"].shape == (10, 256)
        assert file["a"].attrs["bound"] == 20
        assert json.loads(file.attrs["provenance"])["input"] == "flow"


def test_deepminds_weights_over_a_shard(run: Callable[..., Path], shard: Path) -> None:
    """What the stage writes is what the network says of frames in [-1, 1], the centre cropped."""
    path = data("i3d", "i3d_rgb_imagenet.to_Mixed_4d.safetensors")
    changes = {**SMALL, "endpoint": "Mixed_4d", "weights": str(path), "chunk": 512}
    with h5py.File(run(shard, "--weights", str(path), **changes)) as file:
        found = file["a"]["features"][:]
        provenance = json.loads(file.attrs["provenance"])
    assert provenance["pretrained"] is True
    assert provenance["weights_sha256"] == store.file_digest(path)
    assert "weights" not in provenance["settings"]  # its content counts, not where it lies
    network = i3d.I3D(3, "Mixed_4d")
    weights.load_into(network, path)
    x = torch.from_numpy(moving(45)[:, 2:34, 8:40]).permute(3, 0, 1, 2)[None] / 127.5 - 1
    with torch.inference_mode():
        np.testing.assert_allclose(found, network(x)[0], atol=1e-4)
    with pytest.raises(UserError, match="which --weights does not list"):
        run(shard, "--weights", **changes)


def test_an_interrupted_shard_goes_on(run: Callable[..., Path], shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    time_is_up = [True]
    whole = extract.extract

    def stopping(video_id: str, group: h5py.Group, **more: Any) -> None:
        if video_id == "c" and time_is_up.pop():
            raise KeyboardInterrupt
        made.append(video_id)
        whole(video_id, group, **more)

    monkeypatch.setattr(extract, "extract", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(shard, **SMALL)
    assert made == ["a", "b.1", "broken"]
    time_is_up[:] = [False, False]
    output = run(shard, **SMALL)
    assert made == ["a", "b.1", "broken", "c"]
    with h5py.File(output) as file:
        assert len(file) == 4
    # Other settings or other frames: nothing is used again.
    made[:] = []
    run(shard, **{**SMALL, "seed": 3})
    assert len(made) == 4


def test_a_frame_smaller_than_the_crop_stays_whole(config: dict[str, Any]) -> None:
    images = np.arange(2 * 20 * 50 * 3).reshape(2, 20, 50, 3).astype(np.uint8)
    cut = {
        crop: networks.I3DExtractor(settings(config, crop=crop), torch.device("cpu")).prepare(images)
        for crop in (16, 224, None)
    }
    np.testing.assert_array_equal(cut[16], images[:, 2:18, 17:33])
    np.testing.assert_array_equal(cut[224], images)
    np.testing.assert_array_equal(cut[None], images)


def test_features_that_do_not_fit_are_an_error_that_names_the_video(config: dict[str, Any], shard: Path) -> None:
    class Huge(networks.I3DExtractor):
        def __call__(self, parts: Iterable[np.ndarray], frames: int) -> np.ndarray:
            return super().__call__(parts, frames) + 1e6

    chosen = settings(config, dtype="float16")
    with h5py.File("huge.h5", "w", driver="core", backing_store=False) as file:
        group = file.create_group("a")
        with pytest.raises(UserError, match=r"video 'a' are not finite in float16; set dtype: float32"):
            extract.extract("a", group, path=shard, extractor=Huge(chosen, torch.device("cpu")), settings=chosen)


def test_contradictory_settings_are_one_sentence(config: dict[str, Any]) -> None:
    def read(extractor: str, **changes: Any) -> None:
        section = {"extractor": extractor, "input": "frames", "device": "cpu", **config.get(extractor, {}), **changes}
        options.read(json.dumps(section))

    for extractor, changes, said in (
        ("i3d", {"endpoint": "Mixed_6a"}, "endpoint: 'Mixed_6a' is not supported; use 'Conv3d_1a_7x7', "),
        ("i3d", {"temporal_mean": True}, r"set i3d\.window"),
        ("i3d", {"windows": 3}, "the key 'windows' is unknown"),
        ("c3d", {"input": "flow"}, "c3d reads frames, not flow"),
        ("c3d", {"weights": "c3d.pt"}, r"set without c3d\.mean"),
        ("c3d", {"endpoint": "pool5"}, "use 'fc6' or 'fc7'"),
        ("s3d", {}, "extractor is 's3d'"),
    ):
        with pytest.raises(UserError, match=said):
            read(extractor, **changes)


def test_a_damaged_input_is_one_sentence(run: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "frames.h5").write_bytes(b"no HDF5")
    with pytest.raises(UserError, match=r"frames\.h5 is not a complete HDF5 file"):
        run(tmp_path / "frames.h5", **SMALL)


@pytest.mark.whole_run
def test_c3d_over_a_shard(run: Callable[..., Path], tmp_path: Path) -> None:
    write_frames(tmp_path / "frames.h5", {"a": moving(20), "b": moving(3)})
    np.save(tmp_path / "mean.npy", np.array([90, 98, 102]))
    with h5py.File(tmp_path / "pca.h5", "w") as file:
        file["data/x_mean"], file["data/U"] = np.zeros(4096), np.eye(4096, 12)
    files = {"mean": str(tmp_path / "mean.npy"), "pca": str(tmp_path / "pca.h5")}
    output = run(tmp_path / "frames.h5", extractor="c3d", endpoint="fc6", dimension=10, dtype="float16", **files)
    with h5py.File(output) as file:
        assert file["a"]["features"].shape == (2, 10)  # the last window is shifted back
        assert file["a"]["features"].dtype == np.float16
        assert file["a"]["times"][:].tolist() == [[0, 2], [0.5, 2.5]]
        assert file["b"]["times"][:].tolist() == [[0, 3 / FPS]]
        provenance = json.loads(file.attrs["provenance"])
    assert provenance["mean_sha256"] == store.file_digest(files["mean"])
    assert provenance["pca_sha256"] == store.file_digest(files["pca"])
