"""Features that a user has: every form gives the same file, and whatever is wrong names the video."""

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from conftest import data, parse
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.features import external, feature_files
from vidistill.features.external import ExternalSettings, convert, read_ids, temporal_difference
from vidistill.features.feature_names import match

DRAW = np.random.default_rng(0)
FEATURES = {"v_a": DRAW.normal(size=(5, 6)).astype(np.float32), "v.b": DRAW.normal(size=(1, 6)).astype(np.float32)}


def as_hdf5(folder: Path, features: dict[str, np.ndarray]) -> Path:
    with h5py.File(folder / "features.h5", "w") as file:
        for video_id, values in features.items():
            file[video_id] = values
    return folder / "features.h5"


def as_groups(folder: Path, features: dict[str, np.ndarray]) -> Path:
    return as_hdf5(folder, {f"{video_id}/c3d_features": values for video_id, values in features.items()})


def as_npy(folder: Path, features: dict[str, np.ndarray]) -> Path:
    for video_id, values in features.items():
        np.save(folder / f"{video_id}.npy", values)
    return folder


def as_npz(folder: Path, features: dict[str, np.ndarray]) -> Path:
    for video_id, values in features.items():
        np.savez(folder / f"{video_id}.npz", features=values)
    return folder


def as_own(folder: Path, features: dict[str, np.ndarray]) -> Path:
    """Two shards, a video each."""
    for shard, (video_id, values) in enumerate(features.items()):
        with h5py.File(folder / f"{shard}.h5", "w") as file:
            file.attrs["provenance"] = json.dumps({"extractor": "i3d", "pretrained": True})
            group = file.create_group(store.group_name(video_id))
            group.attrs.update({"video_id": video_id, "status": "ok", "reason": "", "duration": 9.0})
            group["features"], group["times"] = values, np.full((len(values), 2), 1.5)
    return folder


FORMS: dict[str, Callable[[Path, dict[str, np.ndarray]], Path]] = {
    "hdf5": as_hdf5,
    "groups": as_groups,
    "npy_folder": as_npy,
    "npz_folder": as_npz,
    "own": as_own,
}


@pytest.fixture
def run(config: dict[str, Any], tmp_path: Path) -> Callable[..., h5py.File]:
    """Convert features written by one of `FORMS`; the output, open."""
    opened = []

    def converted(form: str, ids: list[str], features: dict[str, np.ndarray] = FEATURES, **changes: Any) -> h5py.File:
        (tmp_path / "source").mkdir(exist_ok=True)
        source = FORMS[form](tmp_path / "source", features)
        convert(source, ids, tmp_path / "out.h5", parse(ExternalSettings, config["external"], **changes))
        opened.append(h5py.File(tmp_path / "out.h5", "r"))
        return opened[-1]

    yield converted
    for file in opened:
        file.close()


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(run: Callable[..., h5py.File], form: str, stated: bool) -> None:
    named = {"groups": "hdf5"}.get(form, form)
    file = run(form, list(FEATURES), **({"format": named} if stated else {}))
    for video_id, values in FEATURES.items():
        group = file[store.group_name(video_id)]
        assert dict(group.attrs)["video_id"] == video_id
        assert group.attrs["status"] == "ok"
        assert group["features"].dtype == np.float32
        np.testing.assert_array_equal(group["features"], values)
        assert group["times"].shape == (len(values), 2)
        # Nothing is known of times, unless this project made the features.
        assert np.isnan(group["times"]).all() if form != "own" else (group["times"][:] == 1.5).all()
        assert group.attrs.get("duration") == (9.0 if form == "own" else None)
    provenance = json.loads(file.attrs["provenance"])
    assert provenance["extractor"] == "external"
    assert provenance["pretrained"] is (True if form == "own" else None)


@pytest.mark.parametrize("shape", [(5, 6), (1, 6), (5, 1, 1, 6), (5, 6, 1, 1), (1, 1, 6)])
@pytest.mark.parametrize("form", FORMS)
def test_the_width_is_known_beforehand(tmp_path: Path, form: str, shape: tuple[int, ...]) -> None:
    source = FORMS[form](tmp_path, {"v_a": np.zeros(shape, np.float32)})
    assert feature_files.width(str(source), "auto", None, {"a", "b"}) == 6


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_video_is_left_out(
    run: Callable[..., h5py.File], form: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = run(form, ["v_a", "absent", ".", "../v_a"])
    for video_id in ("absent", ".", "../v_a"):
        assert store.group_name(video_id) not in file
    assert file["v_a"].attrs["status"] == "ok"
    assert "lacks 3 videos" in caplog.text


def test_a_video_that_this_project_found_bad_stays_so(config: dict[str, Any], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "0.h5", "w") as file:
        file.create_group("a").attrs.update({"video_id": "a", "status": "bad", "reason": "no frames"})
    convert(tmp_path / "0.h5", ["a"], tmp_path / "out.h5", parse(ExternalSettings, config["external"]))
    with h5py.File(tmp_path / "out.h5") as file:
        assert dict(file["a"].attrs) == {"video_id": "a", "status": "bad", "reason": "no frames"}
        assert not list(file["a"])


@pytest.mark.parametrize(
    ("shape", "expected"), [((5, 1, 1, 6), (5, 6)), ((1, 5, 6), (5, 6)), ((5, 6, 1, 1), (5, 6)), ((1, 1, 1, 6), (1, 6))]
)
def test_singleton_axes_are_dropped(
    run: Callable[..., h5py.File], shape: tuple[int, ...], expected: tuple[int, int]
) -> None:
    values = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    file = run("npy_folder", ["a"], {"a": values})
    np.testing.assert_array_equal(file["a/features"], values.reshape(expected))


def spoilt(row: int, value: float) -> np.ndarray:
    values = FEATURES["v_a"].copy()
    values[row, 2] = value
    return values


@pytest.mark.parametrize(
    ("values", "changes", "said"),
    [
        (spoilt(3, np.nan), {}, "not finite or too large for float32 in 1 row (first: 3)"),
        (spoilt(0, np.inf), {}, "not finite"),
        (spoilt(0, 1e5), {"dtype": "float16"}, "too large for float16"),
        (np.zeros((5, 7)), {"dimension": 6}, "have 7 dimensions instead of 6;"),
        (np.zeros((6, 5)), {"dimension": 6}, "they seem to be transposed"),
        (np.zeros(6), {}, "float64 of shape (6,)"),
        (np.zeros((2, 3, 4)), {}, "float64 of shape (2, 3, 4)"),
        (np.zeros((0, 6)), {}, "of shape (0, 6)"),
        (np.array([["x", "y"]]), {}, "are <U1 of shape (1, 2)"),
        (np.array([[{}]]), {}, "features of video 'v_z' are damaged (Object arrays cannot be loaded"),
    ],
)
def test_wrong_values_are_errors_that_name_the_video(
    run: Callable[..., h5py.File], tmp_path: Path, values: np.ndarray, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        run("npy_folder", ["v_z"], {"v_z": values}, **changes)
    assert "'v_z'" in str(caught.value)
    assert not (tmp_path / "out.h5").exists()


def test_all_videos_have_one_dimension(run: Callable[..., h5py.File]) -> None:
    with pytest.raises(UserError, match=r"video 'b' have 7 dimensions instead of 6"):
        run("hdf5", ["a", "b"], {"a": np.zeros((5, 6)), "b": np.zeros((5, 7))})


def test_which_array_of_several(run: Callable[..., h5py.File]) -> None:
    several = {"a/c3d_features": np.ones((2, 3)), "a/other": np.zeros((2, 3))}
    assert run("hdf5", ["a"], several, key="c3d_features")["a/features"][0, 0] == 1
    with pytest.raises(UserError, match=r"video 'a' has 'c3d_features', 'other', more than one; set `key`"):
        run("hdf5", ["a"], several)
    with pytest.raises(UserError, match=r"'other', not 'c4d'; set `key`"):
        run("hdf5", ["a"], several, key="c4d")


def test_temporal_difference_is_a_motion_proxy(run: Callable[..., h5py.File]) -> None:
    values = np.array([[0, 0], [1, 2], [4, 4]], np.float32)
    assert temporal_difference(values).tolist() == [[1, 2], [3, 2], [3, 2]]
    assert temporal_difference(values[:1]).tolist() == [[0, 0]]
    file = run("hdf5", ["a"], {"a": values.astype(np.float16)}, transform="temporal_difference", dtype="float16")
    assert file["a/features"].dtype == np.float16
    assert file["a/features"][:].tolist() == [[1, 2], [3, 2], [3, 2]]


def test_rows_are_dated_where_their_step_is_known(run: Callable[..., h5py.File]) -> None:
    file = run("hdf5", ["v_a"], seconds_per_row=0.5)
    assert file["v_a/times"][1].tolist() == [0.5, 1.0]
    assert file["v_a"].attrs["duration"] == 2.5


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
def test_a_damaged_file_is_one_sentence(config: dict[str, Any], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["a"] = np.zeros((5000, 6))
    else:
        np.save(path, np.zeros((50, 6))) if suffix == ".npy" else np.savez(path, np.zeros((50, 6)))
    path.write_bytes(path.read_bytes()[:-1000])
    settings = parse(ExternalSettings, config["external"])
    with pytest.raises(UserError, match=r"damaged|not a complete HDF5 file"):
        convert(path if suffix == ".h5" else tmp_path, ["a"], tmp_path / "out" / "0.h5", settings)


def test_a_source_of_no_known_form_is_one_sentence(config: dict[str, Any], tmp_path: Path) -> None:
    settings = parse(ExternalSettings, config["external"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "features.pkl").write_bytes(b"\x80\x04.")
    for name, said in (
        ("absent", "does not exist"),
        ("empty", "has no .npy"),
        ("features.pkl", "is not a complete HDF5 file"),
    ):
        with pytest.raises(UserError, match=said):
            convert(tmp_path / name, ["a"], tmp_path / "out.h5", settings)


def test_ids_are_a_list_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("b\n a \n\nb\n")
    assert read_ids(str(tmp_path / "ids.txt")) == ["a", "b"]
    (tmp_path / "ids.json").write_text('["é", "a b"]')
    assert read_ids(str(tmp_path / "ids.json")) == ["a b", "é"]
    assert read_ids('["x"]') == ["x"]
    for wrong in ("absent.txt", "[1,", '["x"'):
        with pytest.raises(UserError, match="neither a file of video ids nor a JSON list"):
            read_ids(wrong)


def test_the_command_line(config: dict[str, Any], tmp_path: Path) -> None:
    as_npy(tmp_path, FEATURES)
    settings = json.dumps({**config["external"], "source": str(tmp_path)})
    command = [
        "--settings",
        settings,
        "--ids",
        json.dumps(list(FEATURES)),
        "--output",
        str(tmp_path / "o.h5"),
    ]
    external.main(command)
    first = (tmp_path / "o.h5").read_bytes()
    external.main([*command, "--source", str(tmp_path)])
    assert (tmp_path / "o.h5").read_bytes() == first
    with pytest.raises(UserError, match="no `source`"):
        external.main([part.replace(json.dumps(str(tmp_path)), "null") for part in command])


def test_real_features_of_charades(config: dict[str, Any], tmp_path: Path) -> None:
    """CLIP features of another group, as users have them: a data set a video."""
    path = data("charades-clip", "clip.h5")
    with h5py.File(path) as file:
        ids = sorted(file)[:20]
        expected = file[ids[3]][()]
    convert(path, [*ids, "absent"], tmp_path / "out.h5", parse(ExternalSettings, config["external"], dimension=256))
    with h5py.File(tmp_path / "out.h5") as file:
        assert sum("features" in group for group in file.values()) == 20
        np.testing.assert_array_equal(file[ids[3]]["features"], expected.astype(np.float32))


# --- How a source names its videos

IDS = ("a", "b", "x_1", "-q_", "é")


def one_h5_each(folder: Path, features: dict[str, np.ndarray], inside: str = "data") -> Path:
    for name, values in features.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file[inside] = values
    return folder


@pytest.mark.parametrize("way", ["{}", "v_{}", "{}_rgb", "{}-flow", "{}.mp4", "rgb.{}.25fps"])
@pytest.mark.parametrize("write", [as_npy, as_npz, as_hdf5, as_groups, one_h5_each])
def test_an_id_is_found_within_what_is_around_all_of_them(
    config: dict[str, Any], tmp_path: Path, way: str, write: Callable[[Path, dict[str, np.ndarray]], Path]
) -> None:
    values = {video_id: np.full((2, 3), n, np.float32) for n, video_id in enumerate(IDS)}
    (tmp_path / "source").mkdir()
    apart = {unicodedata.normalize("NFD", way.format(video_id)): array for video_id, array in values.items()}
    source = write(tmp_path / "source", apart)
    convert(source, [*IDS, "absent"], tmp_path / "out.h5", parse(ExternalSettings, config["external"]))
    with h5py.File(tmp_path / "out.h5") as file:
        found = {group.attrs["video_id"]: group["features"][0, 0] for group in file.values()}
    assert found == {video_id: n for n, video_id in enumerate(IDS)}


@pytest.mark.parametrize(
    ("names", "ids", "found"),
    [
        (["a", "a_rgb"], ["a", "a_rgb"], {"a": "a", "a_rgb": "a_rgb"}),
        (["a_rgb"], ["a", "a_rgb"], {"a_rgb": "a_rgb"}),  # a's is missing
        (["a_rgb", "a_rgb_rgb"], ["a", "a_rgb"], {"a": "a_rgb", "a_rgb": "a_rgb_rgb"}),
        (["a", "a_rgb", "b_rgb", "c_rgb"], ["a", "b", "c"], {"a": "a", "b": "b_rgb", "c": "c_rgb"}),
        (["v10", "v11"], ["v1"], {}),  # other videos, which no annotation names
        (["a_rgb", "a_2_rgb", "b_rgb", "c_rgb"], ["a", "b", "c"], {"a": "a_rgb", "b": "b_rgb", "c": "c_rgb"}),
        (["v_-x", "v__y", "v_z-"], ["-x", "_y", "z-"], {"-x": "v_-x", "_y": "v__y", "z-": "v_z-"}),
    ],
)
def test_the_way_in_which_most_are_named_counts(names: list[str], ids: list[str], found: dict[str, str]) -> None:
    assert match({name: name for name in names}, ids, "features") == found
    assert match({name: name for name in reversed(names)}, ids, "features") == found


@pytest.mark.parametrize(
    "names", [["a_rgb", "a_flow"], ["a_rgb", "b_rgb", "a_flow", "b_flow"], ["é", unicodedata.normalize("NFD", "é")]]
)
def test_two_features_of_one_video_are_refused(config: dict[str, Any], tmp_path: Path, names: list[str]) -> None:
    as_npy(tmp_path, {name: np.zeros((2, 3)) for name in names})
    with pytest.raises(UserError) as caught:
        convert(tmp_path, ["a", "b", "é"], tmp_path / "out.h5", parse(ExternalSettings, config["external"]))
    assert sum(f"{name}.npy" in str(caught.value) for name in names) == 2


def test_which_data_set_of_a_file_for_each_video(config: dict[str, Any], tmp_path: Path) -> None:
    for inside, value in (("group/rgb", 1), ("group/flow", 2)):
        with h5py.File(tmp_path / "a.h5", "a") as file:
            file[inside] = np.full((2, 3), value)
    convert(tmp_path, ["a"], tmp_path / "o" / "o.h5", parse(ExternalSettings, config["external"], key="flow"))
    with h5py.File(tmp_path / "o" / "o.h5") as file:
        assert file["a/features"][0, 0] == 2
    with pytest.raises(UserError, match=r"'group/flow', 'group/rgb', more than one; set `key`"):
        convert(tmp_path, ["a"], tmp_path / "o" / "o.h5", parse(ExternalSettings, config["external"]))


@pytest.mark.parametrize("write", [as_npy, as_hdf5, one_h5_each])
def test_features_of_none_of_the_videos_name_both(
    config: dict[str, Any], tmp_path: Path, write: Callable[[Path, dict[str, np.ndarray]], Path]
) -> None:
    (tmp_path / "source").mkdir()
    source = write(tmp_path / "source", {"0017": np.zeros((2, 3))})
    settings = parse(ExternalSettings, config["external"])
    with pytest.raises(UserError, match="kitchen"):
        convert(source, ["kitchen"], tmp_path / "out.h5", settings)
    convert(source, ["kitchen"], tmp_path / "out.h5", settings, others=["0017"])  # whose are in another shard


def test_the_rules_may_say_which_file_is_whose(config: dict[str, Any], tmp_path: Path) -> None:
    as_npy(tmp_path, {"a_rgb": np.zeros((2, 3))})
    settings = parse(ExternalSettings, config["external"])
    convert(tmp_path, read_ids('{"a_rgb": "a_rgb.npy", "a": null}'), tmp_path / "out.h5", settings)
    with h5py.File(tmp_path / "out.h5") as file:
        assert [group.attrs["video_id"] for group in file.values()] == ["a_rgb"]
