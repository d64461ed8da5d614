"""Stage `action_figures` as its command, on small models that are trained here, and its figures one by one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from drawn import curves, line, texts
from PIL import Image

import evaluated as evaluated_runs
import small_videos
from localised import LocalisedRuns, localise
from vidistill.base import store
from vidistill.base.settings import parse
from vidistill.data.moments import MOMENTS
from vidistill.evaluation import localisation
from vidistill.report import action_figures
from vidistill.report.actions import activation, classes, material, precision, results, rounds, videos
from vidistill.settings.localisation import LocalisationSettings
from vidistill.training import knowledge

MODELS = ("mmsd", "mmsd-no-pseudo")
PICTURES = {"precision.svg", "classes.svg", "losses.svg", "rounds.svg", "labels.svg", "frames.png"}
PAGES = {"precision", "classes", "losses", "rounds", "labels", "frames", "results", "coverage", "costs"}
PAGES |= {f"videos-{group}" for group in ("best", "median", "worst")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Path]]]:
    """A folder with the small data set, its segments, and two models with predictions."""
    folder = small_videos.write(tmp_path_factory.mktemp("actions"))
    queries = store.read_table(folder / "queries.parquet").dropna(subset="label")
    moments = [(query_id, 2.0 + n % 3, 5.0 + n % 3) for n, query_id in enumerate(queries["query_id"])]
    store.write_table(folder / "moments.parquet", pd.DataFrame(moments, columns=MOMENTS.names), MOMENTS, ["query_id"])
    (folder / "problems.csv").write_text("file,line,split,video_id,sentence,problem,action\n")
    files = {}
    for model in MODELS:
        section = small_videos.section(**small_videos.NAMED[model], model=model)
        files[model] = small_videos.run(folder, section, model)
        files[model]["predictions"], _ = small_videos.localised(folder, files[model], ("rgb", "flow"))
    return folder, files


@pytest.fixture
def command(trained: tuple[Path, dict[str, dict[str, Path]]], config: dict[str, Any], tmp_path: Path):
    """Evaluate the models, then run the stage; the files that it wrote, by name."""
    folder, files = trained

    def run(out: str = "out", moments: Path = folder / "moments.parquet", **changes: Any) -> dict[str, bytes]:
        about = {"dataset": "small", "model": "mmsd", "compare_with": ["mmsd-no-pseudo"], "seeds": [0]}
        about |= {"max_bad_share": 0.2, "bootstrap_samples": 50, **changes}
        shown = [about["model"], *about["compare_with"]]
        inputs = ["--queries", folder / "queries.parquet", "--moments", moments]
        inputs += ["--features", *(f"{stream}={folder / stream}.h5" for stream in ("rgb", "flow"))]
        for option, key in (("--predictions", "predictions"), ("--histories", "history")):
            inputs += [option, *(f"{model}:0={files[model][key]}" for model in shown)]
        models = ["--models", *(f"{model}:0={files[model]['model']}" for model in shown)]
        result = tmp_path / f"{out}.json"
        measured = tmp_path / "efficiency.json"
        of_one = evaluated_runs.EFFICIENCY["models"]["mmsd"]
        store.write_json(measured, {**evaluated_runs.EFFICIENCY, "models": dict.fromkeys(MODELS, of_one)})
        options = ["--settings", json.dumps(about), *inputs, *models, "--problems", folder / "problems.csv"]
        options += ["--efficiency", measured]
        localisation.main([*map(str, [*options, "--output", result])])
        settings = {**config["figures"], "queries": 1, "localisation": about, "collection": "c"}
        settings |= {"decode": config["decode"], "flow": None}
        own = files[about["model"]]
        options = ["--settings", json.dumps(settings), *inputs, "--result", result, "--model", own["model"]]
        options += ["--activation-maps", own["activation-maps"], "--benchmarks", tmp_path / "none"]
        action_figures.main([*map(str, [*options, "--folder", tmp_path / out])])
        return {path.name: path.read_bytes() for path in sorted((tmp_path / out).iterdir())}

    return run


def test_every_page_and_picture_is_written_and_equal_runs_are_equal_bytes(command, tmp_path: Path) -> None:
    first = command()
    assert set(first) == PICTURES | {f"{name}.html" for name in PAGES}
    assert first == command("again")
    for name, content in first.items():
        if name.endswith(".html"):
            assert content.startswith(b"<!doctype html>")
            assert b"<script" not in content
            assert b'src="http' not in content
    for kind in ("foreground", "supervised", "voted"):
        for stream in ("rgb", "flow", "fused"):
            assert f"curve:{kind}:{stream}:0".encode() in first["rounds.svg"]
    assert b"curve:foreground" not in first["losses.svg"]
    with Image.open(tmp_path / "out" / "frames.png") as picture:
        assert picture.width > 1000


def test_a_model_that_does_not_learn_from_its_labels_says_so() -> None:
    said = [
        rounds.about(small_videos.train_settings(model).model_dump(), rounds.LABELS_ABOUT)
        for model in ("mmsd", "mmsd-no-pseudo", "mmsd-student")
    ]
    assert said[0] == rounds.LABELS_ABOUT
    assert "does not learn from pseudo labels" in said[1][0]
    assert "from the pseudo labels of its teachers" in said[2][0]


def test_without_segments_pages_say_so(command, tmp_path: Path) -> None:
    store.write_table(tmp_path / "m", pd.DataFrame(columns=MOMENTS.names), MOMENTS, ["query_id"])
    found = command(moments=tmp_path / "m")
    assert set(found) == PICTURES | {f"{name}.html" for name in PAGES}
    for page in ("results", "precision", "classes", "videos-best", "videos-worst"):
        assert b"Nothing can be scored" in found[f"{page}.html"]
    assert b"curve:foreground:rgb:0" in found["rounds.svg"]


def test_activation_is_that_of_each_stream_and_of_the_answer(trained) -> None:
    from vidistill.mmsd import ask
    from vidistill.mmsd import model as models
    from vidistill.settings.localise import LocaliseSettings

    folder, files = trained
    features = {stream: [folder / f"{stream}.h5"] for stream in ("rgb", "flow")}
    own = files["mmsd"]
    found = activation.of_videos(own["model"], own["predictions"], features, {"v3": 13.0, "v4": 14.0})
    assert set(found) == {"v3", "v4"}
    assert list(found["v3"].streams["dive"]) == ["rgb", "flow", "fused", activation.TOGETHER]
    assert not np.allclose(found["v3"].streams["dive"]["rgb"], found["v3"].streams["dive"]["flow"])
    import h5py

    values = {}
    for stream in features:
        with h5py.File(folder / f"{stream}.h5") as file:
            values[stream] = file["v3"]["features"][:]
    settings = LocaliseSettings(device="cpu", class_threshold=0.0)
    answer = ask.ask(models.load(own["model"]), settings, values, {}, 13.0, small_videos.CPU)
    for of_class in answer.classes:
        together = found["v3"].streams[of_class.label][activation.TOGETHER]
        np.testing.assert_allclose(together, of_class.activation, rtol=1e-5)
    np.testing.assert_allclose(found["v3"].times, answer.times)


def test_what_votes_change_in_labels_is_told_from_the_rest(tmp_path: Path) -> None:
    """The worked example of self-voting: rgb, flow and fused over four snippets."""
    q = [(0.90, 0.55, 0.65), (0.50, 0.85, 0.10), (0.20, 0.30, 0.59), (0.70, 0.65, 0.98)]
    b = [(1, 0, 1), (1, 0, 0), (0, 1, 1), (1, 1, 0)]
    rows = []
    for n, stream in enumerate(("rgb", "flow", "fused")):
        about = {"query_id": "v#0", "video_id": "v", "split": "train", "teacher": "mmsd", "seed": 0, "round": 1}
        sure = np.array([of[n] for of in q], np.float32)
        for kind, values in (("pseudo_label", [of[n] for of in b]), ("foreground", [0.5] * 4)):
            found = {"kind": kind, "num_snippets": 4, "values": np.array(values, np.float32), "confidence": sure}
            rows.append({**about, "stream": stream, **found})
    knowledge.write_maps(tmp_path / "maps.parquet", pd.DataFrame(rows))
    vote = {"reliable": 0.6, "margin": 0.3, "voting": True}

    def targets(**changes: Any) -> dict[str, list[int]]:
        streams = ("rgb", "flow", "fused")
        found = rounds.of_videos(tmp_path / "maps.parquet", ["v", "none"], streams, {**vote, **changes})
        assert list(found) == ["v"]
        return {stream: kinds[0].tolist() for stream, kinds in found["v"].targets.items()}

    own, other, none = (rounds.BACKGROUND, rounds.FOREGROUND), (rounds.TO_BACKGROUND, rounds.TO_FOREGROUND), 0
    # At the fourth snippet flow's target is a half, of its own 1 and the vote for 0.
    assert targets() == {
        "rgb": [own[1], other[0], none, own[1]],
        "flow": [other[1], own[0], none, other[0]],
        "fused": [own[1], own[0], none, own[0]],
    }
    assert targets(voting=False)["flow"] == [none, own[0], none, own[1]]
    figure = rounds.draw_labels(rounds.of_videos(tmp_path / "maps.parquet", ["v"], ("rgb",), vote), {}, {"v": 8.0})
    assert "v: rgb" in texts(figure)


@pytest.fixture
def evaluated(tmp_path: Path) -> material.Material:
    """Made-up predictions of two models and two seeds, evaluated and read."""
    runs = LocalisedRuns(tmp_path)
    result = localise(runs, {}, tious=[0.3, 0.5])
    options = runs.write()
    features: dict[str, list[Path]] = {}
    for name, _, path in (option.partition("=") for option in options["--features"]):
        features.setdefault(name, []).append(Path(path))

    def labelled(option: str) -> dict[tuple[str, int], Path]:
        pairs = (item.partition("=") for item in options[option])
        return {(label.rpartition(":")[0], int(label.rpartition(":")[2])): Path(path) for label, _, path in pairs}

    return material.read(
        parse(LocalisationSettings, json.dumps(result["settings"])),
        tmp_path / "result.json",
        Path(options["--queries"][0]),
        Path(options["--moments"][0]),
        features,
        labelled("--predictions"),
        labelled("--histories"),
    )


def test_curves_go_through_the_numbers_of_the_result(evaluated: material.Material) -> None:
    figure = precision.draw(evaluated)
    result = evaluated.result
    for name, found in [("mmsd", result["metrics"]), ("rgb alone", result["streams"]["rgb"])]:
        for tiou in (0.3, 0.5):
            at = precision.CURVE.index(tiou)
            assert line(figure, f"curve:{name}")[at] == pytest.approx(found[f"mAP@{tiou:g}"]["mean"], abs=1e-3)
    grid = line(figure, "curve:without video: grid, labels told")
    assert grid[precision.CURVE.index(0.5)] == pytest.approx(result["video_free"]["grid"]["mAP@0.5"], abs=1e-3)
    assert {"curve:mmsd", "curve:mmsd-base", "curve:flow alone"} <= set(curves(figure))


def test_a_bar_for_each_class_and_of_many_the_best_and_the_worst(evaluated: material.Material) -> None:
    figure = classes.draw(evaluated.result)
    bars = [bar for container in figure.axes[0].containers for bar in container]
    expected = sorted((about["AP"] for about in evaluated.result["classes"].values()), reverse=True)
    assert [bar.get_width() for bar in bars] == expected
    about = {"segments": 3, "videos": 1, "AP@0.5": 1.0}
    many = {f"class {n:03d}": {**about, "AP": float(n)} for n in range(100)}
    words = texts(classes.draw({**evaluated.result, "classes": many}))
    assert "60 more" in words
    assert "class 099 (3 in 1 video)" in words
    assert "class 000 (" in words
    assert "class 050" not in words


def test_the_verdict_and_the_tables_have_the_numbers_of_the_result(evaluated: material.Material) -> None:
    text, result = results.make(evaluated.settings, evaluated.result), evaluated.result
    assert f"The mmsd reaches {result['metrics']['mAP']['mean']:.0f} % average mAP" in text
    for words in ("mmsd minus mmsd-base", "mmsd minus the best without video", "rgb alone", "grid, labels told"):
        assert words in text
    assert "No paper reports on this data set." in text
    thumos = results.make(evaluated.settings.model_copy(update={"dataset": "thumos14"}), result)
    assert "RSKP (published)" in thumos
    assert "by the protocol of W-TALC" in thumos


def test_videos_are_chosen_by_how_well_the_true_segments_are_found(evaluated: material.Material) -> None:
    groups = videos.chosen(evaluated, 2)
    assert {group: len(shown) for group, shown in groups.items()} == {"best": 2, "median": 2, "worst": 2}
    of_best, of_worst = ([x.overlap for x in groups[group]] for group in ("best", "worst"))
    assert min(of_best) > max(of_worst)
    truth = np.array([[0.0, 2.0], [4.0, 8.0]])
    assert videos.overlap(truth, np.array([[4.0, 6.0], [0.0, 2.0], [4.0, 8.0]])) == pytest.approx((1 + 0.5) / 2)
    assert videos.overlap(truth, np.empty((0, 2))) == 0
    figure = videos.draw(groups["best"][0], None, (), 6)
    assert "the video has no features" in texts(figure)
