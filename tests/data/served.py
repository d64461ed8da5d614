"""A web server on this machine, for downloads: with ranges and without, slow, breaking off, moving; and archives."""

import hashlib
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

BODY = bytes(range(256)) * 4000  # about a megabyte
DIGEST = hashlib.sha256(BODY).hexdigest()


@dataclass
class Served:
    """What a path gives, and what was asked of it."""

    body: bytes
    ranges: bool = True
    length: bool = True  # whether it says how long it is
    break_after: list[int] = field(default_factory=list)  # bytes of the body that each answer gives before breaking off
    first: list[int] = field(default_factory=list)  # status of each answer before the good ones
    moved_to: str | None = None
    asked: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serve(**paths: Served) -> Iterator[str]:
    """The server's address while the block runs; `paths` without their slash."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            about = paths.get(self.path.lstrip("/"))
            if about is None:
                return self._empty(404)
            about.asked.append(dict(self.headers))
            if about.first:
                return self._empty(about.first.pop(0), about)
            if about.moved_to:
                return self._empty(302, about)
            start = self._start(about)
            if start and start >= len(about.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(about.body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            self._give(about, start)
            return None

        def _start(self, about: Served) -> int:
            asked = self.headers.get("Range")
            if not asked or not about.ranges:
                return 0
            return int(asked.removeprefix("bytes=").rstrip("-"))

        def _give(self, about: Served, start: int) -> None:
            rest = about.body[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(about.body) - 1}/{len(about.body)}")
            if about.length:
                self.send_header("Content-Length", str(len(rest)))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            if about.break_after:
                rest = rest[: about.break_after.pop(0)]
                self.close_connection = True
            self.wfile.write(rest)

        def _empty(self, status: int, about: Served | None = None) -> None:
            self.send_response(status)
            if about and about.moved_to:
                self.send_header("Location", about.moved_to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kinds(asked: list[dict[str, str]]) -> dict[str, int]:
    """How many requests asked for the whole and how many for a part."""
    found: dict[str, int] = defaultdict(int)
    for headers in asked:
        found["part" if "Range" in headers else "whole"] += 1
    return dict(found)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


class Usage(NamedTuple):
    total: int = 0
    used: int = 0
    free: int = 1000


def archive(path: Path, members: Mapping[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name) if "\\" not in name else name, content)
    return path.read_bytes()


VIDEOS = {
    "Charades/one.mp4": b"1",
    "Charades/two.mp4": b"22",
    "Charades/notes.txt": b"no",
    "__MACOSX/._one.mp4": b"no",
    "Charades/._two.mp4": b"no",
}
