"""How many queries and seeds a difference needs."""

import numpy as np
import pytest

from vidistill.evaluation import power


def test_a_published_example():
    """Beside the formula at imaging.mrc-cbu.cam.ac.uk/statswiki/FAQ/power/onesamp: 6.05, here rounded up."""
    assert power.needed(0.303, 0.266, 0.95) == 7
    assert power.needed(-0.303, 0.266, 0.95) == power.needed(0.303, 0.266, 0.95)


def test_so_many_queries_show_the_difference_in_four_of_five_repetitions():
    rng = np.random.default_rng(0)
    count = power.needed(1.0, 5.0, 0.95)
    assert count is not None
    means = rng.normal(1.0, 5.0, (4000, count)).mean(axis=1)
    assert (means > 1.96 * 5.0 / np.sqrt(count)).mean() == pytest.approx(0.8, abs=0.02)


def test_half_the_difference_needs_four_times_as_many():
    values = np.random.default_rng(0).normal(1, 3, (50, 1))
    (one,) = power.of_columns(values, 0.95)
    other = power.needed(values.mean() / 2, values.std(ddof=1), 0.95)
    assert one is not None
    assert other == pytest.approx(4 * one, abs=4)


def test_nothing_is_known_from_one_seed_or_without_a_difference():
    assert power.of_columns(np.ones((1, 2)), 0.95) == [None, None]
    assert power.of_columns(np.zeros((3, 1)), 0.95) == [None]
    assert power.of_resamples([1.0], None, 1, 0.95) == [None]


def test_of_resamples_agrees_with_single_values():
    rng = np.random.default_rng(0)
    values = rng.normal(2, 10, 400)
    resampled = rng.choice(values, (3000, 400)).mean(axis=1)[:, None]
    (found,) = power.of_resamples([float(values.mean())], resampled, 400, 0.95)
    (expected,) = power.of_columns(values[:, None], 0.95)
    assert found == pytest.approx(expected, rel=0.1)
