"""Published numbers, in percent, for comparison."""

from typing import NamedTuple

SOURCE = (
    "MMDist: Bao et al., AAAI 2024, Tables 1, 3, 4, 5; CPL: Zheng et al., CVPR 2022, whose code reports the epoch that "
    "is best on the test split"
)
_THUMOS14_SOURCE = (
    "MMSD and UM: README of MMSD's code; CO2-Net and RSKP: README of RSKP's code; all by the protocol of W-TALC"
)
_ACTIVITYNET13_SOURCE = "TSCN and UM: the list VividLe/awesome-weakly-supervised-action-localization"

_CHARADES = ("R@0.3", "R@0.5", "R@0.7")
_ACTIVITYNET = ("R@0.1", "R@0.3", "R@0.5")
_THUMOS14 = (*(f"mAP@0.{tenth}" for tenth in range(1, 8)), "mAP")
_ACTIVITYNET13 = ("mAP@0.5", "mAP@0.75", "mAP@0.95", "mAP")
_METRICS = {"activitynet": _ACTIVITYNET, "thumos14": _THUMOS14, "activitynet-1.3": _ACTIVITYNET13}
_SOURCES = {"thumos14": _THUMOS14_SOURCE, "activitynet-1.3": _ACTIVITYNET13_SOURCE}
# By data set and model, under the names in config.yaml. CPL and the methods for labels other than MMSD have their own
# code. None is not published.
_NUMBERS: dict[str, dict[str, tuple[float | None, ...]]] = {
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
    "thumos14": {
        "UM": (67.5, 61.2, 52.3, 43.4, 33.7, 22.9, 12.1, 41.9),
        "CO2-Net": (*(None,) * 7, 44.6),
        "RSKP": (*(None,) * 7, 45.1),
        "mmsd": (69.7, 64.3, 54.6, 45.0, 36.4, 23.0, 12.3, 43.6),
    },
    "activitynet-1.3": {
        "TSCN": (35.3, 21.4, 5.3, 21.7),
        "UM": (37.0, 23.9, 5.7, 23.7),
    },
}
# The papers do not report on all of Charades-STA, but on the split that drops queries.
_SPLIT = {"charades": "charades-cpl"}


class Published(NamedTuple):
    dataset: str  # of the numbers
    models: dict[str, dict[str, float]]  # model -> metric -> percent
    source: str


def published(dataset: str) -> Published:
    """Published numbers for a data set, or for its closest published split; no models for others."""
    of = _SPLIT.get(dataset, dataset)
    names = _METRICS.get(of, _CHARADES)
    models = {
        model: {name: value for name, value in zip(names, values, strict=True) if value is not None}
        for model, values in _NUMBERS.get(of, {}).items()
    }
    return Published(of, models, _SOURCES.get(of, SOURCE))
