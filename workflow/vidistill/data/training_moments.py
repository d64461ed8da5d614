"""Stage `training_moments`: the moments of the training queries alone, the one table of moments that training reads."""

import json
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.stage import UserError, arguments, run
from vidistill.base.wording import plural
from vidistill.data import moments
from vidistill.data.annotations import sources
from vidistill.data.moments import MOMENTS
from vidistill.settings.queries import TrainingMomentsSettings

log = logging.getLogger(__name__)


def select(table: pd.DataFrame, queries: pd.DataFrame, splits: Collection[str]) -> pd.DataFrame:
    """The moments of the queries of `splits`; of several windows of a query, the earliest.

    Args:
        table: columns query_id, start, end (seconds).
        queries: columns query_id, split.
    """
    wanted = queries.loc[queries["split"].isin(list(splits)), "query_id"]
    return table[table["query_id"].isin(wanted)].sort_values(MOMENTS.names).drop_duplicates("query_id")


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    s = settings_module.parse(TrainingMomentsSettings, args.settings)
    queries = store.read_table(args.queries, ["query_id", "split", "duration"])
    dated = queries.dropna()
    durations = dict(zip(dated["query_id"], dated["duration"], strict=True))
    table, _ = moments.build(sources.read(s), durations, s.beyond_duration)
    found = select(table, queries, s.train_splits)
    named = ", ".join(s.train_splits)
    if found.empty:
        raise UserError(
            f"datasets.{s.dataset} has no usable moment in its training splits ({named}); add start and end of its "
            "sentences, or train models with supervision: pseudo."
        )
    log.info("%s, %s: %s", s.dataset, named, plural(len(found), "moment"))
    about = {"dataset": s.dataset, "settings": json.dumps(s.model_dump(), sort_keys=True)}
    store.write_table(args.output, found, MOMENTS, ["query_id"], **about)


if __name__ == "__main__":
    run(main)
