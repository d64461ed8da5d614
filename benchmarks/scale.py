"""How long Snakemake takes over n videos: parsing and a dry run, and a run in which there is nothing to do.

    python benchmarks/scale.py --videos 1000 10000 --folder /tmp/scale

Videos are empty files, annotations a table of one query a video, shards of 32 videos, at most 1,000 of them. What the
no-op finds finished are empty files of the names that Snakemake lists, recorded as made by `--touch`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
RESULT = "results/student_many.json"


def shards_of(videos: int) -> int:
    """As many as the schema allows, of 32 videos."""
    return min(1000, max(1, videos // 32))


def tree(folder: Path, videos: int) -> Path:
    """A data set of `videos` empty videos in `folder`; its configuration."""
    source = folder / "videos"
    source.mkdir(parents=True)
    names = [f"video-{number:07d}" for number in range(videos)]
    for name in names:
        (source / f"{name}.mp4").touch()
    tables = {"train": names[: len(names) // 2], "test": names[len(names) // 2 :]}
    for split, part in tables.items():
        rows = "".join(f"{name},a person opens the door,1.0,4.0,9.5\n" for name in part)
        (folder / f"{split}.csv").write_text("video,sentence,start,end,duration\n" + rows)
    shards = shards_of(videos)
    config = {
        "collections": {
            "many": {
                "videos": "videos",
                "shards": shards,
                "streams": {
                    "rgb": {"extractor": "i3d", "input": "frames"},
                    "flow": {"extractor": "i3d", "input": "flow"},
                },
            }
        },
        "datasets": {
            "many": {"collection": "many", "annotations": {split: [f"{split}.csv"] for split in tables}},
        },
    }
    path = folder / "many.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def snakemake(folder: Path, *arguments: str) -> tuple[str, str]:
    """What a call costs, as cells of a table, and what it said."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", RESULT]
    command += ["--configfile", "many.yaml", *arguments]
    said = folder / "said.txt"
    start = time.perf_counter()
    with said.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(said.read_text()[-4000:])
    processor = usage.ru_utime + usage.ru_stime
    return f" {seconds:.1f} s | {processor:.1f} s | {usage.ru_maxrss / 1000:.0f} MB |", said.read_text()


def finish(folder: Path) -> None:
    """Every file of the result, empty, and recorded as made."""
    _, text = snakemake(folder, "--summary")
    rows = [line.split("\t") for line in text.splitlines() if line.startswith("results/")]
    for row in rows:
        path = folder / row[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    snakemake(folder, "--touch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path, required=True, help="for the files; emptied")
    parser.add_argument("--no-op", action="store_true", help="also a run with nothing to do")
    wanted = parser.parse_args()
    print("| videos | shards | jobs | dry run | of a processor | memory | no-op | of a processor | memory |")
    print("|---" * 9 + "|")
    for videos in wanted.videos:
        folder = wanted.folder / str(videos)
        shutil.rmtree(folder, ignore_errors=True)
        tree(folder, videos)
        cells, text = snakemake(folder, "--dry-run", "--quiet", "rules")
        jobs = next((line.split()[1] for line in text.splitlines() if line.startswith("total ")), "?")
        row = f"| {videos:,} | {shards_of(videos):,} | {jobs} |{cells}"
        if wanted.no_op:
            finish(folder)
            cells, text = snakemake(folder)
            if "Nothing to be done" not in text:
                sys.exit(f"this was no no-op:\n{text[-4000:]}")
            row += cells
        print(row, flush=True)


if __name__ == "__main__":
    main()
