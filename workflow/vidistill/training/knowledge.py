"""The two Parquet tables of teachers: scored moments of queries (pseudo labels), and activation maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.training.samples import Samples

FUSED = "fused"  # all streams of a teacher together
KEY = [
    ("query_id", pa.string()),
    ("video_id", pa.string()),
    ("split", pa.string()),
    ("teacher", pa.string()),
    ("stream", pa.string()),
    ("seed", pa.int32()),
    ("round", pa.int16()),
]
PSEUDO_LABELS = pa.schema(
    [
        *KEY,
        ("rank", pa.int16()),
        ("start", pa.float32()),
        ("end", pa.float32()),
        ("score", pa.float32()),
        ("proposal_index", pa.int16()),
        ("center", pa.float32()),
        ("width", pa.float32()),
        ("reconstruction_error", pa.float32()),
    ]
)
ACTIVATION_MAPS = pa.schema(
    [
        *KEY,
        ("kind", pa.string()),
        ("num_snippets", pa.int32()),
        ("values", pa.list_(pa.float32())),
        ("confidence", pa.list_(pa.float32())),
    ]
)


def write_labels(path: Path, table: pd.DataFrame, **about: str) -> None:
    """Write pseudo labels; `about` are texts for the file's metadata."""
    store.write_table(path, table, PSEUDO_LABELS, ["query_id", "seed", "round", "rank"], **about)


def write_maps(path: Path, table: pd.DataFrame, **about: str) -> None:
    """Write activation maps; `about` are texts for the file's metadata."""
    store.write_table(path, table, ACTIVATION_MAPS, ["query_id", "kind", "stream", "seed", "round"], **about)


def map_rows(
    samples: Samples,
    rows: np.ndarray,
    values: np.ndarray,
    *,
    kind: str,
    stream: str = FUSED,
    lengths: np.ndarray | None = None,
) -> pd.DataFrame:
    """Values (B, N) of the samples `rows` (B,) as rows of `activation_maps`; of each its first `lengths` (B,) ones."""
    counts = np.full(len(rows), values.shape[1]) if lengths is None else lengths
    found: dict[str, Any] = {
        "query_id": [samples.query_ids[i] for i in rows],
        "video_id": [samples.video_ids[i] for i in rows],
        "split": [samples.splits[i] for i in rows],
        "num_snippets": counts,
        "values": [row[:count] for row, count in zip(values, counts, strict=True)],
    }
    return pd.DataFrame(found).assign(kind=kind, stream=stream)


def labels(files: Sequence[Path], *, stream: str = FUSED, number: int | None = None) -> pd.DataFrame:
    """The best pseudo label of each query and teacher, indexed by (teacher, query_id).

    Args:
        number: of the round; None for each teacher's last round.

    Raises:
        UserError: a teacher has two rows for a query.
    """
    return _rows(files, {"rank": 0, "stream": stream}, number)


def maps(
    files: Sequence[Path], *, kind: str = "semantic", stream: str = FUSED, number: int | None = None
) -> pd.DataFrame:
    """The map of each query and teacher, indexed by (teacher, query_id); arguments and errors as in `labels`."""
    return _rows(files, {"kind": kind, "stream": stream}, number)


def of_one(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    """What `labels` or `maps` read from a file of one teacher, indexed by query_id.

    Raises:
        UserError: it has several.
    """
    teachers = table.index.get_level_values("teacher").unique()
    if len(teachers) > 1:
        raise UserError(f"{file} has several teachers ({', '.join(teachers)}); give each its own table.")
    return table.droplevel("teacher")


def _rows(files: Sequence[Path], wanted: dict[str, object], number: int | None) -> pd.DataFrame:
    tables = []
    for file in files:
        table = store.read_table(file)
        for column, value in wanted.items():
            table = table[table[column] == value]
        last = table.groupby("teacher", dropna=False)["round"].transform("max") if number is None else number
        table = table[table["round"] == last].set_index(["teacher", "query_id"])
        if table.index.has_duplicates:
            teacher, query = table.index[table.index.duplicated()][0]
            about = ", ".join(f"{column} {value}" for column, value in wanted.items())
            raise UserError(f"{file}: teacher {teacher!r} has two rows for query {query} ({about}); keep one.")
        tables.append(table)
    return pd.concat(tables)
