"""Stage `vocabulary`: the words that the models of a data set know, and their vectors."""

import collections
import functools
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from vidistill.base import settings as settings_module
from vidistill.base import store
from vidistill.base.stage import UserError, arguments, run
from vidistill.data import encoded_words, glove, labels
from vidistill.data.encoded_words import Encoded
from vidistill.data.text import masking_weight, tokenise
from vidistill.settings.vocabulary import VocabularySettings

if TYPE_CHECKING:  # making a vocabulary needs no torch
    from torch import Tensor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Vocabulary:
    """V words; the id of a word is its position + 1, id 0 is padding."""

    words: tuple[str, ...]
    weights: tuple[float, ...]  # (V,) of the words in drawing masked words
    max_words: int
    kind: Literal["given", "learned"]  # of the vectors: frozen, or only initial values
    excluded: dict[str, str]  # query id -> why no word of its sentence is known
    encoder: dict[str, Any] | None = None  # how a text encoder made the vectors, see `encoded`

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words, 1)}


def load(path: str | Path) -> Vocabulary:
    """Read `vocabulary.json`.

    Raises:
        UserError: the file is missing or not a vocabulary.
    """
    try:
        return loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a vocabulary of this workflow ({error!r}); make it again.") from None


def load_word_vectors(path: str | Path) -> tuple["Tensor", bool]:
    """The (V + 1, E) float32 vectors of `word_vectors.safetensors`, with row 0 zero, and whether they are learned.

    Raises:
        UserError: the file is missing or holds no word vectors.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor("word_vectors"), file.metadata()["kind"] == "learned"
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no word vectors of this workflow ({error!r}); make it again.") from None


def loads(text: str) -> Vocabulary:
    """Parse the text of a `vocabulary.json`, which models store, too."""
    content = json.loads(text)
    return Vocabulary(
        words=tuple(content["words"]),
        weights=tuple(content["weights"]),
        max_words=content["max_words"],
        kind=content["word_vectors"],
        excluded={query["query_id"]: query["reason"] for query in content["excluded_queries"]},
        encoder=content.get("provenance", {}).get("text_encoder"),
    )


def encode(sentence: str, vocabulary: Vocabulary) -> list[int]:
    """The ids of a sentence's known words in order, at most `max_words`; empty if it has none."""
    known = (vocabulary.ids.get(word) for word in tokenise(sentence))
    return [index for index in known if index is not None][: vocabulary.max_words]


def count_words(sentences: Iterable[str]) -> collections.Counter[str]:
    """How often each token occurs."""
    return collections.Counter(word for sentence in sentences for word in tokenise(sentence))


def choose(counts: Mapping[str, int], have_vector: Iterable[str], size: int) -> list[str]:
    """The at most `size` most frequent words that have a vector; of equally frequent ones the alphabet's first."""
    return sorted(have_vector, key=lambda word: (-counts[word], word))[:size]


def exclude(queries: pd.DataFrame, vocabulary: Vocabulary) -> list[dict[str, str]]:
    """The queries that are left without words, with the reason."""
    excluded = []
    for query_id, sentence in zip(queries["query_id"], queries["sentence"], strict=True):
        if not encode(sentence, vocabulary):
            reason = f"no word of {sentence!r} is in the vocabulary"
            excluded.append({"query_id": query_id, "reason": reason})
    return excluded


def coverage(queries: pd.DataFrame, words: Iterable[str]) -> dict[str, dict[str, int]]:
    """For each split how many queries and tokens it has, and how many of the tokens are known."""
    known = set(words)
    shares = {}
    for split, rows in queries.groupby("split"):
        counts = count_words(rows["sentence"])
        in_vocabulary = sum(count for word, count in counts.items() if word in known)
        shares[str(split)] = {"queries": len(rows), "tokens": counts.total(), "known_tokens": in_vocabulary}
    return shares


def build(
    queries: pd.DataFrame, settings: VocabularySettings, encoded: Encoded | None = None
) -> tuple[dict[str, Any], np.ndarray]:
    """The content of `vocabulary.json` and the vectors (V + 1, dimension) float32 whose row 0, padding, is zero.

    Args:
        queries: columns query_id, split, sentence.
        encoded: the words' vectors by `settings.text_encoder`.

    Raises:
        UserError: no query in `settings.splits`, or no word with a vector.
    """
    counts = count_words(queries["sentence"][queries["split"].isin(settings.splits)])
    if not counts:
        raise UserError(
            f"no query is in the splits {', '.join(settings.splits)} of vocabulary.splits; "
            f"the data set has {', '.join(sorted(set(queries['split'])))}; use one of these."
        )
    if encoded is not None:
        vectors, digest = {word: vector for word, vector in encoded.vectors.items() if word in counts}, None
        if not vectors:
            raise UserError("the encoded words have none of the sentences' words; make them again (stage words).")
    elif settings.word_vectors is None:
        vectors, digest = {word: glove.initial(word, settings.dimension) for word in counts}, None
    else:
        vectors, digest = glove.read(settings.word_vectors, counts, settings.dimension)
        if not vectors:
            raise UserError(
                f"{settings.word_vectors} has none of the {len(counts)} words; use another file of word vectors."
            )
    words = choose(counts, vectors, settings.size)
    vocabulary = Vocabulary(
        words=tuple(words),
        weights=tuple(masking_weight(word) for word in words),
        max_words=settings.max_words,
        kind="learned" if settings.word_vectors is None and encoded is None else "given",
        excluded={},
    )
    excluded = exclude(queries, vocabulary)
    for query in excluded:
        log.warning("query %s is excluded: %s", query["query_id"], query["reason"])
    without_vector = sorted((word for word in counts if word not in vectors), key=lambda word: (-counts[word], word))
    log.info("%d of %d words, %d have no vector", len(words), len(counts), len(without_vector))
    content: dict[str, Any] = {
        "words": words,
        "weights": list(vocabulary.weights),
        "max_words": settings.max_words,
        "word_vectors": vocabulary.kind,
        "excluded_queries": excluded,
        "coverage": coverage(queries, words),
        "words_without_vector": {word: counts[word] for word in without_vector},
    }
    about: dict[str, Any] = {"settings": settings.model_dump(), "word_vectors_sha256": digest}
    known = np.stack([vectors[word] for word in words])
    if encoded is not None:
        centred = encoded_words.centring(known)
        known = centred(known)
        about["text_encoder"] = {
            "provenance": encoded.provenance,
            "files": encoded.files,
            "mean": centred.mean.tolist(),
            "scale": centred.scale,
        }
    return {**content, "provenance": about}, np.concatenate([np.zeros_like(known[:1]), known])


def main(argv: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--word-vectors", type=Path, required=True)
    parser.add_argument("--encoded", type=Path, help="as written by stage encode_words, for text_encoder")
    args = parser.parse_args(argv)
    settings = settings_module.parse(VocabularySettings, args.settings)
    queries = labels.with_sentences(store.read_table(args.queries, ["query_id", "split", "sentence", "label"]))
    if bool(args.encoded) != bool(settings.text_encoder):
        raise UserError("vocabulary.text_encoder and --encoded belong together; give both, or neither.")
    content, matrix = build(queries, settings, encoded_words.read(args.encoded) if args.encoded else None)
    with store.atomic(args.word_vectors) as temporary:
        save_file({"word_vectors": matrix}, temporary, metadata={"kind": content["word_vectors"]})
    store.write_json(args.vocabulary, content)


if __name__ == "__main__":
    run(main)
