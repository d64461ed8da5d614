"""Page: the model's numbers beside the paper's, those of the models it builds on, and what needs no video."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vidistill.base.wording import percent, plural
from vidistill.evaluation import doubts, metrics, summary, tables
from vidistill.evaluation.published import SOURCE, published
from vidistill.evaluation.tables import COLUMNS, TablesSettings
from vidistill.evaluation.terminal import number, unscored
from vidistill.report import page
from vidistill.report.material import Material


def make(material: Material) -> str:
    """The page."""
    s, result = material.settings, material.result
    if not result["metrics"]:
        return page.document(f"Results: {s.model} on {s.dataset}", unscored(result), *doubts.sentences(result))
    results = {s.model: result, **{other: alone(material, other) for other in s.compare_with}}
    order = (*s.compare_with, s.model)  # what it builds on first
    rows = pd.DataFrame(tables.rows(TablesSettings(s.dataset, {"all": order}), results), columns=COLUMNS)
    own, paired = rows[rows["minus"].isna()], rows[rows["minus"].notna()]
    papers, names = published(s.dataset), [name for name in result["metrics"] if not name.startswith("R5")]
    count = len(s.seeds)
    seeds = f"the mean over {count} seeds ± their standard deviation" if count > 1 else "of one seed"
    said = [
        f"Percent of {plural(result['queries'], 'query')} of the split {s.split}: R@m counts those whose predicted "
        f"moment overlaps the true one with an IoU of at least m, mIoU is the mean IoU. Each number is {seeds}, after "
        f"the last epoch; in round brackets the {s.confidence:.0%} interval of a bootstrap over the queries."
    ]
    if papers.models:
        where = "" if papers.dataset == s.dataset else f" They are of {papers.dataset}, which are other queries."
        said.append(f"In square brackets, what papers report.{where} {SOURCE}.")
    else:
        said.append("No paper reports on this data set.")
    parts: list[str] = [
        *said,
        *doubts.sentences(result),
        page.table(("", *names), _grid(own, names, _value), numbers=range(1, len(names) + 1), own=s.model),
        "A constant interval is the best that can be had without looking at the video: one moment, the same share of "
        "every video, fitted on the training moments for each column alone. A model that does not beat it may have "
        "learnt nothing of the videos."
        if result["video_free"]["constant"]
        else "The training split has no moments, so there is no constant interval to compare with.",
        page.heading("Is the difference more than chance?"),
        "Paired, query by query; a difference whose interval contains 0 is not resolved by this many queries.",
        page.table(
            ("", *names),
            _grid(paired.assign(row=paired["row"] + " minus " + paired["minus"]), names, _difference),
            numbers=range(1, len(names) + 1),
        ),
        page.heading("The same predictions, otherwise chosen"),
        "By CPL's rules for choosing among proposals; best of five counts a query when one of the five best proposals "
        "would have counted. The oracle epoch is chosen on the very queries that are reported, as CPL did: it is no "
        "result and not to be quoted.",
        page.table(("", *names), _others(result, names), numbers=range(1, len(names) + 1)),
    ]
    return page.document(f"Results: {s.model} on {s.dataset}", *parts)


def alone(material: Material, model: str) -> dict[str, Any]:
    """A compared model in the form of a result of its own, as far as tables read it, with its own intervals."""
    s, seeds = material.settings, material.scored[model]
    if not seeds:
        return {"metrics": None}
    columns = [material.names.index(name) for name in s.names]

    def intervals(values: Any) -> Any:
        return s.intervals(values[:, columns])

    found = {name: dict(about) for name, about in material.result["comparisons"][model]["alone"].items()}
    assert list(found) == metrics.names(s.thresholds)
    summary.add_intervals(found, seeds, intervals)
    queries = len(next(iter(seeds.values())).query_ids)
    return {"metrics": found, "queries": queries, "video_free": material.result["video_free"], "comparisons": {}}


def _grid(part: pd.DataFrame, names: list[str], cell: Any) -> list[list[object]]:
    """Rows by their label, columns by metric, both in the order in which they come."""
    found = {(row["row"], row["metric"]): cell(row) for _, row in part.iterrows()}
    return [[label, *(found.get((label, name), "") for name in names)] for label in dict.fromkeys(part["row"])]


def _value(row: pd.Series) -> page.Raw:
    count = row["queries"]
    limits = (
        "" if pd.isna(row["low"]) else f"<small>({percent(row['low'], count)} to {percent(row['high'], count)})</small>"
    )
    return page.Raw(tables.value(row) + limits)


def _difference(row: pd.Series) -> page.Raw:
    value, low, high = (
        "" if pd.isna(row[name]) else percent(row[name], row["queries"], sign=True) for name in ("value", "low", "high")
    )
    if not low:
        return page.Raw(value)
    resolved = "resolved" if row["resolved"] else "not resolved"
    return page.Raw(f"{value}<small>({low} to {high})</small><small>{resolved}</small>")


def _others(result: Mapping[str, Any], names: list[str]) -> list[list[object]]:
    rows = {f"by CPL's {rule} rule": found for rule, found in result["rules"].items()}
    five = {
        f"R{name[2:]}" if name.startswith("R5") else name: v for name, v in result["metrics"].items() if name[1] == "5"
    }
    rows["best of five"] = five
    chosen = result["selection"]
    rows["epoch of the lowest held-out loss"] = chosen["held_out"] and chosen["held_out"]["metrics"]
    rows["oracle epoch, no result"] = chosen["oracle"]["metrics"]
    return [
        [label, *(number(found[name], result["queries"]) if name in found else "" for name in names)]
        for label, found in rows.items()
        if found
    ]
