import numpy as np
import pytest

from sklearnloss.samplers.per_class import per_class

Y = np.repeat(np.arange(6), [20, 20, 20, 20, 20, 3])


def epoch(y=Y, size=16, seed=0, **params):
    return list(per_class(y, batch_size=size, rng=np.random.default_rng(seed), **params))


@pytest.mark.parametrize(("size", "n_per_class"), [(16, 4), (16, 2), (12, 3), (24, 4)])
def test_each_batch_holds_the_same_number_of_rows_of_as_many_classes_as_fit(size, n_per_class):
    for rows in epoch(size=size, n_per_class=n_per_class):
        classes, counts = np.unique(Y[rows], return_counts=True)
        assert len(classes) == min(6, size // n_per_class)
        assert len(set(counts)) == 1
        assert counts[0] >= n_per_class
        assert len(rows) <= size


def test_a_batch_is_filled_where_there_are_few_classes():
    assert {len(rows) for rows in epoch(np.repeat([0, 1], 40), size=16)} == {16}


def test_two_classes_are_drawn_even_if_the_batch_is_too_small():
    for rows in epoch(size=3, n_per_class=4):
        assert np.unique(Y[rows], return_counts=True)[1].tolist() == [4, 4]


def test_an_epoch_has_as_many_batches_as_the_rows_fill():
    assert len(epoch(size=16)) == -(-len(Y) // 16)


def test_a_class_is_dealt_out_before_a_row_comes_again():
    y = np.repeat([0, 1], 40)
    rows = np.concatenate(epoch(y, size=8))
    assert sorted(rows.tolist()) == list(range(80))


def test_rows_of_a_small_class_come_twice():
    rows = np.concatenate([rows for rows in epoch(n_per_class=4, size=24) if (Y[rows] == 5).any()])
    assert set(rows[Y[rows] == 5]) == {100, 101, 102}


def test_all_classes_come_equally_often():
    counts = np.bincount(Y[np.concatenate(epoch(size=8))])
    assert counts.max() - counts.min() <= 4


def test_one_class_alone_is_drawn():
    assert all((rows < 10).all() for rows in epoch(np.zeros(10, dtype=int), size=4))


def test_the_order_follows_the_generator():
    first, again, other = (np.concatenate(epoch(seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
