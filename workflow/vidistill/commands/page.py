"""Answers as one HTML file beside the video: moments that one clicks, or reaches by keyboard, to jump there."""

import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from vidistill.base import store
from vidistill.base.colours import BLUE

TEMPLATE = Path(__file__).with_name("page.html")


def write(
    path: Path, video: Path, duration: float, answers: Sequence[Mapping[str, Any]], *, title: str, footer: str
) -> None:
    """Write the page. It refers to the video by its place relative to `path`, and to nothing else.

    Args:
        answers: with `sentence`, `note` (or ""), `moments` (with start, end, score) and `activation_map` (or None).
    """
    source = quote(Path(os.path.relpath(video, path.parent)).as_posix())
    # "<" would end the script element if it began "</script>".
    data = json.dumps({"duration": duration, "answers": list(answers)}, ensure_ascii=False).replace("<", "\\u003c")
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(title), source=html.escape(source), footer=html.escape(footer), data=data, mark=BLUE
    )
    with store.atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
