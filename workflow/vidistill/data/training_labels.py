"""Stage `training_labels`: what models of actions see of a data set, all videos and labels of the training splits.

So no training and no prediction can see a label of another split, and correcting one trains nothing again.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.stage import UserError, run
from vidistill.base.wording import plural
from vidistill.data import queries, rows
from vidistill.data.annotations import sources
from vidistill.data.queries import QUERIES
from vidistill.settings.queries import TrainingMomentsSettings

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    parser = queries.arguments_with_videos(__doc__)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    s = settings_module.parse(TrainingMomentsSettings, args.settings)
    found = list(rows.training_labels(sources.read(s), s.train_splits))
    table = queries.as_table(found, queries.video_files(args.videos))
    labelled = table.dropna(subset="label")
    named = ", ".join(s.train_splits)
    if labelled.empty:
        raise UserError(
            f"datasets.{s.dataset} has no label in its training splits ({named}); add labels, or correct "
            "train.train_splits."
        )
    videos = plural(labelled["video_id"].nunique(), "video")
    log.info("%s, %s: %s of %s", s.dataset, named, plural(len(labelled), "label"), videos)
    about = {"dataset": s.dataset, "settings": json.dumps(s.model_dump(), sort_keys=True)}
    store.write_table(args.output, table, QUERIES, ["query_id"], **about)


if __name__ == "__main__":
    run(main)
