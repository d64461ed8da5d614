"""How many queries, videos or seeds a difference needs to be clear: a power estimate from those at hand."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

POWER = 0.8  # how often so many show a difference of this size as clear
FORMULA = (
    "n = ((z(1 - a/2) + z(0.8)) s / d)^2 for a mean difference d of paired values with standard deviation s, at "
    "confidence 1 - a (Rosner, Fundamentals of Biostatistics, 4th ed. 1995, p. 221). It takes normal quantiles, so for "
    "few seeds it is a lower bound"
)


def needed(difference: float, spread: float, confidence: float) -> int | None:
    """The number of paired values with which a difference is clear in four of five repetitions; None for no difference.

    The formula for the sample size of a paired t test with normal quantiles, see `FORMULA`.

    Args:
        difference: the mean of the paired differences.
        spread: their standard deviation.
        confidence: of the interval that has to exclude 0.
    """
    if not difference or not math.isfinite(spread):
        return None
    quantiles = NormalDist().inv_cdf((1 + confidence) / 2) + NormalDist().inv_cdf(POWER)
    return max(2, math.ceil((quantiles * spread / difference) ** 2))


def of_columns(values: np.ndarray, confidence: float) -> list[int | None]:
    """`needed` for each column of N paired differences, (N, M); nothing is known from fewer than two."""
    if len(values) < 2:
        return [None] * values.shape[1]
    pairs = zip(values.mean(axis=0).tolist(), values.std(axis=0, ddof=1).tolist(), strict=True)
    return [needed(difference, spread, confidence) for difference, spread in pairs]


def of_resamples(
    differences: Sequence[float], resampled: np.ndarray | None, count: int, confidence: float
) -> list[int | None]:
    """`needed` where a number is none of single videos, as mean average precision.

    The standard deviation over resamples of `count` videos is that of one video over the root of their number.

    Args:
        differences: (M,) on the videos.
        resampled: (samples, M) on resampled videos; None for fewer than two videos.
    """
    if resampled is None:
        return [None] * len(differences)
    spreads = resampled.std(axis=0, ddof=1) * math.sqrt(count)
    return [needed(float(d), float(s), confidence) for d, s in zip(differences, spreads, strict=True)]
