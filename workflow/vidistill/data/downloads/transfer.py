"""Fetch one file over HTTP with curl: resumed, retried when a connection breaks, complete or not at all."""

import errno
import logging
import math
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from vidistill.base import store
from vidistill.base.progress import Pace
from vidistill.base.stage import UserError

log = logging.getLogger(__name__)
AGAIN = r"error: (408|425|429|500|502|503|504)\b"  # temporary answers of a server
NO_RANGES, HTTP_ERROR = 33, 22  # exit statuses of curl
FINAL = (3, 47, 60, 63)  # bad address, endless redirections, bad certificate, too large: trying again changes nothing
LONGEST_PAUSE = 60.0  # seconds
FULL = (errno.ENOSPC, errno.EDQUOT)


class _FailedError(Exception):
    """This address failed; another one may work."""


@dataclass(frozen=True)
class Patience:
    """When to give up a connection."""

    attempts: int  # in a row without a byte
    timeout: float  # seconds without a byte


def megabytes(number: float) -> str:
    """Bytes for people: 16,340 MB, or 0.4 MB."""
    return f"{number / 1e6:,.1f} MB" if number < 1e7 else f"{number / 1e6:,.0f} MB"


def fetch(
    name: str, urls: tuple[str, ...], target: Path, *, sha256: str | None, size: int | None, patience: Patience
) -> str:
    """Fetch a file from the first of `urls` that works; an incomplete file is kept beside it as `.part`.

    Args:
        name: of the file, for messages.
        target: appears complete and with the right checksum, or not at all.
        sha256: hexadecimal, or None if none is published; without it, an earlier `.part` is not resumed, since nothing
            would tell whether both halves belong to the same file.
        size: bytes; None where unknown.

    Returns:
        The file's SHA-256.

    Raises:
        UserError: no address gives the file, it is another one than expected, the disk is full, or there is no curl.
    """
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for url in urls:
        try:
            if sha256 is None:
                part.unlink(missing_ok=True)
            digest = _checked(name, url, part, sha256, size, patience)
        except _FailedError as error:
            log.warning("%s: %s", name, error)
            if not _length(part):
                part.unlink(missing_ok=True)
            problems.append(str(error))
            continue
        except OSError as error:
            if error.errno in FULL:
                raise UserError(f"{part}: the disk is full; free some space and run this again.") from error
            raise UserError(f"{part} cannot be written: {error.strerror or error}; correct that.") from error
        os.replace(part, target)
        return digest
    raise UserError(
        f"{name} was not fetched: {'; '.join(problems)}; correct downloads.files.{name}, or get it by hand."
    )


def _checked(name: str, url: str, part: Path, sha256: str | None, size: int | None, patience: Patience) -> str:
    """SHA-256 of the complete part."""
    while True:
        is_resumed = _length(part) > 0
        _persist(name, url, part, size, patience)
        if size not in (None, _length(part)):
            problem = f"{_length(part):,} bytes, {size:,} are expected"
        elif sha256 in (None, digest := store.file_digest(part)):
            return digest
        else:
            problem = f"a file with the SHA-256 {digest}, {sha256} is expected"
        part.unlink()
        if not is_resumed:
            raise _FailedError(f"{url} gives {problem}")
        log.warning("%s: the halves of an interrupted download do not fit; fetching all of it", name)


def _persist(name: str, url: str, part: Path, size: int | None, patience: Patience) -> None:
    """Retry for as long as bytes arrive."""
    failures, furthest = 0, _length(part)
    while problem := _transfer(name, url, part, size, patience.timeout):
        failures = 1 if _length(part) > furthest else failures + 1
        furthest = max(furthest, _length(part))
        if failures >= patience.attempts:
            raise _FailedError(f"{url}: {problem}, {failures} times in a row")
        pause = min(2.0 ** (failures - 1), LONGEST_PAUSE)
        log.info("%s: %s: %s; again in %.0f s, from %s", name, url, problem, pause, megabytes(_length(part)))
        time.sleep(pause)


def _transfer(name: str, url: str, part: Path, size: int | None, timeout: float) -> str | None:
    """Run curl once; returns the problem if a retry may help.

    The bytes come through a pipe, so that curl ends with its reader and never writes to a file of the next run.
    """
    done = _length(part)
    if done and done == size:
        return None
    if size is not None and size - done > (free := shutil.disk_usage(part.parent).free):
        needed = megabytes(size - done)
        raise UserError(f"{part}: {needed} are to come and {megabytes(free)} are free; free some space.")
    command = ["curl", "--silent", "--show-error", "--fail", "--location", "--globoff"]
    command += ["--connect-timeout", str(timeout), "--speed-limit", "1", "--speed-time", str(math.ceil(timeout))]
    command += ["--max-filesize", str(size)] if size else []
    command += ["--continue-at", str(done)] if done else []
    try:
        process = subprocess.Popen([*command, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise UserError(f"curl, which fetches {name}, is not installed; install it, or fetch by hand.") from error
    if done:
        log.info("%s: going on from %s", name, megabytes(done))
    pace = Pace(name, size, done=done, show=megabytes)
    with process, part.open("ab") as file:
        assert process.stdout is not None
        assert process.stderr is not None
        while chunk := os.read(process.stdout.fileno(), 1 << 18):
            file.write(chunk)
            done += len(chunk)
            pace.at(done)
        said = process.stderr.read().decode(errors="replace")
    problem = re.sub(r"^curl: \(\d+\) ", "", said.strip()) or f"curl ended with status {process.returncode}"
    if process.returncode == 0 or "error: 416" in problem:  # the server has no further bytes
        pace.say(done)
        return None
    if process.returncode == NO_RANGES:
        log.info("%s: the server cannot resume; fetching all of it", name)
        part.unlink()
        return _transfer(name, url, part, size, timeout)
    is_refused = process.returncode == HTTP_ERROR and not re.search(AGAIN, problem)
    if is_refused or process.returncode in FINAL:
        raise _FailedError(f"{url}: {problem}")
    return problem


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
