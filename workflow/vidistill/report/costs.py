"""Page: time and memory of the expensive rules, measured by Snakemake."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from vidistill.report import page

RULES = (
    "demo",
    "decode",
    "flow",
    "extract",
    "flow_features",
    "train",
    "export",
    "localise",
)  # in the order of the workflow


def read(folder: Path, dataset: str, collection: str, models: Iterable[str]) -> pd.DataFrame:
    """The measurements of a data set: rule, of (stream or model), s, max_rss (MB), cpu_time (s)."""
    wanted, rows = set(models), []
    for path in sorted(folder.rglob("*.tsv")):
        rule, *rest = path.relative_to(folder).with_suffix("").parts
        of = rest[1] if len(rest) > 2 else ""
        training = rule in ("train", "export", "localise")
        belongs = rest[:1] == [dataset if training else collection] and (not training or of in wanted)
        if rule not in RULES or not (belongs or (rule == "demo" and collection == "demo")):
            continue
        measured = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        rows.append(measured[["s", "max_rss", "cpu_time"]].assign(rule=rule, of=of))
    columns = ["rule", "of", "s", "max_rss", "cpu_time"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def make(measured: pd.DataFrame, dataset: str) -> str:
    """The page."""
    if measured.empty:
        return page.document("Time and memory", "results/benchmarks has no measurements of this data set.")
    groups = measured.groupby(["rule", "of"])
    found = groups.agg(
        jobs=("s", "size"), total=("s", "sum"), longest=("s", "max"), cpu=("cpu_time", "sum"), rss=("max_rss", "max")
    ).reset_index()
    found = found.sort_values("rule", key=lambda names: names.map(RULES.index), kind="stable")
    largest = found["total"].max()
    rows: list[tuple[object, ...]] = [
        (
            row.rule,
            row.of,
            row.jobs,
            clock(row.total),
            page.Raw(f'<span class="bar" style="width:{max(1, round(160 * row.total / largest))}px"></span>'),
            clock(row.longest),
            clock(row.cpu),
            "" if pd.isna(row.rss) else f"{row.rss / 1024:.2f}",
        )
        for row in found.itertuples()
    ]
    rows.append(("all", "", found["jobs"].sum(), clock(found["total"].sum()), "", "", clock(found["cpu"].sum()), ""))
    header = ("rule", "of", "jobs", "time", "", "longest job", "CPU time", "most memory, GiB")
    return page.document(
        f"Time and memory: {dataset}",
        "Hours:minutes:seconds summed over jobs, as Snakemake measured their last runs; parallel jobs took less "
        "wall-clock time. Memory is the resident set of the largest job. Cheap rules are not measured.",
        page.table(header, rows, numbers=(2, 3, 5, 6, 7)),
    )


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss; empty if unknown."""
    if pd.isna(seconds):
        return ""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
