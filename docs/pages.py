"""Hooks of MkDocs: add pages from elsewhere in the project, and remove missing pages from the navigation."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# File of the project -> its page.
ELSEWHERE = {
    "README.md": "index.md",
    "config/README.md": "configuration.md",
    "envs/opencv-cuda.md": "opencv-cuda.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:\s]*)(#[^)\s]*)?\)")


def there() -> dict[str, str]:
    """File of the project -> page or picture, for all that exist."""
    pages = {file: page for file, page in ELSEWHERE.items() if (ROOT / file).is_file()}
    own = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("pictures/*")]
    names = (path.relative_to(ROOT / "docs").as_posix() for path in sorted(own))
    return {**pages, **{f"docs/{name}": name for name in names}}


def on_config(config: Any) -> Any:
    pages = {page for page in there().values() if page.endswith(".md")}
    config.nav = complete(only(config.nav, pages), pages)
    return config


def complete(entries: list[Any], pages: set[str]) -> list[Any]:
    """The navigation with unlisted pages at its end."""
    listed = str(entries)
    left = sorted(page for page in pages if f"'{page}'" not in listed)
    return [*entries, {"Further": left}] if left else entries


def only(entries: list[Any], pages: set[str]) -> list[Any]:
    """The navigation without missing pages and empty sections."""
    kept = []
    for entry in entries:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            target = only(target, pages)
        elif target not in pages:
            continue
        if target:
            kept.append({title: target})
    return kept


def on_files(files: Files, config: Any) -> Files:
    for source, page in there().items():
        if source in ELSEWHERE:
            files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links between project files into links between pages; links to missing pages become plain text."""
    known = there()
    source = next(file for file, name in known.items() if name == page.file.src_uri)

    def moved(found: re.Match[str]) -> str:
        mark, words, target, anchor = found[1], found[2], found[3], found[4] or ""
        if not target:
            return found[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        return f"{mark}[{words}]({known[file]}{anchor})" if file in known else words

    return LINK.sub(moved, markdown)
