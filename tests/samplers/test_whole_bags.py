from itertools import pairwise

import numpy as np
import pytest

from sklearnloss.samplers.whole_bags import whole_bags


def epoch(bag, size, seed=0, **params):
    rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
    return list(whole_bags(np.asarray(bag), batch_size=size, rng=rng, **params))


def mixed(n_bags=12, seed=0):
    """Return bags of 1 to 9 rows in mixed order."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.repeat(np.arange(n_bags), rng.integers(1, 10, size=n_bags)))


@pytest.mark.parametrize("size", [1, 9, 16, 1000])
def test_every_row_comes_once_and_every_bag_is_whole(size):
    bag = mixed()
    batches = epoch(bag, size)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(bag)))
    seen = [np.unique(bag[rows]) for rows in batches]
    assert sorted(np.concatenate(seen).tolist()) == list(range(12))  # no bag comes in two batches


@pytest.mark.parametrize("size", [9, 16, 1000])
def test_batches_are_as_full_as_whole_bags_allow(size):
    bag = mixed()
    batches = epoch(bag, size)
    assert max(len(rows) for rows in batches) <= size
    for rows, after in pairwise(batches):
        first = bag[after[0]]  # the bag that did not fit in any more
        assert len(rows) + np.count_nonzero(bag == first) > size


def test_a_bag_that_is_larger_than_a_batch_is_one_of_its_own():
    bag = np.repeat([0, 1, 2], [3, 20, 3])
    batches = epoch(bag, 8)
    assert [20] == [len(rows) for rows in batches if 1 in bag[rows]]
    assert sum(len(rows) for rows in batches) == 26


def test_rows_of_a_batch_come_bag_by_bag():
    bag = mixed()
    for rows in epoch(bag, 16):
        assert np.count_nonzero(np.diff(bag[rows])) == len(np.unique(bag[rows])) - 1


def test_the_order_of_bags_follows_the_generator_and_is_new_in_each_epoch():
    bag = mixed(40)
    first, again, other = (np.concatenate(epoch(bag, 16, seed)).tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other
    rng = np.random.default_rng(0)
    assert np.concatenate(epoch(bag, 16, rng)).tolist() != np.concatenate(epoch(bag, 16, rng)).tolist()


@pytest.mark.parametrize("bag", [np.array([7, 7, 3]), np.array([2**40, -1, 2**40])])
def test_numbers_of_bags_may_have_gaps(bag):
    (rows,) = epoch(bag, 8)
    assert sorted(rows.tolist()) == [0, 1, 2]


def test_no_more_rows_are_drawn_of_a_bag_than_the_limit_and_none_twice():
    bag = mixed()
    sizes = np.bincount(bag)
    rows = np.concatenate(epoch(bag, 16, max_bag_rows=3))
    assert np.bincount(bag[rows]).tolist() == np.minimum(sizes, 3).tolist()
    assert len(np.unique(rows)) == len(rows)


def test_the_limit_counts_when_batches_are_filled():
    bag = np.repeat(np.arange(4), 100)
    assert [len(rows) for rows in epoch(bag, 8, max_bag_rows=4)] == [8, 8]


def test_a_limit_that_no_bag_reaches_changes_nothing():
    bag = mixed()
    for rows, limited in zip(epoch(bag, 16), epoch(bag, 16, max_bag_rows=9), strict=True):
        assert rows.tolist() == limited.tolist()


def test_the_mean_of_drawn_rows_is_that_of_the_bag_on_average():
    bag = np.repeat([0, 1], [50, 7])
    values = np.random.default_rng(1).normal(size=57)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        means = []
        for _ in range(3000):
            rows = np.concatenate(epoch(bag, 100, rng, max_bag_rows=5))
            means.append([values[rows[bag[rows] == b]].mean() for b in (0, 1)])
        for b, size in ((0, 50), (1, 7)):
            own = values[bag == b]
            spread = own.std(ddof=1) * np.sqrt((1 / 5 - 1 / size) / 3000)  # of a draw without replacement
            assert abs(np.mean(means, axis=0)[b] - own.mean()) < 4 * spread


def test_each_row_is_drawn_as_often():
    bag, rng = np.repeat([0, 1], [20, 10]), np.random.default_rng(0)
    counts = sum(np.bincount(np.concatenate(epoch(bag, 64, rng, max_bag_rows=4)), minlength=30) for _ in range(3000))
    for rows, share in ((slice(20), 0.2), (slice(20, 30), 0.4)):
        assert (abs(counts[rows] - 3000 * share) < 5 * np.sqrt(3000 * share * (1 - share))).all()
