"""Curves: how many there are, and that their numbers are those of the result and of the tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn import TERMS, curves, line, read, runs, texts

from evaluated import EPOCHS, TEST, TRAIN, Runs
from vidistill.report import agreement, efficiency, failures, losses, recall, style


@pytest.fixture
def data(tmp_path: Path) -> Runs:
    return runs(tmp_path)


def test_losses_have_a_line_for_each_term_model_and_seed(data, config):
    figure = losses.draw(read(data, config).histories, ["student", "baseline"])
    wanted = {f"curve:{term}:{model}:{seed}" for term in TERMS for model in ("student", "baseline") for seed in (0, 1)}
    assert set(curves(figure)) == wanted  # and none of the column that holds nothing
    assert len(curves(figure)) == len(wanted)
    assert line(figure, "curve:local:student:1") == pytest.approx(1 / np.arange(1, EPOCHS + 1))
    assert losses.TITLES["local"] in texts(figure)
    assert losses.TITLES["held_out_loss"] not in texts(figure)


def test_a_term_that_the_figure_does_not_know_is_shown_under_its_name():
    history = pd.DataFrame({"epoch": [1, 2], "novel_term": [1.0, 0.5]})
    figure = losses.draw({("m", 0): history}, ["m"])
    assert curves(figure) == ["curve:novel_term:m:0"]
    assert "novel_term" in texts(figure)
    assert "seed" not in texts(figure)  # one seed needs no legend


def test_recall_is_that_of_the_result_at_its_thresholds(data, config):
    m = read(data, config)
    figure = recall.draw(m)
    names = {"curve:student", "curve:baseline", "curve:constant interval", "curve:whole video"}
    assert set(curves(figure)) == names
    at = {m: recall.CURVE.index(m) for m in (0.3, 0.5, 0.7)}
    for threshold, i in at.items():
        name = f"R@{threshold}"
        assert line(figure, "curve:student")[i] == pytest.approx(m.result["metrics"][name]["mean"], abs=1e-4)
        theirs = m.result["comparisons"]["baseline"]["alone"][name]["mean"]
        assert line(figure, "curve:baseline")[i] == pytest.approx(theirs, abs=1e-4)
        for key, title in recall.TITLES.items():
            assert line(figure, f"curve:{title}")[i] == pytest.approx(m.result["video_free"][key][name], abs=1e-4)
    assert (np.diff(line(figure, "curve:student")) <= 0).all()
    assert "published" not in texts(figure)


def test_recall_shows_published_numbers_where_there_are_some(data, config):
    figure = recall.draw(read(data, config, dataset="charades-cpl"))
    shown = [float(line.get_ydata()[0]) for line in figure.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert sorted(shown) == sorted([68.90, 53.29, 25.27, 67.26, 51.58, 24.22])


def test_without_training_moments_no_constant_is_drawn(data, config):
    data.moments = data.moments.iloc[:TEST]
    m = read(data, config, "student", "baseline")
    assert "curve:constant interval" not in curves(recall.draw(m))
    assert "constant interval" not in texts(failures.draw(m, 3))
    figure = agreement.draw(m, ["baseline"])
    assert "no known moments" in texts(figure)
    assert {name.rpartition(":")[0] for name in curves(figure)} == {
        "truth:test:student",
        "truth:test:baseline",
        "between:train:baseline",
        "between:test:baseline",
    }


def test_groups_of_queries_hold_each_once_and_are_about_equal():
    values = np.random.default_rng(0).uniform(size=101)
    found = failures.groups(values, 4)
    assert sorted(np.concatenate([rows for _, rows in found])) == list(range(101))
    assert all(25 <= len(rows) <= 26 for _, rows in found)
    assert [len(rows) for _, rows in failures.groups(np.array([3.0] * 9 + [4.0]), 4)] in ([9, 1], [10])
    assert failures.groups(np.array([5.0]), 4)[0][0] == "5"


def test_failures_average_to_the_result(data, config):
    m = read(data, config)
    figure = failures.draw(m, 4)
    assert len(curves(figure)) == 2 * 3 * 2  # metrics, properties, models
    known = failures.properties(m, failures.common_queries(m))
    for c, values in enumerate(known.values()):
        sizes = [len(rows) for _, rows in failures.groups(values, 4)]
        mean = np.average(line(figure, f"curve:mIoU:{c}:student"), weights=sizes)
        assert mean == pytest.approx(m.result["metrics"]["mIoU"]["mean"], abs=1e-3)


def test_agreement_counts_every_query_of_every_seed(data, config):
    m = read(data, config, "student", "baseline")
    assert agreement.with_truth(m, m.labels["student", 0], "test") == pytest.approx(np.ones(TEST), abs=1e-5)
    late = agreement.with_truth(m, m.labels["baseline", 1], "train")
    assert len(late) == TRAIN
    assert (late < 1).all()
    between = agreement.between(m.labels["student", 0], m.labels["baseline", 0], "train")
    assert between == pytest.approx(late, abs=1e-5)
    figure = agreement.draw(m, ["baseline"])
    assert len(curves(figure)) == (2 + 1) * 2 * 2  # with the truth twice, between once; splits; seeds
    assert line(figure, "truth:test:student:0").tolist() == [0.0] * 9 + [100.0]
    assert line(figure, "between:train:baseline:1").sum() == pytest.approx(100)
    assert f"mean {late.mean():.2f}" in texts(figure)


def test_agreement_of_a_model_without_teacher_is_with_the_truth_alone(data, config):
    figure = agreement.draw(read(data, config, "student"), [])
    assert {name.split(":")[0] for name in curves(figure)} == {"truth"}
    assert len(figure.axes) == 2


def test_equal_figures_are_equal_bytes(data, config):
    m = read(data, config, "student")
    for draw in (lambda: recall.draw(m), lambda: failures.draw(m, 4), lambda: agreement.draw(m, [])):
        for kind in ("svg", "png"):
            assert style.encode(draw(), kind) == style.encode(draw(), kind)
    assert b"<dc:date>" not in style.encode(recall.draw(m), "svg")


def test_the_last_bits_of_a_layout_change_no_byte():
    def drawn(shift: float) -> bytes:
        figure = style.Figure(figsize=(4, 3))
        for left in (0.1234, 0.6123):
            figure.add_axes((left + shift, 0.1117, 0.3119, 0.8113)).plot([0, 1], [0, 1])
        return style.encode(figure, "svg")

    assert drawn(0.0) == drawn(1e-15)
    assert drawn(0.0) != drawn(1e-3)
    assert drawn(0.0).count(b'<clipPath id="clip') == 2


def test_models_differ_by_more_than_colour():
    looks = list(style.looks(f"model{i}" for i in range(6)).values())
    for part in ("colour", "line", "marker", "hatch"):
        assert len({str(getattr(look, part)) for look in looks}) == 6


def test_accuracy_stands_over_latency_with_the_range_of_its_seeds(data, config):
    m = read(data, config)
    figure = efficiency.draw(m)
    (axes,) = figure.axes
    points = {line.get_gid(): line for line in axes.lines if (line.get_gid() or "").startswith("point:")}
    assert points.keys() == {"point:student", "point:baseline"}
    assert axes.get_xscale() == "log"
    for model, latency in (("student", 3.21), ("baseline", 20.0)):
        metrics = m.result["metrics"] if model == "student" else m.result["comparisons"]["baseline"]["alone"]
        found = metrics["R@0.5"]
        assert points[f"point:{model}"].get_xydata()[0] == pytest.approx([latency, found["mean"]], abs=1e-4)
    low, high = (sorted(m.result["metrics"]["R@0.5"]["per_seed"].values())[i] for i in (0, -1))
    spans = [segment[:, 1].tolist() for bars in axes.collections for segment in bars.get_segments()]
    assert any(span == pytest.approx([low, high], abs=1e-4) for span in spans)
    assert "673,650 parameters" in texts(figure)
    assert "a processor, threads: 1" in texts(figure)
