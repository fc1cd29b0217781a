import numpy as np
import pytest

from sklearnloss import LossClassifier
from sklearnloss.samplers.stratified import stratified

Y = np.repeat([0, 1, 2, 3], [61, 25, 10, 2])


def epoch(y=Y, size=16, seed=0):
    return list(stratified(y, batch_size=size, rng=np.random.default_rng(seed)))


@pytest.mark.parametrize("size", [1, 7, 16, 50, 97, 98, 1000])
def test_every_row_comes_once_in_batches_of_nearly_equal_size(size):
    batches = epoch(size=size)
    sizes = [len(rows) for rows in batches]
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(Y)))
    assert len(batches) == -(-len(Y) // size)
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("size", [7, 16, 50])
def test_the_numbers_of_a_class_in_two_batches_differ_by_one_at_most(size):
    counts = np.array([np.bincount(Y[rows], minlength=4) for rows in epoch(size=size)])
    assert (np.ptp(counts, axis=0) <= 1).all()


def test_a_class_with_rows_enough_is_in_every_batch():
    counts = np.array(
        [np.bincount(Y[rows], minlength=4) for rows in epoch(size=10)]
    )  # ten batches, ten rows of class 2
    assert (counts[:, :3] >= 1).all()
    assert counts[:, 3].sum() == 2


def test_the_order_follows_the_generator_and_is_new_in_each_epoch():
    first, again, other = (np.concatenate(epoch(seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    rng = np.random.default_rng(0)
    one, two = (set(next(iter(stratified(Y, batch_size=16, rng=rng))).tolist()) for _ in range(2))
    assert one != two


def test_sets_of_labels_are_classes():
    y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[np.repeat(np.arange(4), 5)]
    for rows in epoch(y, size=4):
        assert len(np.unique(y[rows], axis=0)) == 4


def test_trains_by_name():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(98, 2)) + 4 * np.column_stack([Y, Y % 2])
    model = LossClassifier(sampler="stratified", max_epochs=20, lr=1e-2, batch_size=16, random_state=0)
    assert model.fit(X, Y).score(X, Y) > 0.9
