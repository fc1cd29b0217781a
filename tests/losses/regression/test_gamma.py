import numpy as np
import pytest
import torch
from scipy import stats

from sklearnloss import LossRegressor
from sklearnloss.functional.distributions import Gamma
from sklearnloss.losses.regression.gamma import gamma

COLUMNS = torch.randn(6, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).exp()


def test_is_that_of_scipy():
    mean, shape = np.exp(COLUMNS.numpy()[..., 0]), 0.05 + np.log1p(np.exp(COLUMNS.numpy()[..., 1]))
    wanted = -stats.gamma.logpdf(Y.numpy(), shape, scale=mean / shape)
    np.testing.assert_allclose(gamma(COLUMNS, Y).numpy(), wanted, rtol=1e-10)


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(lambda c: gamma(c, Y), COLUMNS.clone().requires_grad_())


def test_quantiles_are_positive_in_the_units_of_the_target():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y = 1000 * np.exp(0.5 * X[:, 0]) * rng.gamma(4, 0.25, size=200)
    model = LossRegressor("gamma", hidden_layer_sizes=(8,), lr=0.05, max_epochs=40, random_state=0).fit(X, y)
    assert isinstance(model.predict_dist(X), Gamma)
    low, high = model.predict_interval(X, coverage=0.8).T
    assert (low > 0).all()
    assert 0.7 < ((low <= y) & (y <= high)).mean() < 0.9
    with pytest.raises(ValueError, match="loss 'gamma' needs targets that are positive"):
        LossRegressor("gamma").fit(X, y - y.min())
