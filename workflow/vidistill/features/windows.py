"""Cut videos into pieces for a network, and assign its vectors to seconds.

Pure functions of numbers of frames. A network sees separate windows, the whole video, or chunks of it with context.
"""

from typing import NamedTuple

import numpy as np

from vidistill.settings.extract import Last


class Grid(NamedTuple):
    """Positions of a network's vectors on its frames."""

    stride: int  # frames from one vector to the next
    cells: int  # steps of `stride` that one vector covers

    def count(self, frames: int) -> int:
        """Number of vectors of `frames` frames; at least one."""
        return max(-(-frames // self.stride) - self.cells + 1, 1)


def one_each(window: int) -> Grid:
    """The grid of a network with one vector per window."""
    return Grid(window, 1)


class Piece(NamedTuple):
    """Frames `start` to `stop` (exclusive) go in; vectors `first` to `last` (exclusive) are kept.

    If `stop` is beyond the video's end, the last frame is repeated.
    """

    start: int
    stop: int
    first: int
    last: int


def sliding(frames: int, window: int, stride: int, last: Last, grid: Grid) -> list[Piece]:
    """Windows of `window` frames, one every `stride` frames.

    Args:
        frames: of the video; a video shorter than a window gets one window.
        last: if the last window ends before the video: add one `shift`ed back to the video's end, add one `pad`ded
            with the last frame, or `drop` the remaining frames.
    """
    starts = list(range(0, max(frames - window, 0) + 1, stride))
    if starts[-1] + window < frames:
        if last == "shift":
            starts.append(frames - window)
        elif last == "pad" and starts[-1] + stride < frames:
            starts.append(starts[-1] + stride)
    # A vector that starts after the end would describe repeated frames only.
    within = [min(grid.count(window), -(-(frames - start) // grid.stride)) for start in starts]
    return [Piece(start, start + window, 0, n) for start, n in zip(starts, within, strict=True)]


def whole(frames: int, grid: Grid) -> Piece:
    """The whole video; with too few frames for one vector, the last frame is repeated."""
    return Piece(0, max(frames, grid.cells * grid.stride), 0, grid.count(frames))


def chunks(frames: int, chunk: int, context: int, grid: Grid) -> list[Piece]:
    """Pieces of about `chunk` frames, and `context` frames on either side, that give as many vectors as the video.

    Each piece starts at a multiple of the network's stride. All but the last have the same remainder of their length
    as the video. SAME padding depends on both, so only such pieces put the vectors on the same frames.
    """
    before = -(-context // grid.stride)  # in strides
    after = context + (grid.cells - 1) * grid.stride
    total, step = grid.count(frames), max(chunk // grid.stride, 1)
    pieces = []
    for first in range(0, total, step):
        last = min(first + step, total)
        start = max(first - before, 0)
        spare = max(frames - last * grid.stride - after, 0) // grid.stride if last < total else 0
        # With too few frames for one vector, the last frame is repeated.
        stop = max(frames - spare * grid.stride, grid.cells * grid.stride)
        pieces.append(Piece(start * grid.stride, stop, first - start, last - start))
    return pieces


def covered(pieces: list[Piece], grid: Grid, frames: int) -> np.ndarray:
    """(V, 2) frames that each vector covers, start and exclusive stop, within the video."""
    starts = np.concatenate([piece.start + np.arange(piece.first, piece.last) * grid.stride for piece in pieces])
    ends = np.concatenate([np.full(piece.last - piece.first, piece.stop) for piece in pieces])
    stops = np.minimum(np.minimum(starts + grid.cells * grid.stride, ends), frames)
    return np.stack([starts, stops], 1)


def seconds(spans: np.ndarray, times: np.ndarray, fps: float, duration: float) -> np.ndarray:
    """(V, 2) frames -> (V, 2) seconds.

    Args:
        times: (T,) when each frame appears; each is shown for 1/fps.
        duration: of the video, which no vector exceeds; NaN if unknown.
    """
    starts, stops = times[spans[:, 0]], times[spans[:, 1] - 1] + 1 / fps
    return np.stack([starts, np.maximum(np.fmin(stops, duration), starts)], 1)


def batches(pieces: list[Piece], size: int) -> list[list[Piece]]:
    """Pieces in order, in groups of at most `size` that have the same number of frames."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        group = groups[-1] if groups else []
        if group and len(group) < size and piece.stop - piece.start == group[0].stop - group[0].start:
            group.append(piece)
        else:
            groups.append([piece])
    return groups


def parts(pieces: list[Piece], size: int | None) -> list[list[Piece]]:
    """Pieces of equal length, cut into consecutive parts of at most `size` frames; None for one part."""
    length = pieces[0].stop - pieces[0].start
    size = size or length
    return [
        [p._replace(start=p.start + first, stop=min(p.start + first + size, p.stop)) for p in pieces]
        for first in range(0, length, size)
    ]


def frames_of(pieces: list[Piece], frames: int) -> tuple[int, int, np.ndarray]:
    """The frames of pieces of equal length: read `start` to `stop`, then select them by indices (N, L)."""
    start = min(min(piece.start for piece in pieces), frames - 1)
    stop = min(max(piece.stop for piece in pieces), frames)
    index = np.stack([np.arange(piece.start, piece.stop) for piece in pieces])
    return start, stop, np.minimum(index, frames - 1) - start
