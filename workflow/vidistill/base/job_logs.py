"""How logs of jobs end: in sentences for the user, each of which begins with "error: ", or otherwise."""

from pathlib import Path

ERROR = "error: "
# The last line of a log where more memory may help.
TRY_AGAIN = "Another attempt may succeed with more memory."


def is_final(log: str | Path) -> bool:
    """Whether another attempt would end as this one did, since the user has something to mend first."""
    try:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith(ERROR) for line in lines) and TRY_AGAIN not in lines
