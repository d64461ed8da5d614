"""What it takes to load a training set's features: memory beside what stays, and seconds.

The features are random, in the number and size of Charades' by default; their files are drawn first, on the disk of
--folder (2.5 GB in half precision). --share takes a part of the videos.

    PYTHONPATH=workflow python benchmarks/samples.py
    PYTHONPATH=workflow python benchmarks/samples.py --dtype float32 --share 0.5
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from vidistill.base import store
from vidistill.data.queries import QUERIES
from vidistill.training import samples

SHARDS = 32


def draw(folder: Path, videos: int, rows: int, width: int, streams: int, dtype: str) -> None:
    """queries.parquet, with a query for each video, and {stream}-{shard}.h5."""
    table = [(f"v{v}#0", f"v{v}", "train", 30.0, "a person walks", None) for v in range(videos)]
    store.write_table(folder / "queries.parquet", pd.DataFrame(table, columns=QUERIES.names), QUERIES, ["query_id"])
    noise = np.random.default_rng(0).normal(size=(2 * rows, width)).astype(dtype)
    for stream in range(streams):
        for shard in range(SHARDS):
            with h5py.File(folder / f"{stream}-{shard}.h5", "w") as file:
                for v in range(shard, videos, SHARDS):
                    group = file.create_group(f"v{v}")
                    group.attrs.update({"video_id": f"v{v}", "status": "ok", "reason": "", "duration": 30.0})
                    group["features"] = noise[v % rows : v % rows + rows]


def resident() -> float:
    """Bytes of this process in memory."""
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"videos": 6670, "rows": 94, "snippets": 200, "width": 1024, "streams": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16")
    parser.add_argument("--share", type=float, default=1.0, help="of the videos")
    parser.add_argument("--folder", type=Path, help="default: a temporary one")
    a = parser.parse_args()
    videos = round(a.share * a.videos)
    with tempfile.TemporaryDirectory(dir=a.folder) as name:
        folder = Path(name)
        draw(folder, videos, a.rows, a.width, a.streams, a.dtype)
        before = resident()
        started = time.process_time()
        files = [[folder / f"{stream}-{shard}.h5" for shard in range(SHARDS)] for stream in range(a.streams)]
        loaded = samples.load(folder / "queries.parquet", files, splits=None, snippets=a.snippets, normalise="none")
        read = time.process_time() - started
        stays = sum(x.nbytes for x in loaded.features)
        of_load = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
        started = time.process_time()
        digest = loaded.digest()
        digested = time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    print(f"{vars(a)}: {len(loaded)} videos, digest {digest[:12]}")
    print(f"{stays / 1e9:.2f} GB stay; loading has a peak of {of_load / stays:.3f} times that, in {read:.0f} CPU s")
    print(f"with the digest, {digested:.0f} CPU s, {peak / stays:.3f} times")


if __name__ == "__main__":
    main()
