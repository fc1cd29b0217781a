import numpy as np
import pytest
from sklearn.datasets import load_iris

from sklearnloss import LossClassifier, Sampler
from sklearnloss.exceptions import ParameterError
from sklearnloss.samplers._shares import tempered
from sklearnloss.samplers.temperature_sampler import temperature_sampler

SIZES = np.array([1000, 100, 10])
Y = np.repeat([0, 1, 2], SIZES)


def epoch(y=Y, size=64, seed=0, **params):
    return list(temperature_sampler(y, batch_size=size, rng=np.random.default_rng(seed), **params))


def found_shares(epochs=30, **params):
    drawn = np.concatenate([rows for seed in range(epochs) for rows in epoch(seed=seed, **params)])
    return np.bincount(Y[drawn]) / len(drawn)


@pytest.mark.parametrize(("tau", "shares"), [(2, [0.706101, 0.223289, 0.070610]), (5, [0.492838, 0.310960, 0.196202])])
def test_gives_the_worked_shares(tau, shares):
    assert tempered(SIZES, tau) == pytest.approx(shares, abs=1e-6)
    assert found_shares(tau=tau) == pytest.approx(shares, abs=0.01)


def test_the_weights_that_would_do_the_same_are_the_worked_ones():
    weights = tempered(SIZES, 5.0) / tempered(SIZES, 1.0)
    assert weights == pytest.approx([0.54705, 3.451653, 21.778458], abs=1e-5)


def test_a_temperature_of_one_takes_every_row_once():
    assert sorted(np.concatenate(epoch(tau=1.0))) == list(range(1110))
    assert tempered(SIZES, 1.0) == pytest.approx(SIZES / 1110)


def test_a_high_temperature_makes_groups_equal():
    assert found_shares(tau=1e9) == pytest.approx([1 / 3] * 3, abs=0.01)


@pytest.mark.parametrize("tau", [2.0, 5.0])
def test_the_gradient_is_that_of_weighted_rows_with_less_variance(tau):
    rng = np.random.default_rng(0)
    sizes = np.array([5000, 500, 50])
    group = np.repeat([0, 1, 2], sizes)
    gradients = rng.normal(size=len(group)) + group  # of each row
    p, q = tempered(sizes, tau), tempered(sizes, 1.0)
    weights = p / q
    means = np.array([gradients[group == g].mean() for g in range(3)])
    squares = np.array([(gradients[group == g] ** 2).mean() for g in range(3)])
    assert p @ means == pytest.approx((weights[group] * gradients).mean())
    sampled = p @ squares - (p @ means) ** 2
    weighted = q @ (weights**2 * squares) - (p @ means) ** 2
    assert weighted > sampled


def test_groups_come_before_classes():
    group = np.tile([0, 1, 1, 1, 1, 1, 1, 1, 1, 1], 111)
    drawn = np.concatenate(epoch(group=group, tau=1e9))
    assert 0.45 < group[drawn].mean() < 0.55
    assert 0.7 < (Y[drawn] == 0).mean()


def test_each_group_is_dealt_out_before_a_row_comes_again():
    counts = np.bincount(np.concatenate(epoch()), minlength=1110)
    for label in range(3):
        own = counts[Y == label]
        assert own.max() - own.min() <= 1


def test_the_order_follows_the_generator():
    first, again, other = (np.concatenate(epoch(seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_a_low_temperature_is_refused():
    with pytest.raises(ParameterError, match=r"tau must be a float in \[1, inf\)"):
        Sampler("temperature_sampler", tau=0.5).choose()


def test_trains_by_name_with_groups():
    X, y = load_iris(return_X_y=True)
    model = LossClassifier(sampler="temperature_sampler", max_epochs=100, random_state=0)
    assert model.fit(X, y, group=np.repeat(["a", "b"], [140, 10])).score(X, y) > 0.9
