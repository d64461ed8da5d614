"""Lines at the end of a terminal that change while a run goes on, below those that stay."""

import shutil
from collections.abc import Sequence
from typing import TextIO

HIDE_BELOW = "\r\033[J"  # everything from here to the end of the screen
UP = "\033[{}A"


class Block:
    """The lines that change. Between calls, the cursor stands before the first of them.

    So whatever else writes to the terminal does so there, and the next `hide` leaves it.
    """

    def __init__(self, stream: TextIO):
        self.stream, self.shown = stream, 0

    @property
    def width(self) -> int:
        return max(40, min(80, shutil.get_terminal_size((80, 24)).columns))

    def show(self, lines: Sequence[str]) -> None:
        """Show these lines in place of those before."""
        cut = [line[: self.width - 1] for line in lines]
        below = "".join(f"\n{line}" for line in cut).removeprefix("\n")
        up = UP.format(len(cut) - 1) if len(cut) > 1 else ""
        self.stream.write(f"{HIDE_BELOW}{below}{up}\r")
        self.stream.flush()
        self.shown = len(cut)

    def hide(self) -> None:
        """Take the lines away."""
        if self.shown:
            self.stream.write(HIDE_BELOW)
            self.stream.flush()
            self.shown = 0
