import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.metrics import recall_score

from sklearnloss import LossClassifier, Sampler
from sklearnloss.exceptions import ParameterError
from sklearnloss.samplers.class_balanced import class_balanced

Y = np.repeat([0, 1, 2], [400, 80, 20])


def epoch(y=Y, size=32, seed=0, **params):
    return list(class_balanced(y, batch_size=size, rng=np.random.default_rng(seed), **params))


def found_shares(y=Y, epochs=40, **params):
    drawn = np.concatenate([rows for seed in range(epochs) for rows in epoch(y, seed=seed, **params)])
    return np.bincount(y[drawn]) / len(drawn)


def effective(counts, beta):
    shares = np.array([n * (1 - beta) / (1 - beta**n) for n in counts])
    return shares / shares.sum()


def test_with_inverse_frequency_all_classes_are_as_likely():
    assert found_shares() == pytest.approx([1 / 3] * 3, abs=0.012)


@pytest.mark.parametrize("beta", [0.5, 0.99, 0.999])
def test_between_shares_are_those_of_the_effective_number(beta):
    assert found_shares(beta=beta) == pytest.approx(effective([400, 80, 20], beta), abs=0.012)


def test_without_repetition_every_row_comes_once():
    assert sorted(np.concatenate(epoch(beta=0.0))) == list(range(500))


def test_a_repetition_near_one_or_zero_is_its_limit():
    assert found_shares(beta=1 - 1e-12) == pytest.approx([1 / 3] * 3, abs=0.012)
    assert found_shares(beta=1e-12) == pytest.approx([0.8, 0.16, 0.04], abs=0.012)


def test_each_class_is_dealt_out_before_a_row_comes_again():
    counts = np.bincount(np.concatenate(epoch()), minlength=500)
    for label in range(3):
        own = counts[Y == label]
        assert own.max() - own.min() <= 1


def test_batches_are_of_the_size_and_fill_an_epoch():
    sizes = [len(rows) for rows in epoch(size=64)]
    assert sum(sizes) == 500
    assert len(sizes) == 8
    assert max(sizes) <= 64


def test_sets_of_labels_are_classes():
    y = np.array([[1, 0]] * 90 + [[1, 1]] * 10)
    drawn = np.concatenate(epoch(y))
    assert 0.3 < y[drawn, 1].mean() < 0.7


@pytest.mark.parametrize("y", [np.zeros(5, dtype=int), np.arange(5)])
def test_one_class_alone_and_classes_of_one_row_are_drawn(y):
    assert sum(len(rows) for rows in epoch(y, size=2)) == 5


def test_the_order_follows_the_generator():
    first, again, other = (np.concatenate(epoch(seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("beta", [-0.1, 1.1])
def test_a_repetition_out_of_range_is_refused(beta):
    with pytest.raises(ParameterError, match=r"beta must be a float in \[0, 1\]"):
        Sampler("class_balanced", beta=beta).choose()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_rare_class_is_found_more_often_than_with_shuffled_rows(seed):
    X, y = make_classification(300, weights=[0.9], class_sep=0.5, n_redundant=0, random_state=seed)
    recall = [
        recall_score(y, LossClassifier(sampler=name, max_epochs=8, random_state=seed).fit(X, y).predict(X))
        for name in ("shuffle", "class_balanced")
    ]
    assert recall[1] > recall[0]
