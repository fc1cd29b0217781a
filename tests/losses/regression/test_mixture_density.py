import math

import numpy as np
import torch
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.losses.regression.gaussian_nll import gaussian_nll
from sklearnloss.losses.regression.mixture_density import mixture_density

COLUMNS = torch.randn(6, 2, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def naive(columns, y, min_scale):
    logits, mu, raw = columns[:3], columns[3:6], columns[6:]
    total = sum(math.exp(z) for z in logits)
    density = 0.0
    for k in range(3):
        sigma = min_scale + math.log1p(math.exp(raw[k]))
        density += math.exp(logits[k]) / total * math.exp(-(((y - mu[k]) / sigma) ** 2) / 2) / sigma
    return -math.log(density / math.sqrt(2 * math.pi))


def test_equals_the_formula_in_plain_loops():
    wanted = [[naive(COLUMNS[i, j].tolist(), float(Y[i, j]), 0.1) for j in range(2)] for i in range(6)]
    assert_close(mixture_density(COLUMNS, Y, min_scale=0.1), torch.tensor(wanted, dtype=torch.float64))


def test_one_component_is_normal():
    one = COLUMNS[..., [0, 3, 6]]
    assert_close(mixture_density(one, Y, n_components=1, min_scale=0.1), gaussian_nll(one[..., 1:], Y, min_scale=0.1))


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(lambda c: mixture_density(c, Y), COLUMNS.clone().requires_grad_())


def test_two_branches_are_found_where_one_normal_distribution_covers_the_gap_between():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 1))
    y = np.where(rng.uniform(size=400) < 0.5, 3.0, -3.0) + X[:, 0] + 0.2 * rng.normal(size=400)
    scores = {}
    for name in (Loss("mixture_density", n_components=2), "gaussian_nll"):
        model = LossRegressor(name, hidden_layer_sizes=(16,), lr=0.02, max_epochs=60, random_state=0).fit(X, y)
        scores[str(name)] = model.predict_dist(X).crps(y).mean()
        inside = model.predict_dist(X).cdf(X[:, 0] + 1.5) - model.predict_dist(X).cdf(X[:, 0] - 1.5)
        assert (inside.mean() < 0.05) == (name != "gaussian_nll")
    assert min(scores, key=scores.get) != "gaussian_nll"
