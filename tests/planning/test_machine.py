"""What this machine has."""

from pathlib import Path

import psutil
import pytest

from vidistill.planning import machine


def test_memory_is_the_machines() -> None:
    assert machine.memory_mb([]) == pytest.approx(psutil.virtual_memory().total / 1e6, rel=0.01)


@pytest.mark.parametrize(("text", "expected"), [("2000000000\n", 2000), ("max\n", None), ("9223372036854771712", None)])
def test_a_container_has_as_much_as_it_is_given(tmp_path: Path, text: str, expected: int | None) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(text)
    assert machine.memory_mb([tmp_path / "absent", limit]) == (expected or machine.memory_mb([]))
