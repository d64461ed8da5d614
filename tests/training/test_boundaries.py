"""Unification and resampling of what teachers say, against the specification's formulas and numbers."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from test_knowledge import activation

from vidistill.base.stage import UserError
from vidistill.training import boundaries, knowledge

INF = float("inf")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def spans(unify):
    valid = torch.arange(7) < torch.tensor([[7], [4], [1]])
    return boundaries.of_logits(10 * torch.randn(3, 7), torch.randn(3, 7), valid, unify), valid


def test_spans_are_softmaxes_over_valid_snippets():
    found, valid = spans("distribution")
    for values in found:
        torch.testing.assert_close(values.sum(1), torch.ones(3))
        assert (values[~valid] == 0).all()
    start = torch.tensor([[1.0, -2.0, 9.0]])
    first = boundaries.of_logits(start, start, torch.tensor([[True, True, False]]), "distribution").start
    assert first[0].tolist() == pytest.approx([1 / (1 + math.exp(-3)), 1 / (1 + math.exp(3)), 0])


def test_a_one_hot_cell_is_a_one_hot_start_and_end():
    scores = torch.full((1, 6, 6), -INF)
    scores[0, 1, 4] = 3.0
    start, end = boundaries.of_map(scores, torch.ones(6, 6).triu().bool(), "distribution")
    assert start[0].tolist() == [0, 1, 0, 0, 0, 0]
    assert end[0].tolist() == [0, 0, 0, 0, 1, 0]


def test_a_map_gives_the_best_cell_of_each_start_and_end():
    scores, cells = torch.randn(2, 5, 5), torch.ones(5, 5).triu().bool()
    cells[0, 3] = cells[3, 4] = False
    start, end = boundaries.of_map(scores, cells, "distribution")
    for b in range(2):
        for values, axis in ((start[b], 0), (end[b], 1)):
            s = [[scores[b, i, j].sigmoid().item() * cells[i, j].item() for j in range(5)] for i in range(5)]
            best = [max(s[n]) if axis == 0 else max(row[n] for row in s) for n in range(5)]
            assert values.tolist() == pytest.approx([x / sum(best) for x in best], abs=1e-6)


def test_a_map_that_is_sure_of_nothing_is_still_a_distribution():
    start, end = boundaries.of_map(torch.full((1, 4, 4), -500.0), torch.ones(4, 4).triu().bool(), "distribution")
    torch.testing.assert_close(start, torch.full((1, 4), 0.25))
    torch.testing.assert_close(end, torch.full((1, 4), 0.25))


def test_one_proposal_peaks_at_its_boundaries():
    start, end = boundaries.of_proposals(
        torch.tensor([[[0.3, 0.8]]]), torch.tensor([[-2.0]]), 20, sigma=0.05, temperature=0.25, unify="distribution"
    )
    assert start.argmax() == 6  # 6 / 20
    assert end.argmax() == 15  # (15 + 1) / 20
    torch.testing.assert_close(start.sum(), torch.tensor(1.0))


@pytest.mark.parametrize("sigma", [0.05, 1e-4])
def test_proposals_are_weighted_gaussians(sigma):
    moments, scores = torch.tensor([[[0.1, 0.5], [0.4, 0.42]]], dtype=torch.float64), torch.tensor([[0.2, -0.1]])
    found = boundaries.of_proposals(moments, scores, 10, sigma=sigma, temperature=0.5, unify="distribution")
    w = [math.exp(x / 0.5) for x in (0.2, -0.1)]
    for which, values in enumerate(found):
        at = [(n + which) / 10 for n in range(10)]
        bell = [[math.exp(-((x - moments[0, k, which].item()) ** 2) / (2 * sigma**2)) for x in at] for k in range(2)]
        mixed = [w[0] * a + w[1] * b for a, b in zip(*bell, strict=True)]
        assert values.sum() == pytest.approx(1)
        if sum(mixed) > 1e-9:  # otherwise they are too narrow for these scalars, and must still have sum 1
            assert values[0].tolist() == pytest.approx([x / sum(mixed) for x in mixed], abs=1e-6)


def test_released_values_are_sigmoids_and_vectors_of_norm_1():
    found, valid = spans("released")
    assert (found.start[~valid] == 0).all()
    assert found.start[0].max() > 0.9
    scores, moments = torch.randn(2, 8, 8), torch.rand(2, 3, 2)
    maps = boundaries.of_map(scores, torch.ones(8, 8).triu().bool(), "released")
    one = boundaries.of_map(scores, torch.ones(8, 8).triu().bool(), "distribution")
    torch.testing.assert_close(maps.end, one.end / one.end.norm(dim=1, keepdim=True))
    bells = boundaries.of_proposals(moments, torch.randn(2, 3), 8, sigma=0.05, temperature=0.25, unify="released")
    for values in (*maps, *bells):
        torch.testing.assert_close(values.norm(dim=1), torch.ones(2))


def one_hots(count):
    return np.eye(count)


def resampled(values, size, ends=False, corners=False, unify="distribution"):
    return boundaries.resample(values, size, ends=ends, corners=corners, unify=unify)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_an_equal_number_of_snippets_changes_nothing(ends, corners):
    values = np.random.default_rng(0).dirichlet(np.ones(9), 4)
    np.testing.assert_allclose(resampled(values, 9, ends, corners), values, atol=1e-12)


def test_16_starts_and_ends_stay_where_they_are_among_64():
    assert resampled(one_hots(16), 64).argmax(1).tolist() == [4 * i for i in range(16)]
    assert resampled(one_hots(16), 64, ends=True).argmax(1).tolist() == [4 * j + 3 for j in range(16)]


@pytest.mark.parametrize(("count", "size"), [(16, 64), (64, 16), (200, 37), (7, 1), (1, 5), (50, 49)])
@pytest.mark.parametrize("ends", [False, True])
def test_resampling_follows_its_formula(count, size, ends):
    values = np.concatenate([one_hots(count), np.random.default_rng(0).dirichlet(np.ones(count), 3)])
    found = resampled(values, size, ends)
    np.testing.assert_allclose(found.sum(1), 1)
    h, shift = max(1 / count, 1 / size), int(ends)
    for row in range(len(values)):
        raw = [
            sum(values[row, k] * max(0, 1 - abs((k + shift) / count - (at + shift) / size) / h) for k in range(count))
            for at in range(size)
        ]
        np.testing.assert_allclose(found[row], np.array(raw) / sum(raw), atol=1e-12)


@pytest.mark.parametrize(("corners", "most", "mean"), [(True, 2.8, 1.5), (False, 1.0, 0.06)])
def test_aligned_corners_shift_boundaries(corners, most, mean):
    """The specification's measurement, over all starts and ends of 16 snippets among 64."""
    shifts = []
    for ends, first in ((False, 0), (True, 3)):
        expected = resampled(one_hots(16), 64, ends, corners) @ np.arange(64)
        shifts.append(np.abs(expected - (4 * np.arange(16) + first)))
    assert np.max(shifts) == pytest.approx(most, abs=0.05)
    assert np.mean(shifts) == pytest.approx(mean, abs=0.05)


@pytest.mark.parametrize("corners", [False, True])
def test_released_values_keep_their_scale(corners):
    np.testing.assert_allclose(resampled(np.full(16, 0.4), 64, corners=corners, unify="released"), 0.4)


@pytest.fixture
def table(tmp_path):
    """Writes rows of (query, kind, values) as a teacher's table."""

    def write(*rows, **about):
        maps = [activation(query, "elder", list(values), kind=kind) for query, kind, values in rows]
        knowledge.write_maps(tmp_path / "maps.parquet", pd.DataFrame(maps), **about)
        return tmp_path / "maps.parquet"

    return write


GOOD = [("a#0", "start", (0.25, 0.75)), ("a#0", "end", (0.0, 1.0)), ("b#0", "start", (1.0,)), ("b#0", "end", (1.0,))]


def read(file, queries=("b#0", "a#0"), lengths=(3, 2), corners=False):
    return boundaries.read(file, queries, np.array(lengths), 4, corners=corners)


def test_rows_are_joined_by_query_and_resampled_and_padded(table):
    (start, end), known = read(table(*reversed(GOOD), ("a#0", "semantic", (0.3, -0.3))))
    assert known.tolist() == [True, True]
    assert start[1].tolist() == [0.25, 0.75, 0, 0]
    assert end[1].tolist() == [0, 1, 0, 0]
    assert start[0].tolist() == pytest.approx([0.5, 1 / 3, 1 / 6, 0])


def test_a_query_without_start_or_end_is_unknown(table):
    (start, end), known = read(table(*GOOD[1:]), ("b#0", "a#0", "c#0"), (3, 2, 4))
    assert known.tolist() == [True, False, False]
    assert not start[1:].any()
    assert not end[1:].any()


@pytest.mark.parametrize(
    ("changed", "about", "message"),
    [
        (("a#0", "start", (0.25, 0.8)), {}, "start of query a#0 have sum 1.05, not 1"),
        (("a#0", "end", (math.nan, 1.0)), {}, "end of query a#0 are not all finite"),
        (("a#0", "end", (-0.5, 1.5)), {}, "end of query a#0 are not all finite and at least 0"),
        (("a#0", "end", ()), {}, "end of query a#0 are 0, not num_snippets = 0"),
        (("a#0", "start", (0.0, 0.0)), {"unify": "released"}, "start of query a#0 have sum 0"),
        (("b#0", "end", (0.5, 0.5)), {}, "two rows for query b#0"),
    ],
)
def test_rows_that_are_no_distributions_are_errors(table, changed, about, message):
    rows = [row for row in GOOD if row[:2] != changed[:2]] if changed[0] == "a#0" else GOOD
    with pytest.raises(UserError, match=rf"maps\.parquet: .*{message}"):
        read(table(*rows, changed, **about))


def test_a_row_of_another_length_than_it_says_is_an_error(table):
    file = table(*GOOD)
    rows = pd.read_parquet(file).assign(num_snippets=2)
    rows.to_parquet(file)
    with pytest.raises(UserError, match="query b#0 are 1, not num_snippets = 2"):
        read(file)


@pytest.mark.parametrize("kinds", [[("start", "end")] * 2, [("start",), ("end",)]], ids=["both", "one-each"])
def test_several_teachers_in_a_table_are_an_error(tmp_path, kinds):
    teachers = zip(("elder", "younger"), kinds, strict=True)
    rows = [activation("a#0", name, [1.0], kind=kind) for name, its in teachers for kind in its]
    knowledge.write_maps(tmp_path / "maps.parquet", pd.DataFrame(rows))
    with pytest.raises(UserError, match=r"several teachers \(elder, younger\)"):
        read(tmp_path / "maps.parquet")


def test_released_rows_need_no_sum(table):
    (start, _), _ = read(table(*GOOD[1:], ("a#0", "start", (0.9, 0.8)), unify="released"))
    assert start[1].tolist() == pytest.approx([0.9, 0.8, 0, 0])


def test_corners_that_miss_everything_are_said(table):
    peak = [("a#0", kind, np.eye(40)[13]) for kind in ("start", "end")]
    with pytest.raises(UserError, match="fall between the student's 2 snippets; set corners: false"):
        read(table(*peak), ["a#0"], [2], corners=True)
    assert read(table(*peak), ["a#0"], [2])[1].all()
