"""Published numbers, in percent, for comparison: published.csv, in which each row names where it can be read.

A number is entered by who has read it in the document that the row names, never from memory or from another table here.
None is EMTM's own: its tables could not be read.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.csv")
# Methods that models here descend from, or are told apart from; they have rows of their own in the first table.
OTHER_CODE = ("CPL", "TSCN", "UM", "CO2-Net", "RSKP")
# Two splits of Charades-STA: where a paper does not report on one, its numbers for the other are shown, and named so.
_OTHER_SPLIT = {"charades": "charades-cpl", "charades-cpl": "charades"}


@dataclass(frozen=True)
class Published:
    """The numbers of a method on a data set.

    Attributes:
        method: its name in the literature.
        model: the model of config.yaml that it is, or "".
        supervision: weak, full, or none for methods that are not trained on the data set.
        features: what it reads.
        protocol: "W-TALC" for numbers by the protocol of W-TALC, "not stated", or "".
        source: address of a document that has the numbers.
        place: where in it.
        note: what a reader has to know to compare.
    """

    dataset: str
    method: str
    model: str
    supervision: str
    features: str
    protocol: str
    source: str
    place: str
    note: str
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def wtalc(self) -> bool:
        return self.protocol == "W-TALC"


@cache
def read() -> tuple[Published, ...]:
    """All of published.csv, in its order."""
    found: dict[tuple[str, ...], Published] = {}
    with open(FILE, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            metric, value = row.pop("metric"), float(row.pop("value"))
            about: dict[str, Any] = row
            found.setdefault(tuple(row.values()), Published(**about)).metrics[metric] = value
    return tuple(found.values())


def published(dataset: str) -> dict[str, Published]:
    """Published numbers by model of config.yaml, or by name of OTHER_CODE, for a data set or else for its other split.

    Those whose protocol is not stated are left out, since they would stand in a column with others.
    """
    found = {}
    for of in (_OTHER_SPLIT.get(dataset), dataset):
        for one in read():
            if one.dataset == of and (one.model or one.method in OTHER_CODE) and one.protocol != "not stated":
                found[one.model or one.method] = one
    return found


def of_dataset(dataset: str) -> list[Published]:
    """All published numbers on a data set, without those on its other split: weak supervision first."""
    order = ("weak", "none", "full")
    return sorted((one for one in read() if one.dataset == dataset), key=lambda one: order.index(one.supervision))


def sources(dataset: str, models: Iterable[str]) -> str:
    """Where the numbers of these models are from; empty without numbers."""
    known = published(dataset)
    used = [known[model] for model in models if model in known]
    texts = [
        f"{one.place} ({one.source})"
        + (f", by the protocol of {one.protocol}" if one.protocol else "")
        + (f"; {one.note}" if one.note else "")
        + ("" if one.dataset == dataset else f"; for {one.dataset}, which has other queries")
        for one in used
    ]
    return ". ".join(dict.fromkeys(texts))
