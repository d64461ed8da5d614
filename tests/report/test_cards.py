"""Single queries: which are chosen, and what their pages show."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from drawn import SNIPPETS, read, runs, texts

from evaluated import K, Runs
from vidistill.report import queries


@pytest.fixture
def data(tmp_path: Path) -> Runs:
    return runs(tmp_path)


def test_best_median_and_worst_are_disjoint_and_in_order():
    overlap = np.linspace(1, 0, 21)
    ids = [f"q{i:02d}" for i in range(21)]
    found = queries.choose(overlap, ids, ids, 3)
    assert found == {"best": [0, 1, 2], "median": [9, 10, 11], "worst": [18, 19, 20]}


def test_equal_queries_are_chosen_by_id_and_videos_differ():
    ids = [f"q{i:02d}" for i in range(12)]
    videos = ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e", "f", "f"]
    found = queries.choose(np.ones(12), ids, videos, 2)
    chosen = [i for rows in found.values() for i in rows]
    assert found["best"] == [0, 2]
    assert len({videos[i] for i in chosen}) == len(chosen) == 6


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (9, 9)])
def test_few_queries_are_shared_out(count: int, expected: int):
    ids = [str(i) for i in range(count)]
    found = queries.choose(np.zeros(count), ids, ["v"] * count, 3)
    chosen = [i for rows in found.values() for i in rows]
    assert len(chosen) == len(set(chosen)) == expected


def frames(count: int = 4) -> list[tuple[float, np.ndarray]]:
    return [(3.0 * i, np.full((30, 40, 3), 50 * i, np.uint8)) for i in range(count)]


def test_a_card_holds_maps_moments_and_predictions_of_both_models(data, config):
    m = read(data, config, "student", "baseline")
    shown = {query: frames() for query in m.sentences.index}
    cards = queries.cards(m, "baseline", 2, shown)
    assert {group: len(found) for group, found in cards.items()} == {"best": 2, "median": 2, "worst": 2}
    overlaps = [card.overlap for group in ("best", "median", "worst") for card in cards[group]]
    assert overlaps == sorted(overlaps, reverse=True)
    known = m.scored["student"][0]
    assert overlaps[0] == pytest.approx(m.column(known, "mIoU").max() / 100)
    card = cards["best"][0]
    query_id = m.sentences.index[(m.sentences["sentence"] == card.sentence)][0]
    assert card.moments.tolist() == m.data.targets[query_id].tolist()
    assert set(card.maps) == {"student", "baseline"}
    assert card.maps["student"]["fused"] == pytest.approx(np.linspace(0, 1, SNIPPETS))
    for model in ("student", "baseline"):
        row = m.answers[model].query_ids.get_loc(query_id)
        assert card.predicted[model].shape == (K, 2)
        assert card.predicted[model].tolist() == m.answers[model].ranked[row, :, :2].tolist()
    figure = queries.draw(card, "student", "baseline", 4)
    words = texts(figure)
    assert words.index("baseline: semantic activation map") < words.index("student: semantic activation map")
    assert "3.0 s" in words
    assert len(figure.axes) == 2 * 2 + 4
    step = next(patch for patch in figure.axes[0].patches if type(patch).__name__ == "StepPatch")
    assert step.get_data().values.tolist() == card.maps["baseline"]["fused"].tolist()


def test_a_model_alone_without_maps_and_frames_has_its_moments(data, config):
    m = read(data, config)
    card = queries.cards(m, None, 1, {})["worst"][0]
    figure = queries.draw(card, "student", None, 4)
    assert len(figure.axes) == 1
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["truth", "predicted", "others"]
    assert "semantic" not in texts(figure)


def test_a_page_has_a_picture_for_each_card_and_any_letters(data, config):
    data.queries["sentence"] = [f"人が <b>${i}$ を開ける" for i in range(len(data.queries))]
    m = read(data, config, "student")
    cards = queries.cards(m, None, 2, {})["median"]
    text = queries.make("median", cards, "student", None, 4)
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', text)
    assert len(pictures) == text.count("<h2>") == 2
    assert base64.b64decode(pictures[0]).startswith(b"<?xml")
    assert "人が &lt;b&gt;$" in text
    assert f"IoU of the prediction: {cards[0].overlap:.2f}" in text
    assert "too few queries" in queries.make("best", [], "student", None, 4)
    assert text == queries.make("median", cards, "student", None, 4)


def test_a_model_without_semantic_maps_shows_where_it_sees_start_and_end(data, config):
    m = read(data, config, "student", kinds=("start", "end"))
    card = queries.cards(m, None, 1, {})["best"][0]
    found = card.maps["student"]
    assert {name: values[0] for name, values in found.items()} == {"start": 0, "end": 1}
    words = texts(queries.draw(card, "student", None, 4))
    assert "student: start and end" in words
    assert "probability" in words
    assert "similarity" not in words
    semantic = queries.cards(read(data, config, "student"), None, 1, {})["best"][0]
    assert set(semantic.maps["student"]) == {"fused"}
    assert "student: semantic activation map" in texts(queries.draw(semantic, "student", None, 4))
