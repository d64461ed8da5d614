"""Page: the model's numbers, with published numbers, the models it builds on, and video-free baselines."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vidistill.base.wording import percent, plural
from vidistill.evaluation import cost, doubts, summary, tables
from vidistill.evaluation.published import OTHER_CODE, sources
from vidistill.evaluation.tables import COLUMNS, TablesSettings
from vidistill.evaluation.terminal import number, unscored
from vidistill.report import finding, page
from vidistill.report.material import Material


def make(material: Material) -> str:
    """The page."""
    s, result = material.settings, material.result
    if not result["metrics"]:
        return page.document(f"Results: {s.model} on {s.dataset}", unscored(result), *doubts.sentences(result))
    results = {s.model: result, **{other: alone(material, other) for other in s.compare_with}}
    order = (*s.compare_with, s.model)  # compared models first
    costs = {model: cost.of(result, model) for model in order}
    settings = TablesSettings(dataset=s.dataset, tables={"all": order})
    rows = pd.DataFrame(tables.rows(settings, results, costs), columns=COLUMNS)
    own, paired = rows[rows["minus"].isna()], rows[rows["minus"].notna()]
    names = [name for name in result["metrics"] if not name.startswith("R5")]
    count = len(s.seeds)
    seeds = f"the mean over {count} seeds ± standard deviation" if count > 1 else "from one seed"
    legend = [
        f"Percent of {plural(result['queries'], 'query')} of the split {s.split}. R@m counts queries whose predicted "
        f"moment has an IoU of at least m with the true one; mIoU is the mean IoU. Each number is {seeds}, after the "
        f"last epoch; in round brackets, the {s.confidence:.0%} bootstrap interval over the queries."
    ]
    if papers := sources(s.dataset, [*OTHER_CODE, *order]):
        legend.append(f"In square brackets, published numbers. {papers}.")
    else:
        legend.append("No paper reports on this data set.")
    parts: list[str] = [
        finding.of_moments(result, s.thresholds),
        *legend,
        *doubts.sentences(result),
        page.table(("", *names), _grid(own, names, _value), numbers=range(1, len(names) + 1), own=s.model),
        "The constant interval is the best prediction without video: one moment, the same share of every video, fitted "
        "on the training moments separately for each column. A model that does not beat it may have learned nothing "
        "about the videos."
        if result["video_free"]["constant"]
        else "The training split has no moments, so the constant interval cannot be fitted.",
        page.heading("Differences"),
        "Paired, query by query. A difference is clear if its interval excludes 0, and within noise otherwise.",
        page.table(
            ("", *names),
            _grid(paired.assign(row=paired["row"] + " minus " + paired["minus"]), names, _difference),
            numbers=range(1, len(names) + 1),
        ),
        page.heading("Supervision and cost"),
        "Training moments are those that the training read: none with weak or pseudo supervision. "
        + cost.conditions(result["efficiency"]),
        page.table(("", *cost.HEADER), [[m, *cost.texts(costs[m])] for m in order], numbers=range(2, 6), own=s.model),
        page.heading("Other selection rules"),
        "CPL's rules for choosing among proposals. Best of five counts a query if any of its five best proposals "
        "counts. The oracle epoch is chosen on the reported queries, as in CPL: do not report it.",
        page.table(("", *names), _others(result, names), numbers=range(1, len(names) + 1)),
    ]
    return page.document(f"Results: {s.model} on {s.dataset}", *parts)


def alone(material: Material, model: str) -> dict[str, Any]:
    """A compared model in the form of a result, as far as tables read it, with its own intervals."""
    s, seeds = material.settings, material.scored[model]
    if not seeds:
        return {"metrics": None}
    columns = [material.names.index(name) for name in s.names]

    def intervals(values: Any) -> Any:
        return s.intervals(values[:, columns])

    found = {name: dict(about) for name, about in material.result["comparisons"][model]["alone"].items()}
    assert list(found) == s.names
    summary.add_intervals(found, seeds, intervals)
    queries = len(next(iter(seeds.values())).query_ids)
    return {"metrics": found, "queries": queries, "video_free": material.result["video_free"], "comparisons": {}}


def _grid(part: pd.DataFrame, names: list[str], cell: Any) -> list[list[object]]:
    """Rows by label, columns by metric, both in order of appearance."""
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
    clear = "clear" if row["resolved"] else "within noise"
    return page.Raw(f"{value}<small>({low} to {high})</small><small>{clear}</small>")


def _others(result: Mapping[str, Any], names: list[str]) -> list[list[object]]:
    rows = {summary.OTHER_RULES[rule]: found for rule, found in result["rules"].items()}
    five = {
        f"R{name[2:]}" if name.startswith("R5") else name: v for name, v in result["metrics"].items() if name[1] == "5"
    }
    rows["best of five"] = five
    chosen = result["selection"]
    if chosen:  # predictions that were made elsewhere have no epochs
        rows["epoch of the lowest held-out loss"] = chosen["held_out"] and chosen["held_out"]["metrics"]
        rows["oracle epoch (do not report)"] = chosen["oracle"]["metrics"]
    return [
        [label, *(number(found[name], result["queries"]) if name in found else "" for name in names)]
        for label, found in rows.items()
        if found
    ]
