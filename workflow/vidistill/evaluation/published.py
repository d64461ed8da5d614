"""Published numbers, in percent, for comparison."""

from typing import NamedTuple

SOURCE = (
    "MMDist: Bao et al., AAAI 2024, Tables 1, 3, 4, 5; CPL: Zheng et al., CVPR 2022, whose code reports the epoch that "
    "is best on the test split"
)

_CHARADES = ("R@0.3", "R@0.5", "R@0.7")
_ACTIVITYNET = ("R@0.1", "R@0.3", "R@0.5")
# By data set and model, under the names in config.yaml. CPL has its own code.
_NUMBERS = {
    "charades-cpl": {
        "CPL": (66.40, 49.24, 22.39),
        "baseline": (67.26, 51.58, 24.22),
        "student": (68.90, 53.29, 25.27),
        "teacher": (70.11, 54.72, 26.00),
        "baseline-no-local": (65.83, 50.54, 23.31),
        "baseline-no-global": (60.42, 44.36, 20.80),
        "student-no-local": (68.21, 51.68, 24.45),
        "student-no-global": (68.02, 52.85, 24.98),
        "teacher-concatenation": (67.92, 52.31, 24.64),
        "teacher-no-mutual": (69.73, 53.86, 24.76),
    },
    "activitynet": {
        "CPL": (79.86, 53.67, 31.24),
        "baseline": (82.27, 56.92, 31.80),
        "student": (83.11, 58.69, 32.52),
        "teacher": (82.89, 58.53, 32.98),
    },
}
# The papers do not report on all of Charades-STA, but on the split that drops queries.
_SPLIT = {"charades": "charades-cpl"}


class Published(NamedTuple):
    dataset: str  # of the numbers
    models: dict[str, dict[str, float]]  # model -> metric -> percent


def published(dataset: str) -> Published:
    """Published numbers for a data set, or for its closest published split; no models for others."""
    of = _SPLIT.get(dataset, dataset)
    names = _ACTIVITYNET if of == "activitynet" else _CHARADES
    rows = _NUMBERS.get(of, {})
    return Published(of, {model: dict(zip(names, values, strict=True)) for model, values in rows.items()})
