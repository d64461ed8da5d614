"""What this machine has, for the rules. Standard library only."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# Of a container, cgroup version 2 and 1; the first holds "max" when there is none.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_mb(limits: Iterable[str | Path] = LIMITS) -> int:
    """The machine's memory in MB, or as much of it as its container may use."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in limits:
        with suppress(OSError, ValueError):
            found.append(int(Path(file).read_text()))
    return min(found) // 10**6
