"""Stage `overview`: all pages of stage `figures` as one self-contained page."""

import logging
from collections.abc import Sequence
from pathlib import Path

from vidistill.base import store
from vidistill.base.settings import Section, parse
from vidistill.base.stage import arguments, run
from vidistill.report import page

log = logging.getLogger(__name__)


class OverviewSettings(Section):
    dataset: str
    model: str


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--pages", type=Path, nargs="+", required=True, help="in reading order")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    s = parse(OverviewSettings, args.settings)
    title = f"What the {s.model} learned on {s.dataset}"
    with store.atomic(args.output) as temporary:
        temporary.write_text(page.joined(title, (path.read_text("utf-8") for path in args.pages)), encoding="utf-8")
    log.info("%s", args.output)


if __name__ == "__main__":
    run(main)
