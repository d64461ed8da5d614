"""Stage `words`: all words of the sentences that are counted, one a line, for a text encoder.

A file of its own, so that sentences that change without a new word encode nothing again.
"""

from collections.abc import Sequence
from pathlib import Path

from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.stage import arguments, run
from vidistill.data import labels, vocabulary
from vidistill.settings.vocabulary import WordsSettings


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    settings = settings_module.parse(WordsSettings, args.settings)
    queries = labels.with_sentences(store.read_table(args.queries, ["query_id", "split", "sentence", "label"]))
    counts = vocabulary.count_words(queries["sentence"][queries["split"].isin(settings.splits)])
    with store.atomic(args.output) as temporary:
        temporary.write_text("".join(f"{word}\n" for word in sorted(counts)), encoding="utf-8")


if __name__ == "__main__":
    run(main)
