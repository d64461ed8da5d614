"""Check files named by a person before any work begins."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from vidistill.base import store
from vidistill.base.stage import UserError


def check_input(path: str | Path, remedy: str) -> None:
    """Check that a file can be read.

    Args:
        remedy: what to do if it cannot; the end of the message.

    Raises:
        UserError: it does not exist, is a folder or a device, is empty, or may not be read.
    """
    if problem := _unreadable(Path(path)):
        raise UserError(f"{path} {problem}; {remedy}.")


def _unreadable(path: Path) -> str | None:
    try:
        about = os.stat(path)
        if stat.S_ISDIR(about.st_mode):
            return "is a folder"
        if not stat.S_ISREG(about.st_mode):  # reading a pipe could block forever
            return "is a pipe or a device"
        with open(path, "rb") as file:
            return None if file.read(1) else "is empty"
    except (FileNotFoundError, NotADirectoryError):
        return "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
    except OSError as error:
        return f"cannot be read ({_reason(error)})"


def check_output(path: str | Path, remedy: str, inputs: Iterable[str | Path] = ()) -> None:
    """Check that a file can be written, by writing beside it. Folders are not created: their names may be misspelt.

    Args:
        remedy: what to do if it cannot; the end of the message.
        inputs: files that are read and must not be overwritten.

    Raises:
        UserError: it is a folder, a device, one of `inputs` or write-protected, or its folder is missing or read-only.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder; {remedy}.")
        if not path.parent.is_dir():
            raise UserError(
                f"{path} cannot be written: the folder {path.parent} does not exist; create it, or {remedy}."
            )
        if path.exists():
            if not path.is_file():
                raise UserError(f"{path} is a pipe or a device; {remedy}.")
            if any(os.path.exists(name) and path.samefile(name) for name in inputs):
                raise UserError(f"{path} is an input and would be overwritten; {remedy}.")
            if not os.access(path, os.W_OK):
                raise UserError(f"{path} is write-protected; {remedy}.")
        with store.alone(path):  # creates a file beside it
            pass
    except OSError as error:
        raise UserError(f"{path} cannot be written ({_reason(error)}); {remedy}.") from error


def check_folder(path: str | Path, remedy: str) -> None:
    """Raise UserError if files cannot be written into a folder."""
    if not os.path.isdir(path):
        raise UserError(f"{path} {'is not a folder' if os.path.exists(path) else 'does not exist'}; {remedy}.")
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"{path} cannot be written; {remedy}.")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
