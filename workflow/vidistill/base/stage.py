"""What every stage's command line shares: arguments, logging, errors that a person can act on."""

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
    """Something that the user can mend, said in one sentence: what, where (file, key, video id), what to do."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that every stage has: its settings as one JSON text."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--settings", required=True, help="the stage's settings, one JSON object")
    return parser


def run(main: Callable[[], None]) -> None:
    """Run a stage's main: log to stderr, end with status 1 and one sentence on what the user can mend."""
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
    """Sentences for the user, one per line, as logs and the terminal have them."""
    return "\n".join(f"{ERROR}{line}" for line in text.splitlines())


def is_memory(error: BaseException) -> bool:
    """Whether memory was too small."""
    return isinstance(error, MemoryError | BrokenProcessPool) or bool(
        re.search(r"out of memory|can't allocate memory", str(error), re.IGNORECASE)
    )


def of_the_machine(error: BaseException) -> str | None:
    """What to do about an error that is neither the code's nor the data's: disk, permissions, memory; or None.

    Libraries say the same in their own ways, some in their texts alone.
    """
    text, place = " ".join(str(error).split()), getattr(error, "filename", None)
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or re.search(r"No space left|File too large", text):
        return f"no space is left on the disk ({text}); free some and run the same command again: nothing done is lost."
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{place or text}: {os.strerror(number).lower()}; make it accessible and run the same command again."
    if isinstance(error, BrokenProcessPool):
        return (
            "a worker process was killed, most likely for want of memory; run the same command again, with more of it "
            "(--set-resources) or fewer jobs at once (--cores)."
        )
    if is_memory(error):
        first = str(error).partition("\n")[0] or type(error).__name__
        return (
            f"memory is not enough ({first}); run fewer jobs at once "
            "(--cores), or lower train.optimisation.batch_size or i3d.chunk."
        )
    return None
