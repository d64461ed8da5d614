"""Memory of this machine, for the rules. Standard library only."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# Limits of a container, cgroup version 2 and 1; the first file holds "max" without a limit.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_mb(limits: Iterable[str | Path] = LIMITS) -> int:
    """The memory in MB that this machine, or its container, may use."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in limits:
        with suppress(OSError, ValueError):
            found.append(int(Path(file).read_text()))
    return min(found) // 10**6
