"""Shared by the command lines of all stages: arguments, logging, errors for users."""

import argparse
import errno
import logging
import os
import re
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool

from vidistill.base.job_logs import ERROR, TRY_AGAIN


class UserError(Exception):
    """An error that the user can fix, in one sentence: what, where (file, key, video id), what to do."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option of every stage: its settings as JSON."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--settings", required=True, help="the stage's settings, one JSON object")
    return parser


def run(main: Callable[[], None]) -> None:
    """Run a stage's main, logging to stderr; errors that the user can fix end it with status 1 and one sentence."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        main()
    except UserError as error:
        sys.exit(as_lines(str(error)))
    except Exception as error:
        if not (sentence := of_the_machine(error)):
            raise
        again = is_memory(error)
        sys.exit("\n".join([as_lines(sentence), *([TRY_AGAIN] if again else [])]))


def as_lines(text: str) -> str:
    """Format error sentences, one per line, for logs and the terminal."""
    return "\n".join(f"{ERROR}{line}" for line in text.splitlines())


def is_memory(error: BaseException) -> bool:
    """Whether memory was too small."""
    return isinstance(error, MemoryError | BrokenProcessPool) or bool(
        re.search(r"out of memory|can't allocate memory", str(error), re.IGNORECASE)
    )


def of_the_machine(error: BaseException) -> str | None:
    """The sentence for an error of the machine (disk, permissions, memory); None for other errors.

    Some libraries report these in the text of the exception only.
    """
    text, place = " ".join(str(error).split()), getattr(error, "filename", None)
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or re.search(r"No space left|File too large", text):
        return f"no space is left on the disk ({text}); free some and run the same command again."
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{place or text}: {os.strerror(number).lower()}; make it accessible and run the same command again."
    if isinstance(error, BrokenProcessPool):
        return (
            "a worker process was killed, most likely for lack of memory; run the same command again with more memory "
            "(--set-resources) or fewer jobs at once (--cores)."
        )
    if is_memory(error):
        first = str(error).partition("\n")[0] or type(error).__name__
        return (
            f"out of memory ({first}); run fewer jobs at once "
            "(--cores), or lower train.optimisation.batch_size or i3d.chunk."
        )
    return None
