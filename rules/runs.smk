"""Runs in one folder: what a killed one leaves does not stop the next, and a folder that cannot be written is said."""

import fcntl
from pathlib import Path


def begin():
    """Remove the locks that a killed run left, which is known by a lock that the system frees when a process ends.

    Runs hold it together, so that this decides on what is left alone: whether two runs collide, Snakemake does.
    """
    for folder in (".snakemake", "results"):
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise UserError(f"{os.path.abspath(folder)}: {error.strerror.lower()}; run where you can write.") from error
        if not os.access(folder, os.W_OK):
            raise UserError(f"{os.path.abspath(folder)} cannot be written; make it writable, or run elsewhere.")
    lock = open(".snakemake/vidistill.lock", "a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another run is at work, or the file system has no locks
        pass
    else:
        for left in Path(".snakemake/locks").glob("*.lock"):
            left.unlink()
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
    except OSError:
        pass
    return lock


# Not in the processes of cluster jobs, which parse these files, too; a dry run writes nothing.
LOCK = told(begin)() if workflow.is_main_process and not workflow.dryrun else None
