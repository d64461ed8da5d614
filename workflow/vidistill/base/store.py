"""Files between stages: written whole or not at all, equal for equal content."""

import fcntl
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open

from vidistill.base.stage import UserError

log = logging.getLogger(__name__)
SCHEMA_VERSION = "1"
MODEL_KEY = "vidistill"  # of a model file's metadata


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`. An orphaned job of a killed run may still be writing it.

    The system frees the lock of a process that ends, however it ends. A file system without locks is trusted.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    held = _locked(lock, path)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(held)


def _locked(lock: Path, path: Path) -> int:
    while True:
        held = os.open(lock, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process is writing %s; waiting for it", path)
            fcntl.flock(held, fcntl.LOCK_EX)
        except OSError:
            return held
        try:
            if os.path.samestat(os.fstat(held), os.stat(lock)):
                return held
        except FileNotFoundError:
            pass
        os.close(held)  # its holder removed the file, so this lock has no name any more


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`: moved over it if the block succeeds, removed if it fails."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    with alone(path):
        try:
            yield temporary
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())  # otherwise a power cut could leave the name without the content
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Indented JSON with a final newline. NaN raises an error, since JSON has none."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_table(path: str | Path, frame: pd.DataFrame, schema: pa.Schema, keys: Iterable[str], **metadata: str) -> None:
    """Parquet with exactly the columns of `schema`, rows ordered by `keys`, and `metadata` in the file's metadata."""
    ordered = frame.sort_values(list(keys), kind="stable", ignore_index=True)
    table = pa.Table.from_pandas(ordered[schema.names], schema=schema, preserve_index=False)
    table = table.replace_schema_metadata({"schema_version": SCHEMA_VERSION, **metadata})
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    return pq.read_table(path, columns=columns).to_pandas()


def read_metadata(path: str | Path) -> dict[str, str]:
    """The file metadata that `write_table` stored."""
    metadata = pq.read_schema(path).metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items()}


def read_model_metadata(path: str | Path) -> dict[str, str]:
    """The texts stored with a model: its settings, vocabulary, features, code and versions.

    Raises:
        UserError: the file is not a model of this project.
    """
    try:
        with safe_open(path, "numpy") as file:
            return json.loads((file.metadata() or {})[MODEL_KEY])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        if _begins_as_model(path):
            raise UserError(f"{path} is damaged ({error}); train the model again.") from error
        raise UserError(
            f"{path} is not a model; give a model.safetensors, or a result such as results/student_demo.json."
        ) from error


def _begins_as_model(path: str | Path) -> bool:
    """Whether a file begins like a model: safetensors stores a length, then JSON that begins with the metadata."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        head = file.read(100)
    return head[8:9] == b"{" and MODEL_KEY.encode() in head


def group_name(video_id: str) -> str:
    """A video id as the name of one HDF5 group: "/" would nest it, "." would mean the group itself."""
    return quote(video_id, safe=" ").replace(".", "%2E") or "%"


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: str) -> str:
    """SHA-256 over texts and their lengths, so that moving a boundary between texts changes it."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode()
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of this package and of the named packages, as results record them."""
    found: Mapping[str, str] = {name: importlib.metadata.version(name) for name in sorted(packages)}
    from vidistill import __version__

    return {"python": platform.python_version(), "vidistill": __version__, **found}
