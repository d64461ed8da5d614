"""Stage `vocabulary`: which words are kept, their vectors, and sentences as ids."""

import json
import math
import random
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT, data, parse
from vidistill.base import store
from vidistill.base.stage import UserError
from vidistill.data import glove
from vidistill.data.annotations import charades
from vidistill.data.queries import QUERIES
from vidistill.data.vocabulary import Vocabulary, VocabularySettings, build, choose, encode, load, load_word_vectors

SENTENCES = ["the dog runs.", "the dog sits.", "The cat runs!", "x y z"]


def table(sentences: list[str], split: str = "train") -> pd.DataFrame:
    ids = [f"v#{i:03d}#0" for i in range(len(sentences))]
    values = {"query_id": ids, "video_id": "v", "split": split, "duration": 1.0, "sentence": sentences, "label": None}
    return pd.DataFrame(values)


def write_glove(path: Path, *words: str, dimension: int = 4) -> str:
    rows = [" ".join([word, *(f"{i + j / 10:g}" for j in range(dimension))]) for i, word in enumerate(words)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


def vocabulary(*words: str, max_words: int = 20) -> Vocabulary:
    return Vocabulary(words, tuple(1.0 for _ in words), max_words, "given", {})


# --- Choice


def test_the_most_frequent_words_with_a_vector_ties_by_alphabet() -> None:
    counts = {"b": 2, "a": 2, "d": 9, "c": 5, "e": 1}
    assert choose(counts, ["a", "b", "c", "e"], 3) == ["c", "a", "b"]
    assert choose(counts, reversed(["a", "b", "c", "e"]), 9) == ["c", "a", "b", "e"]


def test_content_and_vectors(tmp_path: Path, config: dict[str, Any]) -> None:
    path = write_glove(tmp_path / "g.txt", ",", "the", "dog", "runs", ".", "sits", "unused")
    settings = parse(VocabularySettings, config["vocabulary"], word_vectors=path, dimension=4, size=4)
    content, matrix = build(table(SENTENCES), settings)
    assert content["words"] == ["the", ".", "dog", "runs"]
    assert content["weights"] == [1.0, 1.0, math.e, math.e]
    assert content["word_vectors"] == "given"
    assert content["words_without_vector"] == {"!": 1, "cat": 1, "x": 1, "y": 1, "z": 1}
    assert content["coverage"] == {"train": {"queries": 4, "tokens": 15, "known_tokens": 9}}
    assert [(q["query_id"], q["reason"]) for q in content["excluded_queries"]] == [
        ("v#003#0", "no word of 'x y z' is in the vocabulary")
    ]
    assert content["provenance"]["word_vectors_sha256"] == store.file_digest(path)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix[:, 1], [0, 1.1, 4.1, 2.1, 3.1], rtol=1e-6)
    assert not matrix[0].any()


def test_only_words_of_the_named_splits_count(config: dict[str, Any]) -> None:
    both = pd.concat([table(["a dog"]), table(["a cat"], "test")], ignore_index=True)
    train = parse(VocabularySettings, config["vocabulary"])
    assert build(both, train)[0]["words"] == ["a", "dog"]
    all_words = build(both, parse(VocabularySettings, config["vocabulary"], splits=["train", "test"]))[0]
    assert all_words["words"] == ["a", "cat", "dog"]
    with pytest.raises(UserError, match=r"splits val of vocabulary\.splits.*test, train"):
        build(both, parse(VocabularySettings, config["vocabulary"], splits=["val"]))


def test_learned_vectors_start_at_the_scale_of_given_ones(config: dict[str, Any]) -> None:
    settings = parse(VocabularySettings, config["vocabulary"])
    content, matrix = build(table(SENTENCES), settings)
    more, other = build(table(["a bird sings", *SENTENCES]), settings)
    assert content["word_vectors"] == "learned"
    assert matrix.shape == (len(content["words"]) + 1, 300)
    assert not matrix[0].any()
    assert matrix[1:].std() == pytest.approx(glove.INITIAL_STD, rel=0.05)
    dog = matrix[content["words"].index("dog") + 1]
    np.testing.assert_array_equal(dog, other[more["words"].index("dog") + 1])


def test_a_file_without_any_of_the_words(tmp_path: Path, config: dict[str, Any]) -> None:
    path = write_glove(tmp_path / "g.txt", "chien", "chat")
    settings = parse(VocabularySettings, config["vocabulary"], word_vectors=path, dimension=4)
    with pytest.raises(UserError, match=r"g\.txt has none of the 10 words"):
        build(table(SENTENCES), settings)


# --- Sentences as ids


def test_ids_begin_at_1_and_unknown_words_are_dropped_before_the_cut() -> None:
    known = vocabulary("dog", "runs", ".", max_words=3)
    assert encode("The DOG, a dog, runs and runs.", known) == [1, 1, 2]
    assert encode("nothing known", known) == []


# --- GloVe's file


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_both_spellings_of_a_word_have_its_vector(tmp_path: Path, form: str) -> None:
    words = ["the", "größer", "दरवाज़ा"]  # the last one has a letter that NFC takes apart
    path = write_glove(tmp_path / "g.txt", *(unicodedata.normalize(form, word) for word in words))
    (tmp_path / "g.txt").write_text((tmp_path / "g.txt").read_text() + "\u0958 1 2 3 4\n")
    composed = [unicodedata.normalize("NFC", word) for word in (*words, "\u0958")]
    assert set(glove.read(path, composed, 4)[0]) == set(composed)


def test_words_with_spaces_are_other_words(tmp_path: Path) -> None:
    path = tmp_path / "g.txt"
    path.write_bytes(b"the 1 2\n. . . 3 4\n. 5 6\n. 7 8\n\xc2\x85 9 9\nrun 1e-3 -.5 \n")
    found, digest = glove.read(str(path), {".", "run", "absent"}, 2)
    assert {word: vector.tolist() for word, vector in found.items()} == {
        ".": [5, 6],
        "run": [pytest.approx(1e-3), -0.5],
    }
    assert digest == store.file_digest(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"2000000 4\nthe 1 2 3 4\n", r"line 1: this is word2vec's header '2000000 4'; remove this line"),
        (b"PK\x03\x04\x00\x00 zip", "line 1: this is a binary file"),
        (b"\x1f\x8b\x08 gzip", "line 1: this is a binary file"),
        (b"the 1 2 3\n", r"line 1: the vector has 3 numbers, vocabulary\.dimension is 4"),
        (b"the 1 2 3 4 5\n", r"line 1: the vector has 5 numbers, vocabulary\.dimension is 4"),
        (b"", "line 1: this is not a word and its numbers"),
        (b"video,sentence\n", "line 1: this is not a word and its numbers"),
        (b"the\t1\t2\t3\t4\n", "line 1: this is not a word and its numbers"),
        (b"the quick brown fox\n", "line 1: this is not a word and its numbers"),
        (b"the 1 2 3 4\ndog 1 2 3\ncat 1 2 3 4\n", "line 2: 3 numbers instead of 4"),
        (b"the 1 2 3 4\ndog 1 2 x 4\ncat 1 2 3 4\n", "line 2: .* not a number"),
        (b"the 1 2 3 4\ndog 1 2 nan 4\ncat 1 2 3 4\n", "line 2: .* not a number"),
        (b"the 1 2 3 4\ncat 1 2 3 4\nunused 1 2", "line 3: 2 numbers instead of 4"),
    ],
)
def test_another_file_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "g.txt").write_bytes(content)
    with pytest.raises(UserError, match=rf"g\.txt, {said}"):
        glove.read(str(tmp_path / "g.txt"), {"dog", "cat"}, 4)


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"g\.txt cannot be read \(No such file"):
        glove.read(str(tmp_path / "g.txt"), {"dog"}, 4)


def test_malformed_files_never_crash(tmp_path: Path) -> None:
    sound = Path(write_glove(tmp_path / "g.txt", "the", "dog", "cat")).read_bytes()
    generator = random.Random(0)
    said = 0
    for _ in range(500):
        content = bytearray(sound)
        place = generator.randrange(len(content))
        other = generator.choices(range(256), k=generator.randint(0, 3))
        content[place : place + generator.randint(0, 4)] = bytes(other)
        (tmp_path / "g.txt").write_bytes(bytes(content))
        try:
            found, _ = glove.read(str(tmp_path / "g.txt"), {"dog", "cat"}, 4)
            assert all(np.isfinite(vector).all() and vector.shape == (4,) for vector in found.values())
        except UserError as error:
            said += "g.txt, line" in str(error)
    assert said > 100


# --- The stage as a command


def run_stage(folder: Path, settings: VocabularySettings) -> subprocess.CompletedProcess[str]:
    store.write_table(folder / "q.parquet", table(SENTENCES), QUERIES, ["query_id"])
    files = [
        "--queries",
        folder / "q.parquet",
        "--vocabulary",
        folder / "v.json",
        "--word-vectors",
        folder / "v.safetensors",
    ]
    command = [sys.executable, "-m", "vidistill.data.vocabulary", "--settings", json.dumps(vars(settings)), *files]
    environment = {"PYTHONPATH": str(ROOT / "workflow"), "PATH": ""}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("kind", ["given", "learned"])
def test_the_stage_writes_equal_files_that_load(tmp_path: Path, config: dict[str, Any], kind: str) -> None:
    path = write_glove(tmp_path / "g.txt", "the", "dog", "runs", ".") if kind == "given" else None
    settings = parse(VocabularySettings, config["vocabulary"], word_vectors=path, dimension=4)
    files = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        result = run_stage(tmp_path / name, settings)
        assert result.returncode == 0, result.stderr
        files.append([(tmp_path / name / file).read_bytes() for file in ("v.json", "v.safetensors")])
    assert files[0] == files[1]

    loaded = load(tmp_path / "one" / "v.json")
    content, matrix = build(table(SENTENCES), settings)
    assert loaded.words == tuple(content["words"])
    assert loaded.weights == tuple(content["weights"])
    assert (loaded.max_words, loaded.kind) == (20, kind)
    assert loaded.excluded == ({"v#003#0": "no word of 'x y z' is in the vocabulary"} if path else {})
    vectors, is_learned = load_word_vectors(tmp_path / "one" / "v.safetensors")
    np.testing.assert_array_equal(vectors.numpy(), matrix)
    assert is_learned == (kind == "learned")
    assert [loaded.words[i - 1] for i in encode("the dog", loaded)] == ["the", "dog"]


def test_the_stage_ends_with_one_sentence_and_no_file(tmp_path: Path, config: dict[str, Any]) -> None:
    result = run_stage(tmp_path, parse(VocabularySettings, config["vocabulary"], word_vectors="absent.txt"))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: absent.txt cannot be read")
    assert [path.name for path in tmp_path.iterdir()] == ["q.parquet"]


def test_loading_another_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    for path in (tmp_path / "a.json", tmp_path / "absent"):
        with pytest.raises(UserError, match="is not a vocabulary of this workflow"):
            load(path)
        with pytest.raises(UserError, match="holds no word vectors of this workflow"):
            load_word_vectors(path)


# --- The real words


def test_the_vocabulary_of_charades_sta(config: dict[str, Any]) -> None:
    rows = charades.read(str(data("charades-sta", "charades_sta_train.txt")), "train")
    path = str(data("glove", "glove.840B.300d.charades.txt"))
    content, matrix = build(
        table([a.sentence for a in rows]), parse(VocabularySettings, config["vocabulary"], word_vectors=path)
    )
    assert len(content["words"]) == 1007
    assert matrix.shape == (1008, 300)
    assert content["words"][:4] == [".", "person", "a", "the"]
    assert content["excluded_queries"] == []
    assert content["coverage"]["train"] == {"queries": 12_408, "tokens": 89_554, "known_tokens": 89_435}
