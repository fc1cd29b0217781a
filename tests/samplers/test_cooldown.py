import numpy as np
import pytest
from sklearn.datasets import load_iris

from sklearnloss import LossClassifier, Sampler
from sklearnloss.samplers.cooldown import cooldown
from sklearnloss.samplers.temperature_sampler import temperature_sampler

Y = np.repeat([0, 1], [190, 10])


def batches(epoch, y=Y, seed=0, **params):
    return list(cooldown(y, batch_size=32, rng=np.random.default_rng(seed), epoch=epoch, **params))


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_before_the_switch_it_is_the_sampler_of_a_temperature(epoch):
    expected = list(temperature_sampler(Y, batch_size=32, rng=np.random.default_rng(0), tau=3.0))
    assert same(batches(epoch, tau=3.0, switch=3), expected)


@pytest.mark.parametrize(("epoch", "switch"), [(3, 3), (100, 3), (0, 0), (50, 50)])
def test_from_the_switch_on_every_row_comes_once(epoch, switch):
    assert sorted(np.concatenate(batches(epoch, switch=switch))) == list(range(200))


def test_the_small_group_comes_more_often_at_first():
    early, late = (Y[np.concatenate(batches(epoch))].mean() for epoch in (0, 50))
    assert late == 0.05
    assert early > 0.25


def test_groups_come_before_classes():
    group = np.tile([0, 0, 0, 0, 1], 40)
    drawn = np.concatenate(batches(0, group=group, tau=1e9))
    assert 0.4 < group[drawn].mean() < 0.6


def test_the_estimator_says_which_epoch_it_is():
    X, y = load_iris(return_X_y=True)
    y, X = y[:105], X[:105]  # the last class is rare
    seen = []

    def spy(y, *, batch_size, rng, epoch):
        rows = list(cooldown(y, batch_size=batch_size, rng=rng, epoch=epoch, switch=2))
        seen.append(len(np.unique(np.concatenate(rows))))
        yield from rows

    LossClassifier(sampler=spy, max_epochs=4, random_state=0).fit(X, y)
    assert [n == 105 for n in seen] == [False, False, True, True]


def test_trains_by_name():
    X, y = load_iris(return_X_y=True)
    model = LossClassifier(sampler=Sampler("cooldown", switch=20), max_epochs=40, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.9
