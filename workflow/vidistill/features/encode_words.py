"""Stage `encode_words`: the vector that a text encoder gives to each word of a data set."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidistill.base import code, device, store
from vidistill.base import settings as settings_module
from vidistill.base.stage import UserError, arguments, run
from vidistill.data import encoded_words
from vidistill.features import clip, tracked
from vidistill.features.clip_words import TextEncoder
from vidistill.settings.clip import TextEncoderSettings

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--words", type=Path, required=True, help="one word a line, as written by stage words")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--weights", nargs="*", help="all files in the settings; if given, no others are read")
    args = parser.parse_args(argv)
    settings = settings_module.parse(TextEncoderSettings, args.settings)
    tracked.check_listed(settings, args.weights)
    words = args.words.read_text(encoding="utf-8").split("\n")[:-1]
    if not words:
        raise UserError(f"{args.words} has no word; no query is in the splits of vocabulary.splits, correct them.")
    encoder = TextEncoder(settings, device.choose(settings.device, settings.threads))
    if "weights" not in encoder.files:
        log.warning("this text encoder has random weights (none configured, seed %d): fine for a trial", settings.seed)
    encoded_words.write(args.output, words, encoder(words), describe(settings, encoder), encoder.files)


def describe(settings: TextEncoderSettings, encoder: TextEncoder) -> dict[str, Any]:
    """Everything that the vectors depend on besides the words."""
    found = settings.model_dump(exclude={*tracked.WHERE, *tracked.FILES})
    return {
        "settings": found,
        "pretrained": "weights" in encoder.files,
        **{f"{name}_sha256": store.file_digest(path) for name, path in sorted(encoder.files.items())},
        "code": code.digest("vidistill.features.encode_words"),
        "versions": clip.versions(),
    }


if __name__ == "__main__":
    run(main)
