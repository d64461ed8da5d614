"""Frames in HDF5, as encoded images of variable length, written and read in blocks to bound memory."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path

import cv2
import h5py
import numpy as np

from vidistill.base.stage import UserError

log = logging.getLogger(__name__)

BLOCK = 64  # images written at once


def encode(image: np.ndarray, encoding: str, jpeg_quality: int) -> np.ndarray:
    """Encode an RGB image (H, W, 3) uint8 as JPEG or, losslessly, PNG: bytes (N,) uint8."""
    if encoding == "jpeg":
        suffix, parameters = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
    else:
        suffix, parameters = ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]  # higher levels take longer and save 3 %
    return cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), parameters)[1]


def write(group: h5py.Group, images: Iterable[tuple[np.ndarray, int]], fps: float) -> int:
    """Write the data sets `frames` (T,) and `times` (T,), seconds, and the attribute `frames_digest`.

    Args:
        group: of the video.
        images: (encoded image, number of consecutive times it is shown).
        fps: frames per second.

    Returns:
        T.
    """
    frames = group.create_dataset("frames", (0,), h5py.vlen_dtype(np.uint8), maxshape=(None,), chunks=(256,))
    total = hashlib.sha256(repr(fps).encode())
    block: list[np.ndarray] = []

    def flush() -> None:
        start, stop = len(frames), len(frames) + len(block)
        frames.resize(stop, axis=0)
        vector = np.empty(len(block), frames.dtype)
        for i, image in enumerate(block):
            vector[i] = image
        frames.write_direct(
            vector, dest_sel=np.s_[start:stop]
        )  # frames[start:stop] = ... would stack images of equal length
        block.clear()

    for image, count in images:
        for _ in range(count):
            total.update(image.size.to_bytes(8, "big") + image.tobytes())
            block.append(image)
            if len(block) == BLOCK:
                flush()
    if block:
        flush()
    group["times"] = np.arange(len(frames)) / fps
    group.attrs["frames_digest"] = total.hexdigest()
    return len(frames)


def read(group: h5py.Group, start: int = 0, stop: int | None = None, pool: Executor | None = None) -> np.ndarray:
    """Frames `start` to `stop` (exclusive) of a video, (n, H, W, 3) uint8 RGB.

    Only these frames are read and decoded, so reading a long video in blocks bounds memory. A `pool` of threads decodes
    images in parallel.

    Raises:
        UserError: an image cannot be decoded.
    """

    def decode(data: np.ndarray) -> np.ndarray:
        if (image := cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)) is None:
            raise UserError(
                f"{group.file.filename}: a frame of {group.attrs['video_id']!r} is not an image; delete the file."
            )
        return image

    images = list((pool.map if pool else map)(decode, group["frames"][start:stop]))
    return np.stack(images) if images else np.empty((0, group.attrs["height"], group.attrs["width"], 3), np.uint8)


def videos(path: str | Path) -> Iterator[tuple[str, h5py.Group]]:
    """(video id, group) of all videos in a stage's HDF5 file, which is open during the iteration.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path} is not a complete HDF5 file; delete it and run the workflow again.") from error
    with file:
        for group in file.values():
            yield group.attrs["video_id"], group


def origin(path: str | Path) -> dict[str, str]:
    """The attributes of a stage's HDF5 file, as texts: how it was made."""
    with h5py.File(path, "r") as file:
        return {name: str(value) for name, value in file.attrs.items()}


def report(path: str | Path) -> None:
    """Log how many videos of a stage's file are complete, and each other video with its reason."""
    found = [(video_id, group.attrs["status"], group.attrs["reason"]) for video_id, group in videos(path)]
    for video_id, status, reason in found:
        if status != "ok":
            log.warning("%s is %s: %s", video_id, status, reason)
    log.info("%s: %d of %d videos complete", path, sum(status == "ok" for _, status, _ in found), len(found))
