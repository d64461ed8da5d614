"""A shard: about thirty videos, one job, one HDF5 file. An interrupted job resumes where it stopped."""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py

from vidistill.base import store

log = logging.getLogger(__name__)


def fill(
    output: Path,
    work: Path,
    video_ids: Iterable[str],
    make: Callable[[str, h5py.Group], None],
    *,
    fingerprint: Mapping[str, str],
    attributes: Mapping[str, str],
    workers: int = 1,
    threads: int = 1,
) -> None:
    """Write one HDF5 file with one group per video. Finished videos are kept in `work` until all are done.

    Args:
        output: the shard's file; it appears whole, at the end.
        work: this shard's own folder; removed at the end, safe to delete at any time.
        video_ids: the videos to process.
        make: called with a video id and its empty group, in a worker process when `workers` > 1 (then it must be
            picklable); sets at least the attributes `status` and `reason`.
        fingerprint: video id -> text over everything that the video's result depends on (settings, code, input);
            a finished video is reused only if it is equal.
        attributes: of the output file.
        workers: processes.
        threads: threads of this process, instead of processes.
    """
    video_ids = sorted(video_ids)
    with store.alone(work):
        work.mkdir(parents=True, exist_ok=True)
        parts = {video_id: work / f"{store.digest(video_id)[:32]}.h5" for video_id in video_ids}
        left = [v for v in video_ids if not _is_finished(parts[v], v, fingerprint[v])]
        if len(left) < len(video_ids):
            log.info("%d of %d videos were finished by an interrupted run", len(video_ids) - len(left), len(video_ids))
        started = time.monotonic()
        for done, video_id in enumerate(_make_all(left, parts, make, fingerprint, workers, threads), 1):
            seconds = time.monotonic() - started
            log.info(
                "videos: %d of %d, %s, %.1f s each, %.0f s left",
                len(video_ids) - len(left) + done,
                len(video_ids),
                video_id,
                seconds / done,
                seconds / done * (len(left) - done),
            )
        with store.atomic(output) as temporary, h5py.File(temporary, "w") as packed:
            packed.attrs.update(attributes)
            for video_id in video_ids:
                name = store.group_name(video_id)
                with h5py.File(parts[video_id], "r") as part:
                    part.copy(part[name], packed, name=name)
        shutil.rmtree(work, ignore_errors=True)


def _make_all(
    left: list[str], parts: Mapping[str, Path], make: Any, fingerprint: Mapping[str, str], workers: int, threads: int
) -> Iterable[str]:
    at_once = min(max(workers, threads), len(left))
    if at_once <= 1:
        for video_id in left:
            yield _make_one(video_id, parts[video_id], make, fingerprint[video_id])
        return
    # Spawned, not forked: OpenCV, PyAV and HDF5 hold threads or locks that a fork would copy in an undefined state.
    executor: Executor = (
        ProcessPoolExecutor(at_once, mp_context=get_context("spawn")) if workers > 1 else ThreadPoolExecutor(at_once)
    )
    with executor as pool:
        jobs = [pool.submit(_make_one, v, parts[v], make, fingerprint[v]) for v in left]
        for job in as_completed(jobs):
            yield job.result()


def _make_one(video_id: str, part: Path, make: Callable[[str, h5py.Group], None], fingerprint: str) -> str:
    with store.atomic(part) as temporary, h5py.File(temporary, "w") as file:
        group = file.create_group(store.group_name(video_id))
        group.attrs["video_id"] = video_id
        make(video_id, group)
        file.attrs["fingerprint"] = fingerprint
    return video_id


def _is_finished(part: Path, video_id: str, fingerprint: str) -> bool:
    try:
        with h5py.File(part, "r") as file:
            return file.attrs.get("fingerprint") == fingerprint and store.group_name(video_id) in file
    except OSError:  # absent or half-written
        return False
