import numpy as np
import pytest

from sklearnloss.functional.choosing import largest


def test_are_the_largest_in_order():
    values = np.random.default_rng(0).permutation(50).astype(float)
    found = largest(values, 7, np.random.default_rng(0))
    assert values[found].tolist() == [49, 48, 47, 46, 45, 44, 43]


def test_ties_at_the_bound_are_drawn_evenly():
    values = np.array([1.0, 1.0, 1.0, 2.0, 1.0, 0.0])
    rng = np.random.default_rng(0)
    counts = np.zeros(6)
    for _ in range(2000):
        counts[largest(values, 2, rng)] += 1
    assert counts[3] == 2000
    assert counts[5] == 0
    assert np.abs(counts[[0, 1, 2, 4]] - 500).max() < 80


def test_the_order_among_equals_is_drawn_too():
    firsts = {int(largest(np.ones(4), 4, np.random.default_rng(s))[0]) for s in range(20)}
    assert firsts == {0, 1, 2, 3}


@pytest.mark.parametrize("n", [1, 3])
def test_what_is_no_number_is_never_chosen(n):
    values = np.array([np.nan, 0.0, np.nan, -1.0, -np.inf])
    assert largest(values, n, np.random.default_rng(0)).tolist() == [1, 3, 4][:n]
