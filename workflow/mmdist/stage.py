"""What every stage's command line shares: arguments, logging, errors that a person can act on."""

import argparse
import logging
import sys
from collections.abc import Callable


class UserError(Exception):
    """Something that the user can mend, said in one sentence: what, where (file, key, video id), what to do."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that every stage has: its settings as one JSON text."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--settings", required=True, help="the stage's settings, one JSON object")
    return parser


def run(main: Callable[[], None]) -> None:
    """Run a stage's main: log to stderr, end with status 1 and one sentence on a `UserError`."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
