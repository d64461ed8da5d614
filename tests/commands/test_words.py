"""Words that a model does not know, read as the nearest known ones."""

from pathlib import Path

import pytest

from vidistill.base.stage import UserError
from vidistill.commands import words
from vidistill.commands.ground import Grounder
from vidistill.commands.words import Nearest
from vidistill.data.vocabulary import Vocabulary

KNOWN = ("the", "person", "door", "opens")
VECTORS = {
    "the": (9, 0, 0),
    "person": (2, 0, 0.2),
    "door": (0, 1, 0),
    "opens": (0, 0, 1),
    "woman": (1, 0, 0.1),
    "gate": (0.2, 3, 0),
    "nothing": (-1, -1, -1),
    "a": (1, 0, 0.2),
}


def write(path: Path, vectors: dict[str, tuple[float, ...]]) -> Path:
    path.write_text("".join(f"{word} {' '.join(map(str, values))}\n" for word, values in vectors.items()))
    return path


@pytest.fixture
def nearest(tmp_path: Path) -> Nearest:
    source = words.of_file(write(tmp_path / "vectors.txt", VECTORS))
    return Nearest(source, Vocabulary(KNOWN, (1.0,) * len(KNOWN), 20, kind="given", excluded={}))


def test_the_nearest_content_word_is_read(nearest: Nearest) -> None:
    assert nearest.known(["woman", "gate"]) == {"woman": "person", "gate": "door"}


def test_neither_far_words_nor_such_without_a_vector_nor_function_words_are_read(nearest: Nearest) -> None:
    assert nearest.known(["nothing", "zeppelin", "a"]) == {}


def test_the_file_is_read_once_for_a_word(nearest: Nearest, tmp_path: Path) -> None:
    first = nearest.known(["woman", "zeppelin"])
    (tmp_path / "vectors.txt").unlink()
    assert nearest.known(["zeppelin", "woman"]) == first == {"woman": "person"}
    with pytest.raises(UserError, match=r"vectors\.txt"):
        nearest.known(["gate"])


def test_a_sentence_is_rewritten_by_its_words() -> None:
    assert words.replaced("The woman's gate.", {"woman": "person"}) == "the person 's gate ."
    assert words.said({"woman": "person"}, ["zeppelin"]) == "woman read as person; not known to the model: zeppelin"


def test_an_answer_is_that_of_the_known_words_and_says_so(tiny_results: Path, tmp_path: Path) -> None:
    vectors = {"ball": (1, 0), "red": (0, 1), "sphere": (1, 0.1), "flits": (-1, 0.2)}
    file = write(tmp_path / "vectors.txt", vectors)
    model, plain = tiny_results / "student_demo.json", {"device": "cpu", "threads": 1}
    grounder, without = Grounder(model, word_vectors=file, **plain), Grounder(model, **plain)
    video = next((tiny_results / "demo" / "videos").iterdir())
    watched = without.watch(video)
    near, known = grounder.ask(watched, ["the sphere flits", "the ball"])
    assert (near.read_as, near.unknown_words) == ({"sphere": "ball"}, ("flits",))
    assert (near.sentence, near.moments) == ("the sphere flits", known.moments)
    with pytest.raises(UserError, match="sphere"):
        without.ask(watched, ["the sphere flits"])
    with pytest.raises(UserError, match="flits"):
        grounder.check(["it flits"])
