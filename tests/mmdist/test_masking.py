import numpy as np

from vidistill.mmdist import masking

TOKENS = np.array([[i + 1, 0, 0] for i in range(500)])
KEYS = masking.keys_of(TOKENS)
WEIGHTS = np.zeros((500, 20))
for i in range(500):
    WEIGHTS[i, : 1 + i % 12] = 1.0


def test_a_third_of_the_words_at_least_one_and_never_padding():
    masked = masking.masked_words(KEYS, WEIGHTS, seed=0, epoch=1)
    lengths = (WEIGHTS > 0).sum(1)
    assert (masked.sum(1) == np.maximum(lengths // 3, 1)).all()
    assert not (masked & (WEIGHTS == 0)).any()


def test_a_function_of_words_seed_and_epoch_alone():
    masked = masking.masked_words(KEYS, WEIGHTS, seed=0, epoch=1)
    order = np.random.default_rng(0).permutation(500)[:100]
    assert (masking.masked_words(KEYS[order], WEIGHTS[order], seed=0, epoch=1) == masked[order]).all()
    assert (masking.masked_words(KEYS, WEIGHTS, seed=0, epoch=2) != masked).any()
    assert (masking.masked_words(KEYS, WEIGHTS, seed=1, epoch=1) != masked).any()


def test_content_words_are_masked_e_times_as_often():
    weights = np.tile([np.e, 1.0, 1.0], (1, 1)).repeat(20000, axis=0)
    keys = masking.keys_of(np.arange(1, 20001)[:, None])
    first = masking.masked_words(keys, weights, seed=3, epoch=5)[:, 0].mean()
    expected = np.e / (np.e + 2)
    assert abs(first - expected) < 4 * (expected * (1 - expected) / 20000) ** 0.5


def test_padding_decides_about_nothing():
    assert (masking.keys_of(TOKENS[:, :1]) == KEYS).all()
    assert len(np.unique(KEYS)) == 500


def test_the_first_of_several_draws_is_the_only_one():
    several = masking.draws(KEYS, WEIGHTS, seed=0, count=3)
    assert (several[:, :1] == masking.draws(KEYS, WEIGHTS, seed=0, count=1)).all()
    assert all((several[:, i] != several[:, j]).any() for i, j in ((0, 1), (0, 2), (1, 2)))
