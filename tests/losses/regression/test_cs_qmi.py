import math

import numpy as np
import pytest
import torch

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.cs_qmi import cs_qmi

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(8, 3, generator=GENERATOR, dtype=torch.float64)
Z = torch.randn(8, 2, generator=GENERATOR, dtype=torch.float64)
ONE = torch.ones(3, dtype=torch.float64)


def naive(x, z, sigma):
    def table(a):
        return [[math.exp(-float((p - q).square().sum()) / (2 * sigma**2)) for q in a] for p in a]

    def information(k, m):
        n = len(k)
        both = sum(k[i][j] * m[i][j] for i in range(n) for j in range(n)) / n**2
        apart = sum(map(sum, k)) * sum(map(sum, m)) / n**4
        cross = sum(sum(k[j]) * sum(m[j]) for j in range(n)) / n**3
        return math.log(both) + math.log(apart) - 2 * math.log(cross)

    k, m = table(x), table(z)
    return information(k, m) / math.sqrt(information(k, k) * information(m, m))


def test_equals_the_formula_in_plain_loops():
    assert float(cs_qmi(X=X, features=Z, x_scale=ONE, sigma=1.3)) == pytest.approx(naive(X, Z, 1.3), rel=1e-6)


def test_rows_tell_everything_about_themselves_and_constants_nothing():
    assert float(cs_qmi(X=X, features=3 * X, x_scale=ONE)) == pytest.approx(1)
    still = torch.ones(8, 2, dtype=torch.float64, requires_grad=True)
    value = cs_qmi(X=X, features=still, x_scale=ONE)
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)
    assert still.grad.isfinite().all()


def test_independent_features_share_less_than_dependent_ones():
    rows = torch.randn(64, 3, generator=GENERATOR, dtype=torch.float64)
    noise = torch.randn(64, 2, generator=GENERATOR, dtype=torch.float64)
    values = [float(cs_qmi(X=rows, features=f, x_scale=ONE)) for f in (noise, rows[:, :2], rows)]
    assert values == sorted(values)
    assert values[0] < 0.5


def test_gradients_are_those_of_finite_differences():
    def value(features):
        return cs_qmi(X=X, features=features, x_scale=ONE, sigma=1.0)

    assert torch.autograd.gradcheck(value, Z.clone().requires_grad_())


def test_beside_a_loss_that_predicts_features_remember_less():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(150, 4))
    y = rows[:, 0]
    shared = []
    for loss in ("mse", Loss("mse") + 1.0 * Loss("cs_qmi")):
        model = LossRegressor(loss, hidden_layer_sizes=(16,), lr=0.02, max_epochs=40, random_state=0).fit(rows, y)
        with torch.no_grad():
            features = model.net_.module_.backbone(torch.from_numpy(rows))
        shared.append(float(cs_qmi(X=torch.from_numpy(rows), features=features, x_scale=torch.ones(4))))
        assert model.score(rows, y) > 0.8
    assert shared[1] < shared[0]


def test_rows_may_come_without_units_and_in_any_shape():
    images = X[:, None]  # (8, 1, 3)
    assert float(cs_qmi(X=images, features=Z)) == pytest.approx(float(cs_qmi(X=X, features=Z, x_scale=ONE)))
    rows, y = X.numpy(), X.sum(1).numpy()
    model = LossRegressor(Loss("mse") + Loss("cs_qmi"), standardize=False, max_epochs=2, random_state=0).fit(rows, y)
    assert 0 < model.history_[-1]["train_loss_cs_qmi"] <= 1
