"""Published numbers, in percent, for comparison. None is EMTM's own: they could not be verified."""

from collections.abc import Iterable
from typing import NamedTuple

OTHER_CODE = ("CPL", "TSCN", "UM", "CO2-Net", "RSKP")  # have rows of their own, since they are no models here


class Paper(NamedTuple):
    """Where numbers are from: `text` for readers, and the names of the metrics."""

    text: str
    charades: tuple[str, ...] = ("R@0.3", "R@0.5", "R@0.7")
    activitynet: tuple[str, ...] = ("R@0.1", "R@0.3", "R@0.5")
    tacos: tuple[str, ...] = ("R@0.1", "R@0.3", "R@0.5")
    wtalc: bool = False  # whether the numbers are by the protocol of W-TALC
    thumos14: tuple[str, ...] = ("mAP@0.1", "mAP@0.2", "mAP@0.3", "mAP@0.4", "mAP@0.5", "mAP@0.6", "mAP@0.7", "mAP")


class Published(NamedTuple):
    paper: Paper
    dataset: str  # of the numbers
    metrics: dict[str, float]


MMDIST = Paper(
    "MMDist: Bao et al., AAAI 2024, Tables 1, 3, 4, 5; CPL: Zheng et al., CVPR 2022, whose code reports the epoch that "
    "is best on the test split"
)
_WITH_MIOU = ("R@0.3", "R@0.5", "R@0.7", "mIoU")
SEQPAN = Paper(
    "SeqPAN: as VMRFrame, code of EMTM's authors, states it; moments are rounded to snippets there, which is easier, "
    "and the epoch is the best on the test split",
    charades=_WITH_MIOU,
    activitynet=_WITH_MIOU,
)
MAP2D = Paper(
    "2D-TAN: the readme of its code, pooled, for Charades-STA on VGG features",
    charades=("R@0.5", "R@0.7"),
    activitynet=("R@0.3", "R@0.5", "R@0.7"),
)
MMSD = Paper("MMSD and UM: the readme of MMSD's code, by the protocol of W-TALC", wtalc=True)
RSKP = Paper("CO2-Net and RSKP: the readme of RSKP's code, by the protocol of W-TALC", wtalc=True, thumos14=("mAP",))
ACTIONS = Paper(
    "TSCN and UM: the list VividLe/awesome-weakly-supervised-action-localization",
    activitynet=("mAP@0.5", "mAP@0.75", "mAP@0.95", "mAP"),
)
# By data set and model, under the names in config.yaml. MMSD's own numbers for ActivityNet-1.3 could not be verified.
_NUMBERS: dict[str, dict[str, tuple[Paper, tuple[float, ...]]]] = {
    "charades-cpl": {
        "CPL": (MMDIST, (66.40, 49.24, 22.39)),
        "baseline": (MMDIST, (67.26, 51.58, 24.22)),
        "student": (MMDIST, (68.90, 53.29, 25.27)),
        "teacher": (MMDIST, (70.11, 54.72, 26.00)),
        "baseline-no-local": (MMDIST, (65.83, 50.54, 23.31)),
        "baseline-no-global": (MMDIST, (60.42, 44.36, 20.80)),
        "student-no-local": (MMDIST, (68.21, 51.68, 24.45)),
        "student-no-global": (MMDIST, (68.02, 52.85, 24.98)),
        "teacher-concatenation": (MMDIST, (67.92, 52.31, 24.64)),
        "teacher-no-mutual": (MMDIST, (69.73, 53.86, 24.76)),
    },
    "charades": {
        "seqpan": (SEQPAN, (73.84, 60.86, 41.34, 53.92)),
        "map2d": (MAP2D, (40.94, 22.85)),
    },
    "activitynet": {
        "CPL": (MMDIST, (79.86, 53.67, 31.24)),
        "baseline": (MMDIST, (82.27, 56.92, 31.80)),
        "student": (MMDIST, (83.11, 58.69, 32.52)),
        "teacher": (MMDIST, (82.89, 58.53, 32.98)),
        "seqpan": (SEQPAN, (61.65, 45.50, 28.37, 45.11)),
        "map2d": (MAP2D, (59.45, 44.51, 26.54)),
    },
    "tacos": {"map2d": (MAP2D, (47.59, 37.29, 25.32))},
    "thumos14": {
        "UM": (MMSD, (67.5, 61.2, 52.3, 43.4, 33.7, 22.9, 12.1, 41.9)),
        "CO2-Net": (RSKP, (44.6,)),
        "RSKP": (RSKP, (45.1,)),
        "mmsd": (MMSD, (69.7, 64.3, 54.6, 45.0, 36.4, 23.0, 12.3, 43.6)),
    },
    "activitynet-1.3": {"TSCN": (ACTIONS, (35.3, 21.4, 5.3, 21.7)), "UM": (ACTIONS, (37.0, 23.9, 5.7, 23.7))},
}
# Two splits of Charades-STA: where a paper does not report on one, its numbers for the other are shown, and named so.
_OTHER_SPLIT = {"charades": "charades-cpl", "charades-cpl": "charades"}


def published(dataset: str) -> dict[str, Published]:
    """Published numbers by model, for a data set or else for its other split."""
    found = {}
    for of in (_OTHER_SPLIT.get(dataset), dataset):
        for model, (paper, values) in _NUMBERS.get(of or "", {}).items():
            names = getattr(paper, str(of).partition("-")[0])
            found[model] = Published(paper, str(of), dict(zip(names, values, strict=True)))
    return found


def sources(dataset: str, models: Iterable[str]) -> str:
    """Where the numbers of these models are from; empty without numbers."""
    known = published(dataset)
    used = dict.fromkeys((known[model].paper, known[model].dataset) for model in models if model in known)
    texts = [p.text + ("" if of == dataset else f", for {of}, which has other queries") for p, of in used]
    return ". ".join(texts)
