"""How results of sentences and results of labels differ where they stand side by side in tables."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from vidistill.evaluation.terminal import WITHOUT_VIDEO


class Kind(NamedTuple):
    """A kind of result.

    Attributes:
        counted: the key of a result whose number decides about digits.
        one: the noun of what is counted.
        baselines: keys of a result's `video_free`, and their rows.
        about: how numbers and differences are to be read.
        unscored: what a result without numbers lacks, after "no".
        answers: where the answers of such a result are, below results/DATASET/MODEL/.
    """

    counted: str
    one: str
    baselines: Mapping[str, str]
    about: str
    unscored: str
    answers: str


SENTENCES = Kind(
    counted="queries",
    one="query",
    baselines={"constant": "constant interval", "whole_video": "whole video"},
    about="Differences are paired, query by query; a difference is within noise if its bootstrap interval over queries "
    "contains 0. The constant interval is fitted on the training moments, separately for each column.",
    unscored="query of the split {split} has both a moment (start and end) and a prediction",
    answers="predictions.jsonl",
)
LABELS = Kind(
    counted="segments",
    one="segment",
    baselines=WITHOUT_VIDEO,
    about="Mean average precision is that of ActivityNet's toolkit unless a row names the protocol of W-TALC. "
    "Differences are of the same videos; a difference is within noise if its bootstrap interval over videos contains "
    "0. Constant interval and grid are fitted on the training segments; their rows, and the whole video, are told each "
    "video's labels, but for the grid of all labels.",
    unscored="video of the split {split} has both a segment (label, start and end) and a prediction",
    answers="seed-SEED/detections.json",
)


def of(result: Mapping[str, Any]) -> Kind:
    """The kind of a result."""
    return LABELS if result.get("task") == "localization" else SENTENCES
