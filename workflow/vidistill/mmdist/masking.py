"""Draw the masked words of a sentence: a pure function of (seed, its known words, epoch)."""

import hashlib

import numpy as np

EVALUATION = 0  # epochs count from 1


def keys_of(tokens: np.ndarray) -> np.ndarray:
    """64-bit keys (N,) of sentences (N, W), 0 for padding at their ends, however wide it is."""
    words = [row[row > 0].astype("<i8").tobytes() for row in tokens]
    return np.array([int.from_bytes(hashlib.sha256(w).digest()[:8], "big") for w in words], dtype=np.uint64)


def draws(keys: np.ndarray, weights: np.ndarray, seed: int, count: int) -> np.ndarray:
    """(N, count, W) bool: the draws whose reconstruction errors are averaged in evaluation; arguments as below."""
    return np.stack([masked_words(keys, weights, seed, EVALUATION - i) for i in range(count)], axis=1)


def masked_words(keys: np.ndarray, weights: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Draw max(floor(n/3), 1) distinct words of each sentence, without replacement, by weight (Gumbel top-k).

    Args:
        keys: (N,) of the queries.
        weights: (N, W) of the words, 0 for padding.
        epoch: 1, 2, ... in training, `EVALUATION` and lower in evaluation.

    Returns:
        (N, W) bool.
    """
    counts = np.maximum((weights > 0).sum(1) // 3, 1)
    with np.errstate(divide="ignore"):
        priority = np.log(weights) - np.log(-np.log(_uniform(keys, weights.shape[1], seed, epoch)))
    rank = np.argsort(np.argsort(-priority, axis=1, kind="stable"), axis=1, kind="stable")
    return rank < counts[:, None]


def _uniform(keys: np.ndarray, width: int, seed: int, epoch: int) -> np.ndarray:
    """(N, width) numbers in (0, 1), a hash of (key, seed, epoch, position): no state, so no order matters."""
    stream = np.uint64(int.from_bytes(hashlib.sha256(f"{seed}/{epoch}".encode()).digest()[:8], "big"))
    x = _mix(keys ^ stream)[:, None] + np.arange(1, width + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((_mix(x) >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
