from itertools import pairwise

import numpy as np
import pytest

from sklearnloss.samplers.shuffle_blocks import shuffle_blocks


def epoch(n, size, seed=0, **facts):
    return list(shuffle_blocks(np.arange(n), batch_size=size, rng=np.random.default_rng(seed), **facts))


@pytest.mark.parametrize(("n", "size"), [(10, 4), (1, 4), (7, 100), (9, 1), (5000, 128), (40_000, 128)])
@pytest.mark.parametrize("facts", [{}, {"buffer_size": 10}, {"buffer_size": 1}])
def test_every_row_comes_once_in_batches_of_at_most_the_size(n, size, facts):
    batches = epoch(n, size, **facts)
    assert sorted(np.concatenate(batches).tolist()) == list(range(n))
    assert max(map(len, batches)) <= size
    assert min(map(len, batches)) >= min(n, size) // 2


def test_blocks_of_unequal_size_come_whole_and_in_random_order():
    sizes = np.array([5, 1, 9, 3, 7, 2, 8, 5])
    block = np.repeat(np.arange(8), sizes)
    batches = epoch(40, 4, block=block, buffer_size=10)
    assert sorted(np.concatenate(batches).tolist()) == list(range(40))
    order = block[np.concatenate(batches)]
    assert order.tolist() != sorted(order)
    first, last = ({b: f(np.flatnonzero(order == b)) for b in range(8)} for f in (min, max))
    assert all(last[b] - first[b] < 10 + max(sizes) for b in range(8))  # the rows of a block stay in one buffer


def test_rows_of_several_blocks_are_mixed_and_those_of_another_buffer_are_not():
    block = np.arange(4000) // 50
    rows = np.concatenate(epoch(4000, 100, block=block, buffer_size=500))
    for start in range(0, 4000, 500):
        buffer = block[rows[start : start + 500]]
        assert len(np.unique(buffer)) == 10
        assert len(np.unique(buffer[:100])) > 5
    seen = [set(block[rows[start : start + 500]]) for start in range(0, 4000, 500)]
    assert all(a.isdisjoint(b) for a, b in pairwise(seen))


def test_some_rows_only_are_places_among_those_rows():
    index = np.array([3, 4, 5, 2000, 2001, 9000])
    batches = list(shuffle_blocks(index, batch_size=2, rng=np.random.default_rng(0)))
    assert sorted(np.concatenate(batches).tolist()) == [0, 1, 2, 3, 4, 5]


def test_the_order_follows_the_generator_and_is_new_in_each_epoch():
    first, again, other = (np.concatenate(epoch(5000, 8, seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    rng = np.random.default_rng(0)
    one, two = (np.concatenate(list(shuffle_blocks(np.arange(50), batch_size=8, rng=rng))) for _ in range(2))
    assert (one != two).any()
