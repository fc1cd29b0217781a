import numpy as np
import pytest

from sklearnloss.samplers.shuffle import shuffle


def epoch(n, size, seed=0):
    return list(shuffle(np.zeros(n), batch_size=size, rng=np.random.default_rng(seed)))


@pytest.mark.parametrize(("n", "size"), [(10, 4), (12, 4), (1, 4), (7, 100), (9, 1), (129, 128)])
def test_every_row_comes_once_in_batches_of_nearly_equal_size(n, size):
    batches = epoch(n, size)
    sizes = [len(rows) for rows in batches]
    assert sorted(np.concatenate(batches).tolist()) == list(range(n))
    assert len(batches) == -(-n // size)
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_the_order_follows_the_generator():
    first, again, other = (np.concatenate(epoch(50, 8, seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_the_order_is_new_in_each_epoch():
    rng = np.random.default_rng(0)
    first, second = (np.concatenate(list(shuffle(np.zeros(50), batch_size=8, rng=rng))) for _ in range(2))
    assert (first != second).any()


def test_takes_targets_of_any_shape():
    assert sum(len(rows) for rows in shuffle(np.zeros((10, 3)), batch_size=4, rng=np.random.default_rng(0))) == 10
