"""Which settings of a network name files, and which do not affect what it computes."""

from vidistill.base.settings import Section
from vidistill.base.stage import UserError

FILES = ("weights", "mean", "pca", "config")  # settings that name a file; its content counts, not its path
WHERE = ("device", "threads")  # settings that do not affect the result


def check_listed(settings: Section, listed: list[str] | None) -> None:
    """Raise UserError if the settings name a file that the workflow does not track."""
    named = [getattr(settings, name) for name in FILES if getattr(settings, name, None)]
    if listed is not None and (unlisted := [path for path in named if path not in listed]):
        raise UserError(f"the settings use {unlisted[0]}, which --weights does not list; add it there.")
