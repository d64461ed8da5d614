"""Pictures of what was found: everything is within the figure, nothing over another text, ticks are round."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from vidistill.base.stage import UserError
from vidistill.commands import canvas, picture
from vidistill.commands.picture import Question

LONG = "a person in a $5 hat_{x} opens the door, " * 9
WINDOWS = {"moments": ((1.0, 3.0), (0.0, 4.5)), "hours": ((3600.0, 3604.5), (0.0, 7199.9))}


def question(windows: tuple[tuple[float, float], ...], sentence: str = "a door opens", **more: object) -> Question:
    activation = np.sin(np.arange(20.0))
    about = {"activation": activation, "truth": (0.5, 2.0), "note": "not known to the model: hat", **more}
    return Question(sentence, np.array(windows), np.linspace(0.5, -12.25, len(windows)), **about)  # type: ignore[arg-type]


def pictures(height: int, width: int, count: int = 8) -> list[tuple[float, np.ndarray]]:
    return [(i + 0.5, np.full((height, width, 3), 20 * i, np.uint8)) for i in range(count)]


def boxes(figure: Figure) -> dict[Text, np.ndarray]:
    """Where texts are that can be seen, (left, bottom, right, top) in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    shown = [text for text in texts if text.axes is None or text in text.axes.texts or text.get_window_extent().height]
    return {text: text.get_window_extent(canvas.get_renderer()).extents for text in shown}


@pytest.mark.parametrize("duration", [4.87, 7200.0])
@pytest.mark.parametrize("shape", [(90, 160), (160, 90), (40, 400)], ids=["wide", "portrait", "banner"])
@pytest.mark.parametrize("activation", [np.linspace(-1, 1, 16), None], ids=["map", "no map"])
def test_texts_are_within_the_figure_and_apart(
    duration: float, shape: tuple[int, int], activation: np.ndarray | None
) -> None:
    windows = WINDOWS["moments" if duration < 10 else "hours"]
    questions = [question(windows, activation=activation), question(windows, LONG, activation=activation)]
    figure = picture.timeline("v.mp4", duration, questions, pictures(*shape), footer="model: student")
    found = boxes(figure)
    ticks = [label for axes in figure.axes for label in axes.get_xticklabels()]
    found = {text: box for text, box in found.items() if text not in ticks or text in figure.axes[-1].get_xticklabels()}
    width, height = figure.canvas.get_width_height()
    for text, (left, bottom, right, top) in found.items():
        assert left >= 0, text
        assert bottom >= 0, text
        assert right <= width, text
        assert top <= height, text
    entries = list(found.items())
    for i, (one, a) in enumerate(entries):
        for other, b in entries[i + 1 :]:
            overlap = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
            assert overlap.min() <= 1, (one, other)


def test_bars_are_the_moments_best_first_and_the_truth_is_hatched() -> None:
    figure = picture.timeline("v.mp4", 5.0, [question(WINDOWS["moments"])])
    bars = [bar for axes in figure.axes for container in axes.containers for bar in container]
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    assert spans == [*WINDOWS["moments"], (0.5, 2.0)]
    assert [bool(bar.get_hatch()) for bar in bars] == [False, False, True]
    lightness = [np.dot(bar.get_facecolor()[:3], (0.299, 0.587, 0.114)) for bar in bars]
    assert lightness[0] < lightness[1] - 0.15, "the best is told apart in print without colour"


def test_the_curve_is_the_map_over_the_whole_video() -> None:
    values = np.array([0.0, 1.0, -0.5, 0.25])
    figure = picture.timeline("v.mp4", 8.0, [question(WINDOWS["moments"], activation=values)])
    (line,) = (line for axes in figure.axes for line in axes.lines if len(line.get_xdata()) > 2)
    np.testing.assert_allclose(line.get_xdata(), [0, 1, 3, 5, 7, 8])
    np.testing.assert_allclose(line.get_ydata(), [0, 0, 1, -0.5, 0.25, 0.25])


@pytest.mark.parametrize(
    ("duration", "names"),
    [
        (0.55, ["0:00.0", "0:00.1", "0:00.2", "0:00.3", "0:00.4", "0:00.5"]),
        (30.6, ["0:00", "0:05", "0:10", "0:15", "0:20", "0:25", "0:30"]),
        (3600.0, ["0:00", "10:00", "20:00", "30:00", "40:00", "50:00", "1:00:00"]),
        (9 * 3600.0, ["0:00", "2:00:00", "4:00:00", "6:00:00", "8:00:00"]),
    ],
)
def test_ticks_are_round_and_few(duration: float, names: list[str]) -> None:
    times, found = canvas.ticks(duration)
    assert found == names
    assert times[-1] <= duration


@pytest.mark.parametrize("duration", [0.02, 1e5, 1e6])
def test_there_is_a_tick_whatever_the_length(duration: float) -> None:
    assert 1 <= len(canvas.ticks(duration)[0]) <= canvas.TICKS + 1


@pytest.mark.parametrize(("name", "start"), [("p.png", b"\x89PNG"), ("p.svg", b"<?xml"), ("p.pdf", b"%PDF")])
def test_pictures_are_files_of_their_kind_and_equal_when_made_again(tmp_path: Path, name: str, start: bytes) -> None:
    made = []
    for _ in range(2):
        canvas.save(
            picture.timeline("v.mp4", 5.0, [question(WINDOWS["moments"], LONG)], pictures(9, 16)), tmp_path / name
        )
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    assert made[0].startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_no_other_kind_of_picture(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"p\.gif: cannot write \.gif; use \.png"):
        canvas.check(tmp_path / "p.gif")
