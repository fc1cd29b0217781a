import numpy as np
from scipy import sparse
from scipy.stats import kstest

from sklearnloss.strategies.random import random


def test_numbers_are_uniform_and_look_at_nothing_but_the_number_of_rows():
    rows = np.zeros((2000, 3))
    numbers = random(rows, rng=np.random.default_rng(0))
    assert kstest(numbers, "uniform").pvalue > 0.01
    np.testing.assert_array_equal(random(sparse.csr_array(rows), rng=np.random.default_rng(0)), numbers)


def test_every_row_is_asked_about_as_often():
    counts = np.zeros(20)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        counts[np.argsort(-random(np.zeros((20, 1)), rng=rng))[:5]] += 1
    assert np.abs(counts / 2000 - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 2000)


def test_a_learner_asks_it_by_either_name(asked):
    found = asked("random", "digits")
    assert found.rows.tolist() == asked("passive", "digits").rows.tolist()
    found.teach()
