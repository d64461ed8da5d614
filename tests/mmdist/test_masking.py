import numpy as np

from vidistill.mmdist import masking

IDS = [f"video#{i}" for i in range(500)]
KEYS = masking.query_keys(IDS)
WEIGHTS = np.zeros((500, 20))
for i in range(500):
    WEIGHTS[i, : 1 + i % 12] = 1.0


def test_a_third_of_the_words_at_least_one_and_never_padding():
    masked = masking.masked_words(KEYS, WEIGHTS, seed=0, epoch=1)
    lengths = (WEIGHTS > 0).sum(1)
    assert (masked.sum(1) == np.maximum(lengths // 3, 1)).all()
    assert not (masked & (WEIGHTS == 0)).any()


def test_a_function_of_query_seed_and_epoch_alone():
    masked = masking.masked_words(KEYS, WEIGHTS, seed=0, epoch=1)
    order = np.random.default_rng(0).permutation(500)[:100]
    assert (masking.masked_words(KEYS[order], WEIGHTS[order], seed=0, epoch=1) == masked[order]).all()
    assert (masking.masked_words(KEYS, WEIGHTS, seed=0, epoch=2) != masked).any()
    assert (masking.masked_words(KEYS, WEIGHTS, seed=1, epoch=1) != masked).any()


def test_content_words_are_masked_e_times_as_often():
    weights = np.tile([np.e, 1.0, 1.0], (1, 1)).repeat(20000, axis=0)
    keys = masking.query_keys([str(i) for i in range(20000)])
    first = masking.masked_words(keys, weights, seed=3, epoch=5)[:, 0].mean()
    expected = np.e / (np.e + 2)
    assert abs(first - expected) < 4 * (expected * (1 - expected) / 20000) ** 0.5
