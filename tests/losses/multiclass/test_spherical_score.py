import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.spherical_score import spherical_score


def naive(logits, y):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        p = [math.exp(z) / total for z in row]
        values.append(1 - p[label] / math.sqrt(sum(q * q for q in p)))
    return torch.tensor(values, dtype=logits.dtype)


def test_equals_the_formula_in_plain_loops(three_rows):
    assert_close(spherical_score(*three_rows), naive(*three_rows))


def test_is_one_minus_the_cosine_of_probabilities_and_label(three_rows):
    logits, y = three_rows
    cosines = F.cosine_similarity(torch.softmax(logits, 1), F.one_hot(y, 3).double())
    assert_close(spherical_score(logits, y), 1 - cosines)


@pytest.mark.parametrize("k", [2, 10])
def test_equal_probabilities_cost_one_minus_one_over_the_root_of_their_number(k):
    assert spherical_score(torch.zeros(1, k), torch.tensor([0])).item() == pytest.approx(1 - k**-0.5, abs=1e-6)


def test_the_expected_loss_is_least_at_the_truth():
    truth = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)

    def expected(p):
        return (truth * spherical_score(p.log().expand(3, 3), torch.arange(3))).sum()

    least = 1 - truth.square().sum().sqrt()
    assert_close(expected(truth), least)
    for p in ([0.3, 0.3, 0.4], [0.05, 0.05, 0.9], [0.1, 0.3, 0.6]):
        assert expected(torch.tensor(p, dtype=torch.float64)) > least + 1e-3


def test_sure_rows_cost_nothing_or_one():
    values = spherical_score(torch.tensor([[50.0, 0.0], [0.0, 50.0]]), torch.tensor([0, 0]))
    assert_close(values, torch.tensor([0.0, 1.0]))


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: spherical_score(z, y), logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_for_large_scores(dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], dtype=dtype, requires_grad=True)
    value = spherical_score(leaf, torch.tensor([0, 2]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert_close(value.detach(), torch.tensor([0.0, 1.0], dtype=dtype))
    assert gradient.isfinite().all()


def test_an_almost_sure_row_keeps_its_digits_at_any_level():
    for level in (0.0, 150.0):
        row = torch.tensor([[level + 30.0, level]], dtype=torch.float64)
        value = spherical_score(row, torch.tensor([0]))
        assert_close(value, torch.tensor([math.exp(-60) / 2], dtype=torch.float64), rtol=1e-12, atol=0)


def test_estimates_the_shares_of_classes_that_cannot_be_told_apart():
    y = torch.repeat_interleave(torch.arange(3), torch.tensor([20, 50, 30])).numpy()
    X = torch.ones(100, 1).numpy()
    model = LossClassifier("spherical_score", hidden_layer_sizes=(), max_epochs=300, lr=0.05, random_state=0)
    assert model.fit(X, y).predict_proba(X[:1])[0] == pytest.approx([0.2, 0.5, 0.3], abs=1e-3)


def test_learns_by_name():
    X, y = load_digits(return_X_y=True)
    assert LossClassifier("spherical_score", max_epochs=10, lr=5e-3, random_state=0).fit(X, y).score(X, y) > 0.95
