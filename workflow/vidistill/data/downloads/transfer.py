"""One file over HTTP: resumed where it stopped, tried again when a connection breaks, whole or not at all."""

import errno
import http.client
import json
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from vidistill.base import store
from vidistill.base.progress import Pace
from vidistill.base.stage import UserError

log = logging.getLogger(__name__)
AGAIN = (408, 425, 429, 500, 502, 503, 504)  # what a server may answer now and not in a minute
LONGEST_PAUSE = 60.0  # seconds
FULL = (errno.ENOSPC, errno.EDQUOT)


class _FailedError(Exception):
    """This address does not give the file; another one may."""


@dataclass(frozen=True)
class Patience:
    """When a connection is given up."""

    attempts: int  # in a row without a byte
    timeout: float  # seconds without a byte


def megabytes(number: float) -> str:
    """Bytes for people: 16,340 MB, or 0.4 MB."""
    return f"{number / 1e6:,.1f} MB" if number < 1e7 else f"{number / 1e6:,.0f} MB"


def fetch(
    name: str, urls: tuple[str, ...], target: Path, *, sha256: str | None, size: int | None, patience: Patience
) -> str:
    """Fetch a file from the first of `urls` that gives it; what has arrived is kept beside it as `.part`.

    Args:
        name: of the file, for messages.
        target: appears whole and with the right checksum, or not at all.
        sha256: hexadecimal, or None where nobody publishes it.
        size: bytes; None where unknown.

    Returns:
        The file's SHA-256.

    Raises:
        UserError: no address gives the file, it is another one than expected, or the disk is full.
    """
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for url in urls:
        try:
            digest = _checked(name, url, part, sha256, size, patience)
        except _FailedError as error:
            log.warning("%s: %s", name, error)
            problems.append(str(error))
            continue
        except OSError as error:
            if error.errno in FULL:
                raise UserError(f"{part}: the disk is full; free some space and run this again.") from error
            raise UserError(f"{part} cannot be written: {error.strerror or error}; correct that.") from error
        os.replace(part, target)
        _state(part).unlink(missing_ok=True)
        return digest
    raise UserError(
        f"{name} was not fetched: {'; '.join(problems)}; correct downloads.files.{name}, or get it by hand."
    )


def _checked(name: str, url: str, part: Path, sha256: str | None, size: int | None, patience: Patience) -> str:
    """SHA-256 of the complete part."""
    for is_resumed in (_kept(url, part, sha256) > 0, False):
        _persist(name, url, part, sha256, size, patience)
        digest = store.file_digest(part)
        if sha256 in (None, digest):
            return digest
        _forget(part)
        if not is_resumed:  # else once more from the start, in case that two halves did not belong together
            break
        log.warning("%s: the halves of an interrupted download do not fit; fetching all of it", name)
    raise _FailedError(f"{url} gives a file with the SHA-256 {digest}, {sha256} is expected")


def _persist(name: str, url: str, part: Path, sha256: str | None, size: int | None, patience: Patience) -> None:
    """Transfer with as many attempts as it takes while bytes arrive."""
    failures = 0
    while True:
        before = _length(part)
        pause = 0.0
        try:
            return _transfer(name, url, part, sha256, size, patience.timeout)
        except urllib.error.HTTPError as error:
            problem = f"{url} answers {error.code} {error.reason}"
            if error.code == 416:  # less is there than is here
                _forget(part)
            elif error.code not in AGAIN:
                raise _FailedError(problem) from error
            pause = _asked_pause(error.headers.get("Retry-After"))
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            problem = f"{url}: {getattr(error, 'reason', None) or error or type(error).__name__}"
        failures = 1 if _length(part) > before else failures + 1
        if failures >= patience.attempts:
            raise _FailedError(f"{problem}, {failures} times in a row")
        pause = min(max(pause, 2.0 ** (failures - 1)), LONGEST_PAUSE)
        log.info("%s: %s; again in %.0f s, from %s", name, problem, pause, megabytes(_length(part)))
        time.sleep(pause)


def _transfer(name: str, url: str, part: Path, sha256: str | None, size: int | None, timeout: float) -> None:
    have = _kept(url, part, sha256)
    if have and have == size:
        return
    request = urllib.request.Request(url, headers={"User-Agent": "vidistill", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        if validator := _read_state(part).get("validator"):
            request.add_header("If-Range", validator)
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
            return  # it was complete
        raise
    with response:
        start, total = _extent(response, have)
        if size is not None and total not in (None, size):
            raise _FailedError(f"{url} gives {total:,} bytes, {size:,} are expected")
        if total is not None and total - start > (free := shutil.disk_usage(part.parent).free):
            raise UserError(
                f"{part}: {megabytes(total - start)} are to come and {megabytes(free)} are free; free some space."
            )
        store.write_json(_state(part), {"url": url, "validator": _validator(response.headers)})
        if start:
            log.info("%s: going on from %s", name, megabytes(start))
        done, pace = start, Pace(name, total, done=start, show=megabytes)
        with part.open("ab" if start else "wb") as file:
            while chunk := response.read1(1 << 18):
                file.write(chunk)
                done += len(chunk)
                pace.at(done)
        pace.say(done)
    if total is not None and done != total:
        raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def _extent(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the body starts in the file, and how long the file is; a server that ignores ranges starts at 0."""
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != have:
            raise ConnectionError(f"another range than was asked for: {response.headers.get('Content-Range')}")
        return have, None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length")
    return 0, None if length is None else int(length)


def _validator(headers: http.client.HTTPMessage) -> str | None:
    """What If-Range may compare: a strong ETag, or failing that the date."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _kept(url: str, part: Path, sha256: str | None) -> int:
    """How many bytes of an earlier attempt may be used: of this address, and of the same file for all that is known."""
    state = _read_state(part)
    safe = state.get("url") == url and (state.get("validator") or sha256)
    return _length(part) if safe else 0


def _asked_pause(value: str | None) -> float:
    return float(value) if value and value.isdigit() else 0.0


def _state(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_state(part: Path) -> dict[str, str | None]:
    try:
        return json.loads(_state(part).read_text())
    except (OSError, ValueError):
        return {}


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state(part).unlink(missing_ok=True)
