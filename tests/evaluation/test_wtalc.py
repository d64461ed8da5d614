"""The protocol of W-TALC, beside a plain evaluator with sets of snippets."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import data
from vidistill.base.stage import UserError
from vidistill.evaluation import wtalc

TIOUS = [0.1, 0.3, 0.5]
SEGMENTS = ["video_id", "label", "start", "end"]
RATE = 25 / 16


def table(rows: list[tuple], *more: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*SEGMENTS, *more])


def snippets(start: float, end: float) -> set[int]:
    return set(range(round(start * 25 / 16), round(end * 25 / 16)))


def plain(truth: pd.DataFrame, found: pd.DataFrame, ambiguous: list[tuple], tiou: float) -> float:
    """Mean average precision, with Python's own rounding and sets."""
    areas = []
    for label in sorted(set(truth["label"])):
        rows = [(r.score, r.video_id, snippets(r.start, r.end)) for r in found[found["label"] == label].itertuples()]
        kept = [
            (video, shown)
            for _, video, shown in sorted(rows, key=lambda row: -row[0])
            if shown and not any(video == v and shown & snippets(a, b) for v, a, b in ambiguous)
        ]
        if not kept:
            return 0.0
        left = [(r.video_id, snippets(r.start, r.end)) for r in truth[truth["label"] == label].itertuples()]
        total, hits = len(left), []
        for video, shown in kept:
            overlaps = [len(shown & other) / len(shown | other) if v == video else 0.0 for v, other in left]
            best = int(np.argmax(overlaps)) if overlaps else -1
            hits.append(bool(overlaps) and overlaps[best] >= tiou)
            if hits[-1]:
                del left[best]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        areas.append(sum(hit * max(precision[n:]) for n, hit in enumerate(hits)) / total)
    return 100 * float(np.mean(areas))


def random_tables(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, list[tuple]]:
    """Times are tenths of seconds, so that some segments shrink to nothing."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for v in range(8):
        for label in "ab":
            for _ in range(5):
                start = rng.integers(0, 400) / 10
                end = start + rng.integers(1, 90) / 10
                truth.append((f"v{v}", label, start, end))
                for _ in range(2):
                    times = np.sort(np.array([start, end]) + rng.normal(0, 1, 2)).clip(0)
                    found.append((f"v{v}", label, *times, rng.normal()))
    ambiguous = [(f"v{v}", start, start + 2) for v, start in zip(range(4), rng.uniform(0, 40, 4), strict=True)]
    return table(truth), table(found, "score"), ambiguous


@pytest.mark.parametrize("seed", range(4))
def test_a_plain_evaluator_agrees(seed: int):
    truth, found, ambiguous = random_tables(seed)
    videos = sorted(set(truth["video_id"]))
    segments = pd.DataFrame(ambiguous, columns=["video_id", "start", "end"])
    for one, listed in ((segments, ambiguous), (None, [])):
        given = wtalc.mean_average_precision(truth, found, one, videos, tious=TIOUS, rate=RATE)
        assert given == pytest.approx([plain(truth, found, listed, tiou) for tiou in TIOUS], abs=1e-9)


def test_times_are_rounded_half_to_even_and_what_shrinks_to_nothing_is_no_prediction():
    found = wtalc.in_snippets(table([("v", "a", 0.32, 0.96), ("v", "a", 1.0, 2.24)]), RATE)
    assert found[["start", "end"]].to_numpy().tolist() == [[0, 2], [2, 4]]
    truth = table([("v", "a", 0.0, 6.4), ("v", "a", 9.0, 9.1)])
    thin = ("v", "a", 9.0, 9.1, 2.0)
    found = table([thin, ("v", "a", 0.0, 6.4, 1.0)], "score")
    score = wtalc.mean_average_precision(truth, found, None, ["v"], tious=[0.5], rate=RATE)
    assert score == pytest.approx([50.0])  # of two segments, one of which cannot be found


def test_a_class_without_predictions_makes_all_numbers_0():
    truth = table([("v", "a", 0, 8), ("v", "b", 0, 8)])
    found = table([("v", "a", 0, 8, 1.0)], "score")
    assert wtalc.mean_average_precision(truth, found, None, ["v"], tious=[0.5, 0.7], rate=RATE).tolist() == [0, 0]
    both = table([("v", "a", 0, 8, 1.0), ("v", "b", 20, 28, 1.0)], "score")
    assert wtalc.mean_average_precision(truth, both, None, ["v"], tious=[0.5], rate=RATE).tolist() == [50]
    touched = pd.DataFrame({"video_id": ["v"], "start": [27.0], "end": [30.0]})
    assert wtalc.mean_average_precision(truth, both, touched, ["v"], tious=[0.5], rate=RATE).tolist() == [0]


def test_a_malformed_line_of_ambiguous_segments_is_named(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("v  1.0 2.5\n\nw 3 4\n")
    assert wtalc.read_ambiguous(path).to_numpy().tolist() == [["v", 1.0, 2.5], ["w", 3.0, 4.0]]
    for text, said in (("v 1.0\n", "line 1: 'v 1.0' is not of the form"), ("v 1 x\n", "line 1: the end is 'x'")):
        path.write_text(text)
        with pytest.raises(UserError, match=said):
            wtalc.read_ambiguous(path)


def test_the_ambiguous_segments_of_thumos14():
    found = wtalc.read_ambiguous(data("thumos14", "Ambiguous_test.txt"))
    assert (len(found), found["video_id"].nunique()) == (99, 37)
