"""Rows that are computed as they are asked for; that features are those of stored flow is tested with the workflow."""

import numpy as np
import pytest

from vidistill.features.flow_features import InOrder

ROWS = np.arange(20)[:, None]


@pytest.mark.parametrize(
    "ranges",
    [[(0, 20)], [(0, 7), (3, 9), (3, 20)], [(0, 2), (11, 13), (18, 20)], [(5, 6), (5, 6), (19, 20)]],
    ids=["whole", "overlapping", "with gaps", "twice"],
)
def test_any_ranges_in_order(ranges):
    rows = InOrder(iter(np.split(ROWS, [4, 5, 12])))
    for start, stop in ranges:
        np.testing.assert_array_equal(rows(start, stop), ROWS[start:stop])


def test_what_lies_behind_is_forgotten():
    rows = InOrder(iter(np.split(ROWS, 5)))
    for start in range(0, 16, 2):
        rows(start, start + 4)
        assert len(rows._rows) <= 4 + 4
