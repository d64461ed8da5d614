"""Self-contained HTML pages: no scripts, and no external fonts or pictures."""

import base64
import logging
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from vidistill.base import store

log = logging.getLogger(__name__)

_CSS = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif; color: #1c1c1c;
  background: #fff; margin: 1.4rem 1.4rem 3rem; max-width: 68rem; }
h1 { font-size: 1.45rem; margin: 0 0 .4rem; } h2 { font-size: 1.12rem; margin: 1.9rem 0 .4rem; }
p { margin: .35rem 0 .8rem; max-width: 52rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; text-align: left; border-bottom: 1px solid #e2e2e2; vertical-align: top; }
th { border-bottom: 2px solid #444; font-weight: 600; }
td:first-child, .number { white-space: nowrap; } .number { text-align: right; }
.own td { font-weight: 600; background: #fdf3ec; }
small { color: #555; font-weight: 400; display: block; }
code { font: .92em "DejaVu Sans Mono", Menlo, Consolas, monospace; }
section { margin-top: 3rem; border-top: 3px solid #d8d8d8; padding-top: 1.2rem; }
img { max-width: 100%; margin-top: .6rem; }
.finding { font-size: 1.12rem; border-left: .3rem solid #0072B2; padding-left: .8rem; }
nav ol { columns: 18rem; margin: .3rem 0 1rem; padding-left: 1.4rem; }
@media (max-width: 45rem) { body { margin: 1rem .8rem 2rem; } img { max-width: none; width: 46rem; } }
.bar { display: inline-block; height: .7em; background: #0072B2; vertical-align: baseline; min-width: 1px; }
"""
_OPEN, _CLOSE = "<body>\n", "\n</body></html>\n"


class Raw(str):
    """Text that is HTML already."""


def text(value: object) -> str:
    return value if isinstance(value, Raw) else escape(str(value))


def paragraph(value: object) -> Raw:
    return Raw(f"<p>{text(value)}</p>")


def heading(value: object) -> Raw:
    return Raw(f"<h2>{text(value)}</h2>")


def table(
    header: Sequence[object], rows: Iterable[Sequence[object]], *, numbers: Iterable[int] = (), own: str = ""
) -> Raw:
    """A table.

    Args:
        numbers: columns to align right.
        own: highlights rows with this first cell.
    """
    right = frozenset(numbers)

    def row(cells: Sequence[object], tag: str) -> str:
        marks = (' class="number"' if i in right else "" for i in range(len(cells)))
        return "".join(f"<{tag}{mark}>{text(cell)}</{tag}>" for cell, mark in zip(cells, marks, strict=True))

    lines = [
        f"<tr{' class=own' if own and cells[0] == own else ''}>{row(cells, 'td')}</tr>" for cells in map(list, rows)
    ]
    return Raw(
        f"<div><table><thead><tr>{row(header, 'th')}</tr></thead><tbody>\n"
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )


def picture(data: bytes, kind: str, words: str) -> Raw:
    """An embedded picture, `kind` svg or png; `words` is its alternative text."""
    mime = {"svg": "image/svg+xml", "png": "image/png"}[kind]
    source = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    return Raw(f'<div><img alt="{escape(words)}" src="{source}"></div>')  # scrolls on narrow screens


def document(title: str, *parts: str) -> str:
    """A complete page; parts that are not `Raw` become paragraphs."""
    body = "\n".join(part if isinstance(part, Raw) else paragraph(part) for part in parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_CSS}</style></head>{_OPEN}<h1>{escape(title)}</h1>\n{body}{_CLOSE}"
    )


def write(path: Path, data: str | bytes) -> None:
    """Write a page or a picture whole or not at all."""
    with store.atomic(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
    log.info("%s", path)


def joined(title: str, documents: Iterable[str]) -> str:
    """All documents on one page: what was found, a table of contents, and the documents."""
    whole = "\0".join(document.partition(_OPEN)[2].rpartition(_CLOSE)[0] for document in documents)
    found = re.findall('<p class="finding">.*?</p>\n?', whole, re.DOTALL)
    for one in found:
        whole = whole.replace(one, "", 1)
    bodies = whole.split("\0")
    titles = [re.findall("<h1>(.*?)</h1>", body)[0].partition(": ")[0] for body in bodies]
    links = "".join(f'<li><a href="#{i}">{name}</a></li>' for i, name in enumerate(titles))
    contents = Raw(f'<nav aria-label="Contents"><h2>Contents</h2><ol>{links}</ol></nav>')
    sections = (f'<section id="{i}">{body}</section>' for i, body in enumerate(bodies))
    return document(title, *map(Raw, found), contents, *map(Raw, sections))
