"""Stage `external_predictions`: predictions that were made elsewhere, as the table of a model of this workflow."""

import csv
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from vidistill.base import store
from vidistill.base.settings import parse
from vidistill.base.stage import UserError, arguments, run
from vidistill.base.wording import plural
from vidistill.data import labels
from vidistill.evaluation import inputs, submission, toolkit
from vidistill.evaluation.submission import Flaw
from vidistill.settings.external_predictions import ExternalPredictionsSettings
from vidistill.training import detections

log = logging.getLogger(__name__)
# In full precision, unlike predictions of the networks: clips of two seconds often have an IoU of exactly 0.5.
SUBMITTED = pa.schema(
    [
        ("epoch", pa.int16()),
        ("query_id", pa.string()),
        ("split", pa.string()),
        ("proposal_index", pa.int16()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("score", pa.float64()),
        ("reconstruction_error", pa.float64()),
    ]
)


def moments(s: ExternalPredictionsSettings, source: Path, queries: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table of predictions of moments, and what is said about it.

    Raises:
        UserError: no row fits.
    """
    rows, flaws, count = submission.read(source)
    matched = submission.match(rows, queries, s.split, s.id_prefix)
    flaws += matched.flaws
    if not matched.rows:
        raise _nothing(s, source, flaws)
    table = submission.table(matched.rows, queries).assign(reconstruction_error=None)
    return table, {"unit": "row", "rows": count, "used": len(matched.rows), "flaws": flaws}


def segments(
    s: ExternalPredictionsSettings, source: Path, queries: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table of detections, and what is said about it.

    Raises:
        UserError: no segment fits.
    """
    table, flaws, count, used = toolkit.read(source, queries, s.split, s.id_prefix)
    if not used:
        raise _nothing(s, source, flaws)
    return table, {"unit": "segment", "rows": count, "used": used, "flaws": flaws}


def _nothing(s: ExternalPredictionsSettings, source: Path, flaws: Sequence[Flaw]) -> UserError:
    reason = f" (for example {place(flaws[0])}{flaws[0].problem})" if flaws else ""
    return UserError(f"nothing in {source} fits the data set {s.dataset}{reason}; give its predictions on {s.dataset}.")


def place(flaw: Flaw) -> str:
    """Where a flaw is, as the beginning of a sentence."""
    named = [f"line {flaw.line}"] if flaw.line else []
    named += [flaw.row] if flaw.row else []
    return f"{', '.join(named)}: " if named else ""


def write_flaws(path: Path, flaws: Iterable[Flaw]) -> None:
    """Write a CSV with a header."""
    with store.atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Flaw._fields)
        writer.writerows((*flaw[:3], "yes" if flaw.used else "no") for flaw in flaws)


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    for option in ("--queries", "--source", "--predictions", "--flaws"):
        parser.add_argument(option, type=Path, required=True)
    args = parser.parse_args(argv)
    s = parse(ExternalPredictionsSettings, args.settings)
    of_moments = s.task == "grounding"
    if of_moments:
        table, found = moments(s, args.source, labels.with_sentences(store.read_table(args.queries)))
    else:
        table, found = segments(s, args.source, store.read_table(args.queries))
    flaws: list[Flaw] = sorted(found.pop("flaws"), key=lambda flaw: flaw.line or 0)
    for (problem, used), count in Counter((kind(flaw), flaw.used) for flaw in flaws).most_common():
        kept = "the rest of the row is used" if used else "left out"
        log.warning("%s: %s, for example %s (%s)", args.source, plural(count, "flaw"), problem, kept)
    described = {
        **{"file": str(args.source), "sha256": store.file_digest(args.source), **found},
        "left_out": found["rows"] - found["used"],
        "listed": [f"{place(flaw)}{flaw.problem}" for flaw in flaws if not flaw.used][: s.list_at_most],
        "settings": {"model": s.model, "dataset": s.dataset, "streams": [], "train_splits": list(s.train_splits)},
        "supervision": s.supervision,
    }
    metadata = {inputs.EXTERNAL: json.dumps(described, sort_keys=True)}
    if of_moments:
        store.write_table(args.predictions, table, SUBMITTED, ["query_id", "proposal_index"], **metadata)
    else:
        detections.write(args.predictions, table, **metadata)
    write_flaws(args.flaws, flaws)
    log.info("%s: %d of %s used", args.source, found["used"], plural(found["rows"], found["unit"]))


def kind(flaw: Flaw) -> str:
    """A flaw without what differs from row to row."""
    return re.sub(r"\d+", "N", re.sub(r"'.*'|\".*\"", "...", flaw.problem))


if __name__ == "__main__":
    run(main)
