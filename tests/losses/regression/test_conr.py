import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor, MetricEmbedder
from sklearnloss.exceptions import MissingFactError
from sklearnloss.losses.regression.conr import conr


def batch(n=10, seed=0, targets=1):
    generator = torch.Generator().manual_seed(seed)
    embeddings = 3 * torch.randn(n, 4, dtype=torch.float64, generator=generator)
    y, output = torch.randn(2, n, targets, dtype=torch.float64, generator=generator)
    return embeddings, y, output


def naive(embeddings, y, output, near, tau, push, weights):
    z, n = torch.nn.functional.normalize(embeddings, dim=1), len(y)
    values = []
    for i in range(n):
        far = [(y[i] - y[j]).abs().sum().item() for j in range(n)]
        alike = [(output[i] - output[j]).abs().sum().item() for j in range(n)]
        score = [math.exp((z[i] @ z[j]).item() / tau) for j in range(n)]
        positive = [j for j in range(n) if j != i and far[j] <= near]
        negative = [j for j in range(n) if far[j] > near and alike[j] <= near]
        total = sum(score[j] for j in positive) + sum(weights[i] * math.exp(push * far[j]) * score[j] for j in negative)
        terms = [-math.log(score[j] / total) for j in positive]
        values.append(sum(terms) / len(terms) if positive and negative else 0.0)
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("targets", [1, 2])
def test_equals_the_formula_in_plain_loops(targets):
    embeddings, y, output = batch(targets=targets)
    weights = torch.linspace(0.5, 2, 10, dtype=torch.float64)
    values = conr(embeddings, y, output=output, sample_weight=weights, near=0.8, tau=0.3, push=0.4)
    assert (values > 0).sum() >= 3
    assert_close(values, naive(embeddings, y, output, 0.8, 0.3, 0.4, weights.tolist()))


def test_three_rows_cost_a_known_amount():
    z = torch.tensor([[1.0, 0, 0], [0.8, 0.6, 0], [0, 1, 0]], dtype=torch.float64)
    y, output = (torch.tensor(v, dtype=torch.float64)[:, None] for v in ([0, 0.5, 5.0], [0, 0.4, 0.9]))
    values = conr(z, y, output=output, near=1.0)
    assert_close(values, torch.tensor([0.0190717, 0.3255645, 0.0], dtype=torch.float64), atol=1e-7, rtol=0)
    assert values.mean().item() == pytest.approx(0.1148787, abs=1e-7)


def test_is_zero_where_rows_predicted_alike_have_near_targets():
    embeddings, y, _ = batch()
    assert (conr(embeddings, y, output=10 * y, near=0.5) == 0).all()
    assert (conr(embeddings, y, output=0 * y, near=float(y.max() - y.min())) == 0).all()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_nothing_to_push_gives_zero_with_a_valid_gradient(n):
    embeddings, y, output = batch(n)
    leaf = embeddings.requires_grad_()
    conr(leaf, y, output=output, near=1e-9).sum().backward()
    assert (leaf.grad == 0).all()


def test_no_gradient_reaches_the_prediction():
    embeddings, y, output = batch()
    leaf = output.requires_grad_()
    value = conr(embeddings.requires_grad_(), y, output=leaf, near=0.8).sum()
    assert torch.autograd.grad(value, leaf, allow_unused=True)[0] is None


def test_rises_with_the_push():
    embeddings, y, output = batch()
    values = [conr(embeddings, y, output=output, near=0.8, push=push).sum().item() for push in (0.0, 0.1, 1.0)]
    assert values == sorted(values)
    assert values[0] < values[2]


def test_columns_of_a_target_are_averaged():
    embeddings, y, output = batch(targets=2)
    columns = torch.stack([output - 0.3, output, output + 0.3], dim=-1).flatten(1)
    assert_close(conr(embeddings, y, output=columns, near=0.8), conr(embeddings, y, output=output, near=0.8))


def test_has_the_gradient_of_its_value():
    embeddings, y, output = batch(6)
    assert torch.autograd.gradcheck(lambda e: conr(e, y, output=output, near=0.8), embeddings.requires_grad_())


@pytest.mark.parametrize("loss", ["mse", "pinball"])
def test_trains_as_a_term_beside_a_loss_that_predicts(loss):
    X, y = load_diabetes(return_X_y=True)
    model = LossRegressor(Loss(loss) + 4 * Loss("conr", near=0.3), max_epochs=20, lr=0.01, random_state=0)
    model.fit(X, y, sample_weight=1 + (y > 200))
    assert model.score(X, y) > 0.3
    first, last = model.history_[0], model.history_[-1]
    assert last["train_loss"] == pytest.approx(last[f"train_loss_{loss}"] + 4 * last["train_loss_conr"])
    assert last["train_loss_conr"] < first["train_loss_conr"]


def test_an_embedder_which_predicts_nothing_says_that_it_lacks_the_output():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    with pytest.raises(MissingFactError, match=r"loss 'conr' needs 'output' .* which MetricEmbedder does not supply"):
        MetricEmbedder("conr").fit(X, y)
