"""Command lines that people type: what is wrong is one sentence, which names what is misspelt and what is near it."""

import argparse
import difflib
import itertools
import re
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from vidistill.base.stage import UserError

DASHES = "-\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}"  # as word processors put for one


class Parser(argparse.ArgumentParser):
    """A parser of options by their whole names, since an abbreviation may be a misspelling of another."""

    def __init__(self, prog: str, description: str | None, epilog: str | None = None):
        super().__init__(prog=prog, description=description, epilog=epilog, allow_abbrev=False)

    def read(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """The values of a command line; None for that of the process.

        Raises:
            UserError: an option is unknown or misses a value, a value is of another kind, or there are too many.
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
        """In place of printing the usage and ending the process."""
        raise UserError(f"{message}; `{self.prog} --help` says what it takes.")


def is_option(word: str) -> bool:
    """Whether a word is meant as an option: a sentence has spaces, and a number may be negative."""
    return len(word) > 1 and word[0] in DASHES and not re.search(r"\s|^-\.?\d", word)


def meant(name: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?", where a known name begins like it or is spelt almost like it; a semicolon otherwise."""
    bare = {_bare(one): one for one in known}
    begun = [one for one in bare if one.startswith(_bare(name)) and _bare(name)]
    near = begun or difflib.get_close_matches(_bare(name), bare, 1)
    return f"; did you mean {bare[near[0]]!r}?" if near else ";"


def _bare(name: str) -> str:
    return name.strip(DASHES).casefold().replace("_", "-")
