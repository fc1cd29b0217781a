import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV
from torch.testing import assert_close

from sklearnloss import LossClassifier, LossRegressor, Mixup
from sklearnloss.exceptions import TaskError
from sklearnloss.mixups.regmix import regmix


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(n=12, d=3):
    return torch.randn(n, d, dtype=torch.float64, generator=generator(9))


def partners(mixed):
    """Return partner and share of each row, read off targets that were one column per row."""
    shares = mixed.diagonal().clone()
    others = mixed.clone().fill_diagonal_(0)
    return others.argmax(1), shares


def by_loops(X, y, k, y_weight):
    """Return the k nearest rows of each."""

    def scaled(values):
        return [
            [(v - 0.0) / s for v, s in zip(row, values.std(0, correction=0).tolist(), strict=True)]
            for row in values.tolist()
        ]

    x, t = scaled(X), scaled(y)
    found = []
    for i in range(len(X)):
        apart = {
            j: math.dist(x[i], x[j]) ** 2 / len(x[0]) + y_weight * math.dist(t[i], t[j]) ** 2 / len(t[0])
            for j in range(len(X))
            if j != i
        }
        found.append(set(sorted(apart, key=apart.__getitem__)[:k]))
    return found


@pytest.mark.parametrize("k", [1, 3, 11, 100])
def test_partners_are_drawn_evenly_from_the_nearest_rows(k):
    X, y = rows(), torch.eye(12, dtype=torch.float64)
    scale = torch.tensor([1.0, 100.0, 0.01], dtype=torch.float64)
    near = by_loops(X, y, min(k, 11), 0.0)
    seen = [set() for _ in range(12)]
    for seed in range(60 if k < 11 else 150):
        mixed, y_mixed, again, lam = regmix(scale * X, y, rng=generator(seed), neighbors=k)
        partner, share = partners(y_mixed)
        assert_close(mixed, scale * (share[:, None] * X + (1 - share[:, None]) * X[partner]))
        assert_close(y_mixed.sum(1), torch.ones(12, dtype=torch.float64))
        assert again is y_mixed
        assert lam == 1
        for i, j in enumerate(partner.tolist()):
            seen[i].add(j)
    assert seen == near


def test_targets_count_for_who_is_near():
    X, y = rows(), torch.randn(12, 2, dtype=torch.float64, generator=generator(3))
    near = by_loops(X, y, 1, 5.0)
    assert near != by_loops(X, y, 1, 0.0)
    mixed, y_mixed, _, _ = regmix(X, y, rng=generator(), neighbors=1, y_weight=5.0)
    for i, (j,) in enumerate(near):
        share = (y_mixed[i, 0] - y[j, 0]) / (y[i, 0] - y[j, 0])
        assert 0 < share < 1
        assert_close(mixed[i], share * X[i] + (1 - share) * X[j])


@pytest.mark.parametrize("n", [1, 2, 12])
def test_no_neighbours_leave_rows_as_they_are(n):
    X = rows(n)
    mixed, y_a, y_b, lam = regmix(X, X[:, :1], rng=generator(), neighbors=0 if n > 1 else 16)
    assert mixed is X
    assert_close(y_a, X[:, :1])
    assert_close(lam * y_a + (1 - lam) * y_b, X[:, :1])


def test_a_row_that_is_there_twice_stays_where_it_is():
    X = torch.tensor([[0.0, 1.0], [0.0, 1.0], [5.0, 3.0], [5.0, 3.0]])
    mixed, y, _, _ = regmix(X, X, rng=generator(), neighbors=1)
    assert_close(mixed, X)
    assert_close(y, X)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_linear_targets_stay_linear_and_within_those_of_the_pair(seed):
    X = rows()
    y = X @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)
    mixed, y_mixed, _, _ = regmix(X, y, rng=generator(seed))
    assert_close(y_mixed, mixed @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64))
    assert y_mixed.min() >= y.min()
    assert y_mixed.max() <= y.max()


def test_a_weak_strength_leaves_one_of_the_pair_nearly_alone():
    _, y, _, _ = regmix(rows(), torch.eye(12, dtype=torch.float64), rng=generator(), alpha=1e-4)
    share = partners(y)[1]
    assert (torch.minimum(share, 1 - share) < 1e-6).all()


def test_takes_images_and_constant_columns_and_leaves_its_inputs_alone():
    X = torch.ones(6, 2, 3, 3)
    X[:, 0, 0, 0] = torch.arange(6.0)
    before, y = X.clone(), torch.arange(6.0)[:, None]
    mixed, y_mixed, _, _ = regmix(X, y, rng=generator())
    assert_close(mixed[:, 0, 0, 0], y_mixed[:, 0])
    assert_close(X, before)


def test_classes_are_refused():
    with pytest.raises(TaskError, match="mixes targets that are numbers"):
        LossClassifier(mixup="regmix").fit(np.eye(4), [0, 1, 0, 1])


def test_the_number_of_neighbours_is_searched():
    X, y = make_friedman1(150, noise=0.5, random_state=0)
    model = LossRegressor(mixup=Mixup("regmix"), max_epochs=15, lr=0.02, random_state=0)
    search = GridSearchCV(model, {"mixup__neighbors": [0, 4, 64]}, cv=3, error_score="raise").fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    assert search.best_score_ > 0.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_near_partners_harm_a_curved_target_less_than_any_do(seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, size=(300, 1))
    y = np.sin(2 * X[:, 0])
    scores = [
        LossRegressor(
            "mse", mixup=Mixup("regmix", neighbors=k), max_epochs=60, lr=0.02, batch_size=100, random_state=seed
        )
        .fit(X, y)
        .score(X, y)
        for k in (4, 99)
    ]
    assert scores[0] > scores[1] + 0.05
