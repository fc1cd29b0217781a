import numpy as np
import torch
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance

from sklearnloss import LossRegressor
from sklearnloss.losses.regression.poisson import poisson

Z = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.poisson(Z.exp() + 0.5, generator=torch.Generator().manual_seed(1))


def test_is_half_the_deviance_of_scikit_learn():
    wanted = mean_poisson_deviance(Y.flatten().numpy(), Z.exp().flatten().numpy()) / 2
    np.testing.assert_allclose(poisson(Z, Y).mean().item(), wanted, rtol=1e-12)


def test_is_zero_at_the_target_and_finite_for_none():
    y = torch.tensor([[0.5], [3.0]])
    assert poisson(y.log(), y).abs().max() < 1e-6
    assert float(poisson(torch.tensor([[-60.0]]), torch.zeros(1, 1))) < 1e-9


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(lambda z: poisson(z, Y), Z.clone().requires_grad_())


def test_a_linear_network_finds_what_scikit_learn_finds():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = rng.poisson(50 * np.exp(X @ [0.5, -0.3]))
    peer = PoissonRegressor(alpha=0).fit(X, y).predict(X)
    model = LossRegressor(
        "poisson", hidden_layer_sizes=(), lr=0.05, max_epochs=150, batch_size=400, lr_schedule="cosine", random_state=0
    ).fit(X, y)
    np.testing.assert_allclose(model.predict(X), peer, rtol=0.01)
