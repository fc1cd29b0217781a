import numpy as np
import pytest

from sklearnloss import LossClassifier, Sampler
from sklearnloss.exceptions import ParameterError, TaskError
from sklearnloss.samplers.dual import dual

Y = (np.arange(100) % 10 == 0).astype(int)  # ten positives


def epoch(y=Y, size=20, seed=0, **params):
    return list(dual(y, batch_size=size, rng=np.random.default_rng(seed), **params))


@pytest.mark.parametrize(("fraction", "positives"), [(0.5, 10), (0.25, 5), (0.01, 1), (0.99, 19)])
def test_each_batch_holds_the_share_of_positives(fraction, positives):
    for rows in epoch(fraction=fraction):
        assert len(rows) == 20
        assert Y[rows].sum() == positives


def test_an_epoch_has_as_many_batches_as_the_rows_fill():
    assert [len(epoch(size=size)) for size in (20, 30, 1000)] == [5, 4, 1]


def test_each_class_is_dealt_out_before_a_row_comes_again():
    drawn = np.concatenate(epoch())  # 50 positives, 50 negatives
    assert np.bincount(drawn[Y[drawn] == 1]).max() == 5
    assert set(drawn[Y[drawn] == 1]) == set(np.flatnonzero(Y))
    assert np.bincount(drawn[Y[drawn] == 0]).max() == 1


def test_no_batch_is_larger_than_the_data():
    assert [len(rows) for rows in epoch(size=1000)] == [100]


def test_one_row_of_each_class_is_drawn_even_if_the_batch_is_too_small():
    assert all(sorted(Y[rows]) == [0, 1] for rows in epoch(size=1))


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_drawn(label):
    batches = epoch(np.full(10, label), size=4)
    assert [len(rows) for rows in batches] == [4, 4, 4]
    assert set(np.concatenate(batches)) == set(range(10))


def test_the_order_follows_the_generator():
    first, again, other = (np.concatenate(epoch(seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("y", "found"), [(np.arange(30) % 3, "3 classes"), (np.zeros((30, 4), dtype=int), "4 labels per row")]
)
def test_more_than_two_classes_are_refused(y, found):
    with pytest.raises(TaskError, match=f"'dual' is for two classes, y has {found}"):
        epoch(y)


def test_the_estimator_refuses_more_than_two_classes():
    with pytest.raises(TaskError, match="'dual' is for two classes, y has 3 classes"):
        LossClassifier(sampler="dual", max_epochs=1).fit(np.random.default_rng(0).random((30, 2)), np.arange(30) % 3)


@pytest.mark.parametrize("fraction", [0, 1, -0.5])
def test_a_share_of_all_or_none_is_refused(fraction):
    with pytest.raises(ParameterError, match=r"fraction must be a float in \(0, 1\)"):
        Sampler("dual", fraction=fraction).choose()
