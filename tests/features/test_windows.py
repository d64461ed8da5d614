"""Windows and chunks: every frame is seen, and every vector covers what it says."""

import numpy as np
import pytest

from vidistill.features import i3d, windows
from vidistill.features.windows import Grid, Last, Piece, chunks, covered, sliding, whole

I3D_GRID = i3d.grid("features")


@pytest.mark.parametrize("last", ["shift", "pad"])
@pytest.mark.parametrize(("window", "stride"), [(64, 64), (24, 24), (16, 8), (24, 5)])
def test_windows_cover_every_frame(window: int, stride: int, last: Last) -> None:
    grid = windows.one_each(window)
    for frames in range(1, 200):
        pieces = sliding(frames, window, stride, last, grid)
        spans = covered(pieces, grid, frames)
        seen = np.zeros(frames, bool)
        for start, stop in spans:
            assert 0 <= start < stop <= frames
            seen[start:stop] = True
        assert seen.all()
        assert all(piece.stop - piece.start == window for piece in pieces)
        assert last == "pad" or frames < window or all(piece.stop <= frames for piece in pieces)


def test_the_last_window_is_shifted_padded_or_dropped() -> None:
    def starts(last: Last, frames: int = 50) -> list[int]:
        return [piece.start for piece in sliding(frames, 24, 24, last, I3D_GRID)]

    assert starts("shift") == [0, 24, 26]
    assert starts("pad") == [0, 24, 48]
    assert starts("drop") == [0, 24]
    for last in ("shift", "pad", "drop"):
        assert starts(last, 48) == [0, 24]
        assert starts(last, 5) == [0]


def test_recipes_of_the_field() -> None:
    # VSLNet: windows of 24, two vectors of each.
    pieces = sliding(72, 24, 24, "shift", I3D_GRID)
    assert [(piece.first, piece.last) for piece in pieces] == [(0, 2)] * 3
    assert covered(pieces, I3D_GRID, 72)[:3].tolist() == [[0, 16], [8, 24], [24, 40]]
    # DeepMind: windows of 64, one vector of each by the mean over time.
    mean = windows.one_each(64)
    assert covered(sliding(130, 64, 64, "drop", mean), mean, 130).tolist() == [[0, 64], [64, 128]]
    # C3D for ActivityNet Captions: 16 frames, every 8.
    assert covered(sliding(40, 16, 8, "drop", windows.one_each(16)), windows.one_each(16), 40).tolist() == [
        [0, 16],
        [8, 24],
        [16, 32],
        [24, 40],
    ]
    # LGI, CPL: the whole video in chunks of 1,600 frames, a vector for 8.
    pieces = chunks(4000, 1600, 48, I3D_GRID)
    assert [(piece.start, piece.stop) for piece in pieces] == [(0, 1656), (1552, 3256), (3152, 4000)]
    assert covered(pieces, I3D_GRID, 4000)[:, 0].tolist() == list(range(0, 3992, 8))


def test_a_short_video_is_padded_and_has_no_vector_of_padding_alone() -> None:
    pieces = sliding(5, 24, 24, "shift", I3D_GRID)
    assert pieces == [Piece(0, 24, 0, 1)]
    assert covered(pieces, I3D_GRID, 5).tolist() == [[0, 5]]
    assert chunks(1, 512, 50, I3D_GRID) == [whole(1, I3D_GRID)] == [Piece(0, 16, 0, 1)]
    start, stop, index = windows.frames_of(pieces, 5)
    assert (start, stop) == (0, 5)
    assert index.tolist() == [[0, 1, 2, 3] + [4] * 20]


@pytest.mark.parametrize("context", [None, 0, 50])
def test_chunks_have_the_vectors_of_the_whole_video(context: int | None) -> None:
    for grid in (I3D_GRID, i3d.grid("Mixed_4d"), i3d.grid("Mixed_3b")):
        for frames in range(1, 150):
            pieces = [whole(frames, grid)] if context is None else chunks(frames, 24, context, grid)
            spans = covered(pieces, grid, frames)
            assert len(spans) == grid.count(frames)
            assert spans[:, 0].tolist() == [i * grid.stride for i in range(len(spans))]
            assert spans[-1, 1] == frames
            for piece in pieces:
                assert piece.start % grid.stride == 0
                assert piece.last <= grid.count(piece.stop - piece.start)
                # A video shorter than a vector is padded; of others no frame is shown that they do not have.
                assert piece.stop <= max(frames, grid.cells * grid.stride)
                if piece.stop <= frames:
                    assert (frames - piece.stop) % grid.stride == 0


def test_seconds_of_frames() -> None:
    times = np.arange(5) / 8
    spans = np.array([[0, 2], [2, 5]])
    assert windows.seconds(spans, times, 8.0, 0.6).tolist() == [[0, 0.25], [0.25, 0.6]]
    assert windows.seconds(spans, times, 8.0, np.nan).tolist() == [[0, 0.25], [0.25, 0.625]]


def test_batches_are_of_one_length() -> None:
    pieces = [Piece(0, 24, 0, 2), Piece(24, 48, 0, 2), Piece(48, 72, 0, 2), Piece(72, 80, 0, 1)]
    assert windows.batches(pieces, 2) == [pieces[:2], pieces[2:3], pieces[3:]]
    start, stop, index = windows.frames_of(pieces[1:3], 60)
    assert (start, stop, index.shape) == (24, 60, (2, 24))
    assert index[1].tolist() == list(range(24, 36)) + [35] * 12


def test_grid_of_a_network_with_one_vector() -> None:
    assert windows.one_each(16).count(16) == 1
    assert Grid(8, 2).count(1) == 1


def test_parts_are_the_whole_piece() -> None:
    pieces = [Piece(8, 32, 0, 2), Piece(16, 40, 1, 3)]
    assert windows.parts(pieces, None) == [pieces]
    assert windows.parts(pieces, 10) == [
        [Piece(8, 18, 0, 2), Piece(16, 26, 1, 3)],
        [Piece(18, 28, 0, 2), Piece(26, 36, 1, 3)],
        [Piece(28, 32, 0, 2), Piece(36, 40, 1, 3)],
    ]
