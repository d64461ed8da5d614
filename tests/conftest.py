"""What several test files share."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmdist import settings as settings_module

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def config() -> dict[str, Any]:
    """The configuration as users get it."""
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def parse(cls: type, section: dict[str, Any], **changes: Any) -> Any:
    """A stage's settings from a section of the configuration and changes to it."""
    return settings_module.parse(cls, json.dumps({**section, **changes}))


def data(*parts: str) -> Path:
    """A third-party file for checks; the test is skipped when it is absent."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"third-party data absent: {'/'.join(parts)}")
    return path
