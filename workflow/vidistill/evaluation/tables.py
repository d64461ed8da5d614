"""Stage `tables`: results of many models side by side, with published numbers."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vidistill.base import store
from vidistill.base.settings import Section, parse
from vidistill.base.stage import UserError, arguments, run
from vidistill.base.wording import percent, plural
from vidistill.evaluation import cost, doubts, kinds, power
from vidistill.evaluation.cost import Cost
from vidistill.evaluation.kinds import Kind
from vidistill.evaluation.published import OTHER_CODE, Published, of_dataset, published, sources

log = logging.getLogger(__name__)
MANY = 1_000_000  # queries that no data set has
NEEDS = (
    "A number of queries, videos or seeds after a difference says how many it would need to be clear in four of five "
    f"repetitions, estimated from the spread at hand: {power.FORMULA}."
)
NEEDED = ("queries_needed", "videos_needed", "seeds_needed")
COLUMNS = [
    *("table", "row", "minus", "metric", "value", "std", "seeds", "queries", "segments", "low", "high", "resolved"),
    *(*NEEDED, "published", "published_on"),
    *cost.COLUMNS,
]


class TablesSettings(Section):
    dataset: str
    tables: dict[str, tuple[str, ...]]  # name -> models


def rows(
    s: TablesSettings, results: Mapping[str, Mapping[str, Any]], costs: Mapping[str, Cost]
) -> Iterator[dict[str, Any]]:
    """Every number of every table: models, video-free baselines, and paired differences."""
    papers = published(s.dataset)
    for table, listed in s.tables.items():
        models = [model for model in listed if results[model]["metrics"]]  # others have no numbers
        if not models:
            continue
        first = results[models[0]]
        names, kind = [name for name in first["metrics"] if not name.startswith("R5")], kinds.of(first)
        for other in OTHER_CODE if table == next(iter(s.tables)) else ():
            if other in papers:
                row = _row(other, wtalc=papers[other].wtalc)
                for name in [name for name in papers[other].metrics if name in names]:
                    yield {"table": table, "row": row, "metric": name, **_published(papers[other], name)}
        for wtalc, found in _by_protocol(first).items():
            for baseline, label in kind.baselines.items():
                for name, value in (found["video_free"].get(baseline) or {}).items():
                    about = {"table": table, "row": _row(label, wtalc=wtalc), "metric": name, "value": value}
                    yield {**about, kind.counted: found[kind.counted]}
        for model in models:
            paper = papers.get(model)
            for wtalc, found in _by_protocol(results[model]).items():
                for name in names:
                    metric = found["metrics"][name]
                    yield {
                        **{"table": table, "row": _row(model, wtalc=wtalc), "metric": name},
                        **{"value": metric["mean"], "std": metric["std"], "seeds": len(metric["per_seed"])},
                        kind.counted: found[kind.counted],
                        **_limits(metric.get("interval")),
                        **_published(paper if paper and paper.wtalc == wtalc else None, name),
                        **costs[model],
                    }
        for model in models:
            for other, compared in results[model]["comparisons"].items():
                if other not in ("video_free", *models):
                    continue
                label = "best without video" if other == "video_free" else other
                for name, found in compared["metrics"].items():
                    if name in names:
                        yield {
                            **{"table": table, "row": model, "minus": label, "metric": name},
                            **{"value": found["difference"], "resolved": found["resolved"]},
                            kind.counted: compared[kind.counted],
                            **_limits(found["interval"]),
                            **{f"{what}_needed": count for what, count in found.get("needs", {}).items()},
                            "seeds": len(results[model]["seeds"]),
                        }


def _by_protocol(result: Mapping[str, Any]) -> dict[bool, Mapping[str, Any]]:
    """A result's numbers, and last those by the protocol of W-TALC, if it has them."""
    return {False: result, **({True: result["wtalc"]} if result.get("wtalc") else {})}


def _row(name: str, *, wtalc: bool) -> str:
    return f"{name}, protocol of W-TALC" if wtalc else name


def _published(paper: Published | None, name: str) -> dict[str, Any]:
    if paper is None or name not in paper.metrics:
        return {}
    return {"published": paper.metrics[name], "published_on": paper.dataset}


def _limits(interval: list[float] | None) -> dict[str, float]:
    return {} if interval is None else {"low": interval[0], "high": interval[1]}


def markdown(
    s: TablesSettings, table: pd.DataFrame, results: Mapping[str, Mapping[str, Any]], measured: Mapping[str, Any]
) -> str:
    """All tables as Markdown.

    Args:
        table: of `rows`.
        measured: what stage `efficiency` wrote.
    """
    result = next(iter(results.values()))
    text = [f"# {s.dataset}, split {result['split']}"]
    scored = [model for model, about in results.items() if about["metrics"]]
    kind = kinds.of(result)
    if scored:
        text.append(f"Percent of {_count(kind, results)}; {_over(results)}. {kind.about}")
        text += [cost.conditions(measured), NEEDS]
    if scored and (papers := sources(s.dataset, [*OTHER_CODE, *scored])):
        text.append(f"Square brackets: published numbers. {papers}.")
    text += dict.fromkeys(sentence for about in results.values() for sentence in doubts.sentences(about))
    if unscored := [model for model in results if model not in scored]:
        text.append(
            f"{', '.join(unscored)} cannot be scored: no {kind.unscored.format(split=result['split'])}. "
            f"Their answers are in results/{s.dataset}/MODEL/{kind.answers}."
        )
    for name, part in table.groupby("table", sort=False):
        alone, paired = part[part["minus"].isna()], part[part["minus"].notna()]
        grid = _grid(alone, alone["row"], value)
        costs = alone.dropna(subset="supervision").drop_duplicates("row").set_index("row")
        cells = {label: cost.texts(row.dropna()) for label, row in costs.iterrows()}
        for column, header in enumerate(cost.HEADER):
            grid[header] = [cells[label][column] if label in cells else "" for label in grid.index]
        text += [f"## {name}", _markdown(grid)]
        if not paired.empty:
            text.append(_markdown(_grid(paired, paired["row"] + " minus " + paired["minus"], _difference)))
    if not table.empty and (literature := _literature(s.dataset)):
        text += ["## Published", "Each row names its source; what differs from here is in its note.", literature]
    return "\n\n".join(text) + "\n"


def _literature(dataset: str) -> str:
    """All published numbers on a data set as Markdown; empty if there are none."""
    entries = of_dataset(dataset)
    metrics = list(dict.fromkeys(name for one in entries for name in one.metrics))
    rows = [
        {
            **{"method": one.method, "supervision": one.supervision, "features": one.features},
            **({"protocol": one.protocol} if any(other.protocol for other in entries) else {}),
            **{name: f"{one.metrics[name]:.2f}" if name in one.metrics else "" for name in metrics},
            "source": f"[{one.place}]({one.source})" + (f"; {one.note}" if one.note else ""),
        }
        for one in entries
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)) if rows else ""


def _over(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The seeds that numbers are means over, and the models that have fewer."""
    seeds = max((result["seeds"] for result in results.values()), key=len)
    named = ", ".join(map(str, seeds))
    if len(seeds) == 1:
        return f"of seed {named}"
    fewer = [
        f"{model}: {plural(len(r['seeds']), 'seed')}" for model, r in results.items() if len(r["seeds"]) < len(seeds)
    ]
    but = f" ({', '.join(fewer)})" if fewer else ""
    return f"mean and standard deviation over the seeds {named}{but}"


def _count(kind: Kind, results: Mapping[str, Mapping[str, Any]]) -> str:
    """The number of scored queries or segments, which may differ between models."""
    counts = sorted({result[kind.counted] for result in results.values() if result["metrics"]})
    return " to ".join([*map(str, counts[:-1][:1]), plural(counts[-1], kind.one)])


def _grid(part: pd.DataFrame, labels: pd.Series, cell: Any) -> pd.DataFrame:
    """Rows by label, columns by metric, both in order of appearance, published metrics that are not ours last."""
    cells = part.assign(label=labels, cell=part.apply(cell, axis=1))
    grid = cells.pivot(index="label", columns="metric", values="cell").fillna("")
    metrics = [*cells.loc[cells["value"].notna(), "metric"], *cells["metric"]]
    return grid.loc[list(dict.fromkeys(cells["label"])), list(dict.fromkeys(metrics))]


def _markdown(grid: pd.DataFrame) -> str:
    return str(grid.rename_axis(None).to_markdown(stralign="right", disable_numparse=True))


def value(row: pd.Series) -> str:
    """A model's number, its spread over seeds, and in square brackets the published one."""
    ours = "" if pd.isna(row["value"]) else percent(row["value"], counted(row))
    spread = "" if pd.isna(row["std"]) else f" ± {percent(row['std'], counted(row))}"
    theirs = "" if pd.isna(row["published"]) else f" [{row['published']:.2f}]"
    return (ours + spread + theirs).strip()


def counted(row: pd.Series) -> int:
    """The number of queries or of segments that a number is about."""
    return int(row["segments"] if pd.isna(row["queries"]) else row["queries"])


def _difference(row: pd.Series) -> str:
    value, low, high = (
        None if pd.isna(row[name]) else percent(row[name], counted(row), sign=True) for name in ("value", "low", "high")
    )
    if low is None:
        return str(value)
    needs = [] if row["resolved"] else ["within noise", *_needed(row, "queries"), *_needed(row, "videos")]
    if pd.notna(row["seeds_needed"]) and row["seeds_needed"] > row["seeds"]:
        needs += _needed(row, "seeds")
    return f"{value} ({', '.join([f'{low} to {high}', *needs])})"


def _needed(row: pd.Series, what: str) -> list[str]:
    """How many of these a difference needs, as "2,300 queries"."""
    count = row[f"{what}_needed"]
    return [] if pd.isna(count) else [f"{int(count):,} {what}" if count < MANY else f"over {MANY:,} {what}"]


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="of every model in the tables")
    for option in ("--efficiency", "--csv", "--markdown"):
        parser.add_argument(option, type=Path, required=True)
    args = parser.parse_args(argv)
    s = parse(TablesSettings, args.settings)
    results = {}
    for path in args.results:
        result = json.loads(path.read_text(encoding="utf-8"))
        results[result["model"]] = result
    if absent := {model for models in s.tables.values() for model in models} - results.keys():
        raise UserError(f"the tables need results of {', '.join(sorted(absent))}; add them to --results.")
    trained = [model for model, result in results.items() if "predictions" not in result["models"][model]]
    measured = cost.read(args.efficiency, trained)
    costs = {model: cost.of(result, model, measured) for model, result in results.items()}
    table = pd.DataFrame(rows(s, results, costs), columns=COLUMNS).astype(
        dict.fromkeys((*cost.COUNTS, *NEEDED), "Int64")
    )
    with store.atomic(args.csv) as temporary:
        table.to_csv(temporary, index=False)
    text = markdown(s, table, results, measured)
    with store.atomic(args.markdown) as temporary:
        temporary.write_text(text, encoding="utf-8")
    log.info("%s", text)


if __name__ == "__main__":
    run(main)
