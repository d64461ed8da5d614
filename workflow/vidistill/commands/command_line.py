"""Parse command lines; errors are one sentence and suggest the closest known name."""

import argparse
import difflib
import itertools
import re
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from vidistill.base.stage import UserError

DASHES = "-\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}"  # of word processors


class Parser(argparse.ArgumentParser):
    """A parser that accepts full option names only, since an abbreviation may be a misspelling."""

    def __init__(self, prog: str, description: str | None, epilog: str | None = None):
        super().__init__(prog=prog, description=description, epilog=epilog, allow_abbrev=False)

    def read(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse a command line; None for the process's own.

        Raises:
            UserError: an option is unknown or lacks a value, or a value is invalid or superfluous.
        """
        words = sys.argv[1:] if arguments is None else list(arguments)
        for word in itertools.takewhile(lambda word: word != "--", words):
            name = word.partition("=")[0]
            if is_option(name) and name not in self._option_string_actions:
                raise UserError(
                    f"unknown option {name!r}{meant(name, self._option_string_actions)} `{self.prog} --help` lists all."
                )
        return self.parse_intermixed_args(words)

    def error(self, message: str) -> NoReturn:
        """Raise UserError instead of printing the usage and exiting."""
        raise UserError(f"{message}; see `{self.prog} --help`.")


def is_option(word: str) -> bool:
    """Whether a word is an option: sentences have spaces, and numbers may be negative."""
    return len(word) > 1 and word[0] in DASHES and not re.search(r"\s|^-\.?\d", word)


def meant(name: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?" if a known name begins with it or is similar, otherwise ";"."""
    bare = {_bare(one): one for one in known}
    begun = [one for one in bare if one.startswith(_bare(name)) and _bare(name)]
    near = begun or difflib.get_close_matches(_bare(name), bare, 1)
    return f"; did you mean {bare[near[0]]!r}?" if near else ";"


def _bare(name: str) -> str:
    return name.strip(DASHES).casefold().replace("_", "-")
